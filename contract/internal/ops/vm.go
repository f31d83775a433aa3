package ops

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
)

// VM is bpfct.
type VM struct {
	// Host is the machine.
	Host *bpfct.Host
	// Hints, where set, are the results that another side got for the run that is
	// performed: where a search for a port begins is chance, and chance is taken
	// from there.
	Hints []Result

	namespaces []*bpfct.Netns
	coll       *bpfct.Collection
	results    []Result
	seed       uint16
}

// VMOptions say what a VM is. The zero value is the default profile.
type VMOptions struct {
	Profile string
	// SkipVerifier loads the program without asking whether the kernel would: it is a
	// large one.
	SkipVerifier bool
}

// NewVM loads the program into a new host.
func NewVM(opts VMOptions) (*VM, error) {
	host, err := bpfct.NewHost(bpfct.HostOptions{Profile: opts.Profile})
	if err != nil {
		return nil, err
	}
	s := &VM{Host: host, namespaces: []*bpfct.Netns{host.Netns()}}
	for _, id := range Peers {
		peer := host.NewNetns(fmt.Sprintf("netns-%d", id))
		if err := host.Netns().SetID(id, peer); err != nil {
			return nil, err
		}
		s.namespaces = append(s.namespaces, peer)
	}
	for _, ns := range s.namespaces {
		ns.Netns.Conntrack = conntrack.New(conntrack.Options{
			Clock: host.Clock(), HZ: host.Clock().HZ(), NetID: ns.Cookie, Rand: s.rand,
		})
	}
	spec, err := loadSpec()
	if err != nil {
		return nil, err
	}
	s.coll, err = host.LoadCollection(spec, bpfct.CollectionOptions{SkipVerifier: opts.SkipVerifier})
	return s, err
}

// rand is what a search for a port begins with: a sequence, or what makes it begin
// with the port that the other side found.
func (s *VM) rand() uint16 {
	s.seed = s.seed*25173 + 13849
	var current uint32
	if err := s.coll.Variables["current"].Get(&current); err != nil || int(current) >= len(s.Hints) {
		return s.seed
	}
	port := binary.BigEndian.Uint16(s.Hints[current].View.Tuple[conntrack.Reply].DstPort[:])
	switch {
	case port >= 1024:
		return port - 1024
	case port >= 600:
		return port - 600
	default:
		return port - 1
	}
}

// opBytes is an op as it lies in the map. Host and guest may differ in byte order.
func opBytes(op *Op) ([]byte, error) { return binary.Append(nil, binary.LittleEndian, op) }

// Perform is of Side.
func (s *VM) Perform(run Run) ([]Result, error) {
	if len(run.Ops) > MaxOps {
		return nil, fmt.Errorf("%d operations, more than %d", len(run.Ops), MaxOps)
	}
	ops, results := s.coll.Maps["ops"], s.coll.Maps["results"]
	for i := range run.Ops {
		b, err := opBytes(&run.Ops[i])
		if err != nil {
			return nil, err
		}
		if err := ops.Put(uint32(i), b); err != nil {
			return nil, err
		}
	}
	if err := s.coll.Variables["count"].Set(uint32(len(run.Ops))); err != nil {
		return nil, err
	}
	if _, err := s.coll.Programs[run.Hook.program()].Run(nil); err != nil {
		return nil, err
	}
	s.results = s.results[:0]
	for i := range run.Ops {
		b, err := results.LookupBytes(uint32(i))
		if err != nil {
			return nil, err
		}
		var r Result
		if _, err := binary.Decode(b[:unsafe.Sizeof(r)], binary.LittleEndian, &r); err != nil {
			return nil, err
		}
		s.results = append(s.results, r)
	}
	return s.results, nil
}

// Dump is of Side.
func (s *VM) Dump() ([]Conn, error) {
	var out []Conn
	for n, ns := range s.namespaces {
		for c := range ns.Conntrack().Snapshots() {
			conn := Conn{
				Netns: n, Proto: c.Tuples[0].Proto, Orig: ends(&c.Tuples[0]), Reply: ends(&c.Tuples[1]),
				Status: c.Status, Mark: c.Mark, Use: c.Use, State: c.State(), Seconds: c.Seconds(),
			}
			if c.Zone.ID != 0 {
				conn.Zone = zoneText(c.Zone.ID, c.Zone.Dir)
			}
			out = append(out, conn)
		}
	}
	sortConns(out)
	return out, nil
}

func ends(t *conntrack.Tuple) [2]netip.AddrPort {
	return [2]netip.AddrPort{t.SrcAddrPort(), t.DstAddrPort()}
}

// zoneText is how a dump shows a zone, "" for the directions that only programs
// think of.
func zoneText(id uint16, dir conntrack.ZoneDir) string {
	switch dir {
	case conntrack.ZoneDirDefault:
		return fmt.Sprintf("zone=%d", id)
	case conntrack.ZoneDirOrig:
		return fmt.Sprintf("zone-orig=%d", id)
	case conntrack.ZoneDirReply:
		return fmt.Sprintf("zone-reply=%d", id)
	}
	return ""
}

// Reset is of Side.
func (s *VM) Reset() error {
	for n, ns := range s.namespaces {
		t := ns.Conntrack()
		t.GC(0)
		t.Flush()
		if c := t.Count(); c != 0 {
			return fmt.Errorf("netns %d: %d connections are left of a flushed table", n, c)
		}
	}
	return nil
}
