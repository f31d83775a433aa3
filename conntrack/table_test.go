package conntrack

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bpfct/bpfct/internal/errno"
)

// TestStale uses references after their connection went and its place was
// given to another.
func TestStale(t *testing.T) {
	tab, _ := newTest(Options{})
	c := mustInsert(t, tab, tcp("10.0.0.1:1", "10.0.0.2:2"))
	if !c.Delete() || c.Delete() {
		t.Error("delete once, and only once")
	}
	if c.Status() != IPSConfirmed|IPSDying || !c.Valid() || tab.Count() != 1 {
		t.Errorf("held after delete: %v, valid %v, count %d", c.Status(), c.Valid(), tab.Count())
	}
	if err := c.ChangeTimeout(1); !errors.Is(err, errno.ETIME) {
		t.Errorf("change_timeout of a dying one: %v", err)
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	other := mustInsert(t, tab, tcp("10.0.0.1:1", "10.0.0.2:2"))
	if other.h != c.h {
		t.Fatalf("the place was not used again: %d, %d", c.h, other.h)
	}
	if other.ID() == c.ID() {
		t.Error("two connections of one place have one id")
	}
	for name, err := range map[string]error{
		"release": c.Release(), "hold": c.Hold(), "mark": c.SetMark(1), "timeout": c.SetTimeout(1),
		"change_timeout": c.ChangeTimeout(1), "status": c.ChangeStatus(0), "nat": c.SetNATInfo(Addr{}, 0, ManipSrc),
		"labels": c.SetLabels([16]byte{}, [16]byte{}), "secmark": c.SetSecMark(1), "master": c.SetMaster(other),
	} {
		if !errors.Is(err, errno.ESRCH) {
			t.Errorf("%s of a stale reference: %v", name, err)
		}
	}
	if err := tab.Insert(c); !errors.Is(err, errno.EINVAL) {
		t.Errorf("insert of a stale reference: %v", err)
	}
	if s, ok := c.Snapshot(); ok || c.Tuple(Original) != (Tuple{}) || c.Mark() != 0 || c.Timeout() != 0 || c.Delete() {
		t.Errorf("a stale reference reads %v", s)
	}
	if other.Mark() != 0 || other.Use() != 2 {
		t.Errorf("a stale reference changed another connection: mark %d use %d", other.Mark(), other.Use())
	}
	var zero Conn
	if zero.Valid() || zero.Release() == nil || zero.ID() != 0 || zero.Zone() != (Zone{}) || zero.Same(c) {
		t.Error("the zero Conn refers to something")
	}
}

// TestErrors is what is refused, and that a refused insert takes the
// connection along.
func TestErrors(t *testing.T) {
	tab, _ := newTest(Options{Max: 2})
	for _, tuple := range []Tuple{
		{Family: 7, Proto: ProtoTCP},
		ICMPTuple(ProtoICMP, ap("10.0.0.1:0").Addr(), ap("10.0.0.2:0").Addr(), 3, 0, 1), // no answer to "unreachable"
		ICMPTuple(ProtoICMPv6, ap("[fd00::1]:0").Addr(), ap("[fd00::2]:0").Addr(), 1, 0, 1),
	} {
		if _, err := tab.Alloc(tuple, DefaultZone); !errors.Is(err, errno.EINVAL) {
			t.Errorf("alloc %v: %v", tuple, err)
		}
	}
	tuple := tcp("10.0.0.1:1", "10.0.0.2:2")
	first := mustInsert(t, tab, tuple)
	second := mustAlloc(t, tab, tuple, DefaultZone)
	if _, err := tab.Alloc(tuple, DefaultZone); !errors.Is(err, errno.ENOMEM) {
		t.Errorf("alloc in a full table: %v", err)
	}
	if err := tab.Insert(second); !errors.Is(err, errno.EEXIST) || second.Valid() || tab.Count() != 1 {
		t.Errorf("insert of a second: %v, valid %v, count %d", err, second.Valid(), tab.Count())
	}
	if err := tab.Insert(first); !errors.Is(err, errno.EINVAL) || !first.Valid() {
		t.Errorf("insert once more: %v", err)
	}
	if err := first.SetNATInfo(Addr{1}, 1, ManipSrc); err != nil || first.Status() != IPSConfirmed {
		t.Errorf("nat after insert: %v, status %v", err, first.Status())
	}
	if err := first.SetNATInfo(Addr{1}, 1, 2); !errors.Is(err, errno.EINVAL) {
		t.Errorf("a third manip: %v", err)
	}
	if err := New(Options{}).Insert(mustAlloc(t, tab, udp("10.0.0.1:1", "10.0.0.2:2"), DefaultZone)); !errors.Is(err, errno.EINVAL) {
		t.Errorf("insert into another table: %v", err)
	}
}

// TestMaxZero has no limit, as in Linux.
func TestMaxZero(t *testing.T) {
	tab, _ := newTest(Options{Max: 1})
	mustInsert(t, tab, nthTuple(1))
	if err := tab.SetSysctl("nf_conntrack_max", 0); err != nil {
		t.Fatal(err)
	}
	mustInsert(t, tab, nthTuple(2))
}

// TestEarlyDrop makes a table of one page of buckets so full that the first
// eight have something: what is not assured goes, what is stays.
func TestEarlyDrop(t *testing.T) {
	tab, _ := newTest(Options{Max: 5000, Buckets: 512})
	fill(t, tab, 5000)
	assured := 0
	for c := range tab.All() {
		if c.h%2 == 0 {
			c.ChangeStatus(IPSConfirmed | IPSAssured)
			assured++
		}
	}
	for i := range uint32(20) {
		c, err := tab.Alloc(nthTuple(5000+i), DefaultZone)
		if err != nil {
			t.Fatalf("alloc %d: %v", i, err)
		}
		tab.Insert(c)
		c.Release()
	}
	st := tab.Stats()
	if st.EarlyDrop == 0 || int(st.EarlyDrop)+tab.Count() < 5000 {
		t.Errorf("%d dropped, %d left", st.EarlyDrop, tab.Count())
	}
	for c := range tab.All() {
		if c.Status()&IPSAssured != 0 {
			assured--
		}
	}
	if assured != 0 {
		t.Errorf("%d assured connections were dropped", assured)
	}
	if err := check(tab); err != nil {
		t.Error(err)
	}
}

// TestChainTooLong fills buckets until they refuse. 512 of them hold some
// fifty to eighty connections each, each connection in two.
func TestChainTooLong(t *testing.T) {
	tab, _ := newTest(Options{Buckets: 1})
	if n, _ := tab.Sysctl("nf_conntrack_buckets"); n != 512 {
		t.Fatalf("%d buckets", n)
	}
	refused := uint32(0)
	for i := range uint32(25000) {
		c := mustAlloc(t, tab, nthTuple(i), DefaultZone)
		switch err := tab.Insert(c); {
		case errors.Is(err, errno.ENOSPC):
			refused++
		case err != nil:
			t.Fatal(err)
		}
	}
	if n := tab.Stats().ChainTooLong; n != refused || refused == 0 {
		t.Errorf("%d refused, %d counted", refused, n)
	}
	var longest uint32
	set := tab.chains.set.Load()
	for b := range set.n {
		longest = max(longest, set.pages[b/chainPageSize].Load()[b%chainPageSize].Load())
	}
	if longest < minChain || longest > minChain+maxMore+2 {
		t.Errorf("the longest chain has %d", longest)
	}
	// More buckets, shorter chains.
	if err := tab.SetSysctl("nf_conntrack_buckets", 100000); err != nil {
		t.Fatal(err)
	}
	if n, _ := tab.Sysctl("nf_conntrack_buckets"); n != 100352 {
		t.Errorf("%d buckets", n)
	}
	if err := check(tab); err != nil {
		t.Error(err)
	}
	mustInsert(t, tab, nthTuple(1<<25))
}

// TestGC ends what has expired, a bit at a time.
func TestGC(t *testing.T) {
	tab, clock := newTest(Options{})
	if n := tab.GC(0); n != 0 {
		t.Errorf("%d ended in an empty table", n)
	}
	for i := range uint32(100) {
		c := mustAlloc(t, tab, nthTuple(i), DefaultZone)
		c.SetTimeout(1000 * (1 + i%2))
		if err := tab.Insert(c); err != nil {
			t.Fatal(err)
		}
		if i > 0 { // one is held
			c.Release()
		}
	}
	clock.advance(250)
	n := 0
	for range 1000 {
		n += tab.GC(17)
	}
	if n != 50 || tab.Count() != 51 {
		t.Errorf("%d ended, %d left", n, tab.Count())
	}
	clock.advance(250)
	if n := tab.GC(0); n != 50 || tab.Count() != 1 {
		t.Errorf("%d ended, %d left", n, tab.Count())
	}
}

// TestEvents wants each change told once, in order, with the connection as it
// is after it, and a subscriber who may use the table.
func TestEvents(t *testing.T) {
	tab, clock := newTest(Options{NetID: 9})
	var got []string
	cancel := tab.Subscribe(func(e Event) {
		got = append(got, e.Type.String()+" "+e.Conn.Status.String())
		if e.Conn.NetID != 9 {
			t.Errorf("of namespace %d", e.Conn.NetID)
		}
		if c, _, err := tab.Lookup(e.Conn.Tuples[Reply], DefaultZone); (err == nil) == (e.Type == EventDestroy) {
			t.Errorf("%v: lookup %v", e.Type, err)
		} else if err == nil {
			c.Release()
		}
	})
	c := mustAlloc(t, tab, tcp("10.0.0.1:1", "10.0.0.2:2"), DefaultZone)
	c.SetMark(3)
	c.ChangeStatus(IPSSeenReply)
	if got != nil {
		t.Errorf("before insert: %v", got)
	}
	tab.Insert(c)
	c.SetMark(3) // the same
	c.SetMark(4)
	c.ChangeStatus(IPSConfirmed | IPSSeenReply | IPSAssured)
	c.ChangeStatus(IPSConfirmed | IPSSeenReply | IPSAssured)
	c.SetLabels([16]byte{1}, [16]byte{1})
	c.ChangeTimeout(1000)
	c.Release()
	clock.advance(250)
	tab.Lookup(tcp("10.0.0.1:1", "10.0.0.2:2"), DefaultZone)
	want := []string{"NEW SEEN_REPLY|CONFIRMED", "UPDATE SEEN_REPLY|CONFIRMED",
		"UPDATE SEEN_REPLY|ASSURED|CONFIRMED", "UPDATE SEEN_REPLY|ASSURED|CONFIRMED",
		"UPDATE SEEN_REPLY|ASSURED|CONFIRMED", "DESTROY SEEN_REPLY|ASSURED|CONFIRMED|DYING"}
	if !slices.Equal(got, want) {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	cancel()
	cancel()
	mustInsert(t, tab, tcp("10.0.0.1:1", "10.0.0.2:2"))
	if len(got) != len(want) {
		t.Error("told after cancel")
	}
}

// TestMaster keeps the connection that expected another alive.
func TestMaster(t *testing.T) {
	tab, _ := newTest(Options{})
	m := mustInsert(t, tab, tcp("10.0.0.1:1", "10.0.0.2:21"))
	c := mustAlloc(t, tab, tcp("10.0.0.1:2", "10.0.0.2:20"), DefaultZone)
	if err := c.SetMaster(m); err != nil {
		t.Fatal(err)
	}
	if err := c.SetMaster(m); !errors.Is(err, errno.EBUSY) {
		t.Errorf("a second master: %v", err)
	}
	if err := c.SetMaster(c); !errors.Is(err, errno.EINVAL) {
		t.Errorf("its own master: %v", err)
	}
	if err := tab.Insert(c); err != nil || c.Status() != IPSExpected|IPSConfirmed {
		t.Errorf("insert: %v, status %v", err, c.Status())
	}
	if s, _ := c.Snapshot(); s.MasterID != m.ID() {
		t.Errorf("master %d, want %d", s.MasterID, m.ID())
	}
	m.Delete()
	m.Release()
	if got, ok := c.Master(); !ok || !got.Same(m) || !m.Valid() {
		t.Error("the master went before its connection")
	}
	c.Delete()
	c.Release()
	if m.Valid() || tab.Count() != 0 {
		t.Errorf("master valid %v, count %d", m.Valid(), tab.Count())
	}
}

// TestAllWhileChanging meets what stays exactly once, though others come and
// go on the way.
func TestAllWhileChanging(t *testing.T) {
	tab, _ := newTest(Options{})
	fill(t, tab, 3000)
	met := map[Tuple]int{}
	n := uint32(3000)
	for c := range tab.All() {
		tuple := c.Tuple(Original)
		met[tuple]++
		if len(met)%2 == 0 {
			c.Delete()
		}
		mustInsert(t, tab, nthTuple(n)).Release()
		n++
		if n > 9000 {
			break
		}
	}
	for i := range uint32(3000) {
		if k := met[nthTuple(i)]; k != 1 {
			t.Errorf("connection %d was met %d times", i, k)
		}
	}
}

// TestSeveralTables share nothing.
func TestSeveralTables(t *testing.T) {
	a, _ := newTest(Options{NetID: 1})
	b, _ := newTest(Options{NetID: 2})
	c := mustInsert(t, a, nthTuple(1))
	if _, _, err := b.Lookup(nthTuple(1), DefaultZone); err == nil {
		t.Error("found in another namespace")
	}
	d := mustInsert(t, b, nthTuple(1))
	d.SetMark(5)
	if c.Mark() != 0 || c.Same(d) || a.Stats().Insert != 1 || a.Count() != 1 {
		t.Error("two namespaces share something")
	}
}

func TestJSON(t *testing.T) {
	tab, _ := newTest(Options{})
	c := mustAlloc(t, tab, tcp("10.0.0.1:1", "10.0.0.2:80"), Zone{ID: 7, Dir: ZoneDirOrig})
	c.SetNATInfo(AddrFrom(ap("5.5.5.5:0").Addr()), 5555, ManipSrc)
	c.SetMark(3)
	tab.Insert(c)
	s, _ := c.Snapshot()
	got, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(got, &v); err != nil {
		t.Fatal(err)
	}
	delete(v, "id")
	got, _ = json.Marshal(v)
	want := `{"family":"ipv4","flags":"CONFIRMED|SRC_NAT|SRC_NAT_DONE","mark":3,` +
		`"original":{"dport":80,"dst":"10.0.0.2","sport":1,"src":"10.0.0.1"},"proto":"tcp","protonum":6,` +
		`"reply":{"dport":5555,"dst":"5.5.5.5","sport":80,"src":"10.0.0.2"},` +
		`"state":"NONE","status":152,"timeout":10,"use":2,"zone":{"dir":1,"id":7}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if a, p, ok := s.SNAT(); !ok || a.Netip(IPv4).String() != "5.5.5.5" || p != 5555 {
		t.Errorf("SNAT %v %d %v", a, p, ok)
	}
	if _, _, ok := s.DNAT(); ok {
		t.Error("DNAT where there is none")
	}
}

func TestTupleInvert(t *testing.T) {
	for _, tu := range []Tuple{
		tcp("10.0.0.1:1", "10.0.0.2:2"), udp("[fd00::1]:1", "[fd00::2]:2"),
		ICMPTuple(ProtoICMP, ap("10.0.0.1:0").Addr(), ap("10.0.0.2:0").Addr(), 8, 0, 5),
		ICMPTuple(ProtoICMP, ap("10.0.0.1:0").Addr(), ap("10.0.0.2:0").Addr(), 17, 0, 5),
		ICMPTuple(ProtoICMPv6, ap("[fd00::1]:0").Addr(), ap("[fd00::2]:0").Addr(), 128, 0, 5),
	} {
		inv, ok := tu.Invert()
		back, ok2 := inv.Invert()
		if !ok || !ok2 || back != tu || inv == tu {
			t.Errorf("%v: %v, and back %v", tu, inv, back)
		}
	}
	if s := tcp("10.0.0.1:1", "10.0.0.2:2").String(); s != "tcp 10.0.0.1:1 -> 10.0.0.2:2" {
		t.Error(s)
	}
}
