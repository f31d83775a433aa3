package ops

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/live"
)

// Kernel is the running kernel, in namespaces of its own.
type Kernel struct {
	// Host has the namespaces.
	Host *live.Host

	namespaces []*live.Netns
	coll       *live.Collection
	keys       []uint32
	results    []Result
	used       bool // something was allocated since the tables were emptied
}

// NewKernel loads the program. The error is a *live.MissingError where this process
// may not.
func NewKernel() (*Kernel, error) {
	if err := live.Available(); err != nil {
		return nil, err
	}
	var opts live.Options
	for _, id := range Peers {
		opts.Namespaces = append(opts.Namespaces, live.NamespaceOptions{Name: fmt.Sprintf("netns-%d", id), ID: int(id)})
	}
	host, err := live.NewHost(opts)
	if err != nil {
		return nil, err
	}
	s := &Kernel{Host: host, namespaces: []*live.Netns{host.Namespace("")}, results: make([]Result, MaxOps)}
	for _, ns := range opts.Namespaces {
		s.namespaces = append(s.namespaces, host.Namespace(ns.Name))
	}
	for i := range uint32(MaxOps) {
		s.keys = append(s.keys, i)
	}
	spec, err := loadSpec()
	if err == nil {
		s.coll, err = s.namespaces[0].LoadCollection(spec, nil)
	}
	if err != nil {
		return nil, errors.Join(err, host.Close())
	}
	return s, nil
}

// Close ends the namespaces.
func (s *Kernel) Close() error { return s.Host.Close() }

// Perform is of Side.
func (s *Kernel) Perform(run Run) ([]Result, error) {
	n := len(run.Ops)
	if n == 0 {
		return nil, nil
	}
	if n > MaxOps {
		return nil, fmt.Errorf("%d operations, more than %d", n, MaxOps)
	}
	if _, err := s.coll.Maps["ops"].BatchUpdate(s.keys[:n], run.Ops, nil); err != nil {
		return nil, err
	}
	if err := s.coll.Variables["count"].Set(uint32(n)); err != nil {
		return nil, err
	}
	if _, err := s.namespaces[0].Run(s.coll.Programs[run.Hook.program()], live.RunOptions{DataOutSize: -1}); err != nil {
		return nil, err
	}
	// More are there than asked for, which is no error of a batch.
	var cursor ebpf.MapBatchCursor
	if got, err := s.coll.Maps["results"].BatchLookup(&cursor, make([]uint32, n), s.results[:n], nil); got != n {
		return nil, fmt.Errorf("%d results of %d: %w", got, n, err)
	}
	for i := range n {
		s.used = s.used || run.Ops[i].Code == Alloc && s.results[i].Ret == 1
	}
	return s.results[:n], nil
}

// Dump is of Side.
func (s *Kernel) Dump() ([]Conn, error) {
	var out []Conn
	for n, ns := range s.namespaces {
		entries, err := ns.Entries()
		if err != nil {
			return nil, err
		}
		for i := range entries {
			e := &entries[i]
			c := Conn{
				Netns: n, Proto: e.Orig.Proto, Orig: liveEnds(&e.Orig), Reply: liveEnds(&e.Reply),
				Status: conntrack.Status(e.Status), Mark: e.Mark, Use: int(e.Use), Seconds: int(e.Timeout),
			}
			switch {
			case e.Zone != 0:
				c.Zone = zoneText(e.Zone, conntrack.ZoneDirDefault)
			case e.Orig.Zone != 0:
				c.Zone = zoneText(e.Orig.Zone, conntrack.ZoneDirOrig)
			case e.Reply.Zone != 0:
				c.Zone = zoneText(e.Reply.Zone, conntrack.ZoneDirReply)
			}
			if e.TCP != nil {
				c.State = fmt.Sprint(e.TCP.State)
				if e.TCP.State == 0 {
					c.State = "NONE"
				}
			}
			out = append(out, c)
		}
	}
	sortConns(out)
	return out, nil
}

func liveEnds(t *live.Tuple) [2]netip.AddrPort {
	return [2]netip.AddrPort{netip.AddrPortFrom(t.Src, t.SrcPort), netip.AddrPortFrom(t.Dst, t.DstPort)}
}

// Reset is of Side.
func (s *Kernel) Reset() error {
	if !s.used {
		return nil
	}
	for _, ns := range s.namespaces {
		if err := ns.FlushEntries(); err != nil {
			return err
		}
	}
	s.used = false
	return nil
}
