package ops

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
)

//go:embed ops.o
var object []byte

// loadSpec reads the program.
func loadSpec() (*ebpf.CollectionSpec, error) {
	return bpfct.LoadCollectionSpecFromReader(bytes.NewReader(object))
}

// Hook is where the program is called from.
type Hook string

// The hooks: the calls take a struct __sk_buff at the one and a struct xdp_md at the
// other.
const (
	TC  Hook = "tc"
	XDP Hook = "xdp"
)

// Hooks are both.
var Hooks = []Hook{TC, XDP}

func (h Hook) program() string { return "perform_" + string(h) }

// Peers are the ids by which the namespace of the program knows two others. No
// other id names one.
var Peers = []int32{0, 5}

// Run is one run of the program. What it still holds at its end is inserted and
// released.
type Run struct {
	Hook Hook
	Ops  []Op
}

// String has a line for each op.
func (r Run) String() string {
	var b strings.Builder
	for i := range r.Ops {
		fmt.Fprintf(&b, "%s %2d  %v\n", r.Hook, i, &r.Ops[i])
	}
	return b.String()
}

// Side is a system that makes calls: one namespace where the program runs, and
// Peers.
type Side interface {
	// Perform makes the calls of one run. The results are good until the next.
	Perform(run Run) ([]Result, error)
	// Dump is the tables of all namespaces, sorted.
	Dump() ([]Conn, error)
	// Reset empties the tables.
	Reset() error
}

// Outcome is everything that came of a sequence of runs.
type Outcome struct {
	Results [][]Result
	Conns   []Conn
}

// Play performs runs on a side with empty tables.
func Play(s Side, runs []Run) (*Outcome, error) {
	if err := s.Reset(); err != nil {
		return nil, err
	}
	out := &Outcome{}
	for _, r := range runs {
		res, err := s.Perform(r)
		if err != nil {
			return nil, err
		}
		out.Results = append(out.Results, slices.Clone(res))
	}
	var err error
	out.Conns, err = s.Dump()
	return out, err
}

// Conn is an entry as a dump has it.
type Conn struct {
	// Netns is 0 for the program's own namespace, then those of Peers.
	Netns       int
	Proto       uint8
	Orig, Reply [2]netip.AddrPort // source and destination
	// Zone is "", "zone=7", "zone-orig=7" or "zone-reply=7".
	Zone   string
	Status conntrack.Status
	Mark   uint32
	Use    int
	State  string // of TCP
	// Seconds are left.
	Seconds int
}

// String is one line.
func (c *Conn) String() string {
	return fmt.Sprintf("netns %d proto %d %s %v > %v reply %v > %v %s status %v mark %#x use %d",
		c.Netns, c.Proto, c.State, c.Orig[0], c.Orig[1], c.Reply[0], c.Reply[1], c.Zone, c.Status, c.Mark, c.Use)
}

func sortConns(conns []Conn) {
	slices.SortFunc(conns, func(a, b Conn) int {
		// A dump does not show all of a zone: two lines may differ in their time only.
		return cmp.Or(strings.Compare(a.String(), b.String()), cmp.Compare(a.Seconds, b.Seconds))
	})
}
