package conntrack

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/bpfct/bpfct/internal/errno"
)

// master is a confirmed connection.
func master(t *testing.T, table *Table, sport uint16) Conn {
	t.Helper()
	p := udpPacket("10.0.0.1:1000", "10.0.0.2:21")
	p.Tuple.SrcPort = sport
	i := table.Track(&p)
	if table.Confirm(&i) != VerdictAccept {
		t.Fatal(i.Reason)
	}
	return i.Conn
}

func expectOn(m Conn, port uint16) Expectation {
	return Expectation{
		Tuple:    TupleFrom(ProtoUDP, netip.MustParseAddrPort("10.0.0.2:0"), netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port)),
		MaskAddr: true, Master: m, Max: 2, Seconds: 300, Helper: "ftp",
	}
}

func TestExpect(t *testing.T) {
	clock := new(testClock)
	table := New(Options{Clock: clock})
	a, b := master(t, table, 1000), master(t, table, 1001)
	a.SetMark(77)
	for _, c := range []struct {
		what string
		x    Expectation
		want error
	}{
		{"first", expectOn(a, 5000), nil},
		{"the same again", expectOn(a, 5000), nil},
		{"the same of another", expectOn(b, 5000), errno.EALREADY},
		{"any source", func() Expectation { x := expectOn(b, 5000); x.MaskAddr = false; return x }(), errno.EBUSY},
		{"second", expectOn(a, 5001), nil},
		{"third, where the first goes", expectOn(a, 5002), nil},
	} {
		if err := table.Expect(c.x); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if n := len(table.Expectations()); n != 2 {
		t.Errorf("%d expectations", n)
	}
	if err := table.SetSysctl("nf_conntrack_expect_max", 2); err != nil {
		t.Fatal(err)
	}
	if err := table.Expect(expectOn(b, 6000)); !errors.Is(err, errno.EMFILE) {
		t.Error(err)
	}

	// One comes true.
	p := udpPacket("10.0.0.2:9", "10.0.0.1:5001")
	i := table.Track(&p)
	m, ok := i.Conn.Master()
	if i.State() != StateRelated || !ok || !m.Same(a) || i.Conn.Mark() != 77 || i.Conn.Status()&IPSExpected == 0 {
		t.Errorf("%v, %v, mark %d, %v", i.State(), ok, i.Conn.Mark(), i.Conn.Status())
	}
	table.Confirm(&i)
	i.Release()

	// The others end with their time, and with their master.
	if n := len(table.Expectations()); n != 1 {
		t.Errorf("%d expectations", n)
	}
	clock.j.Add(300 * 250)
	if n := len(table.Expectations()); n != 0 {
		t.Errorf("%d expectations after their time", n)
	}
	table.Expect(expectOn(b, 7000))
	b.Delete()
	if n := len(table.Expectations()); n != 0 {
		t.Errorf("%d expectations after their master", n)
	}
	if err := table.Expect(expectOn(b, 7000)); err != nil {
		t.Error(err) // it has a reference yet, but it will not come true
	}
	p = udpPacket("10.0.0.2:9", "10.0.0.1:7000")
	if i = table.Track(&p); i.State() != StateNew {
		t.Error(i.State())
	}
	i.Release()
	a.Release()
	b.Release()
	table.Flush()
	clock.j.Add(1000 * 250)
	table.Expectations()
	if n := table.Count(); n != 0 {
		t.Errorf("%d connections leaked", n)
	}
	if err := check(table); err != nil {
		t.Error(err)
	}
}

// TestReasons wants a name and a sentence for every reason.
func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for id := ReasonNoTransport; int(id) < len(reasons); id++ {
		name, text := id.String(), Reason{ID: id, N: [3]uint32{1, 1, 1}}.String()
		if name == "" || text == "" || seen[name] {
			t.Errorf("reason %d: %q, %q", id, name, text)
		}
		seen[name] = true
	}
	if s := because(ReasonTCPSeqOver, 5, 4).String(); s != "sequence number 5 is not below 4, the end of the receiver's window" {
		t.Error(s)
	}
	if ReasonID(200).String() != "unknown" {
		t.Error("a reason that there is not has a name")
	}
}
