package conntrack

import (
	"net/netip"
	"testing"
)

// TestNATOtherProtocols searches for what programs cannot ask for: the id of a
// ping, the key of a tunnel, nothing where a protocol has nothing to change.
func TestNATOtherProtocols(t *testing.T) {
	dst := netip.MustParseAddr("10.0.0.9")
	gw := AddrFrom(netip.MustParseAddr("5.5.5.5"))
	src := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 1, i}) }
	for _, c := range []struct {
		name  string
		tuple func(i byte) Tuple
		// changed says whether a second connection of the same kind gets
		// through behind the same address, which part is told apart.
		changed func(reply Tuple) uint16
	}{
		{"icmp", func(i byte) Tuple { return ICMPTuple(ProtoICMP, src(i), dst, 8, 0, 77) }, func(r Tuple) uint16 { return r.SrcPort }},
		{"gre without a master", func(i byte) Tuple {
			return TupleFrom(ProtoGRE, netip.AddrPortFrom(src(i), 77), netip.AddrPortFrom(dst, 78))
		}, nil},
		{"sctp", func(i byte) Tuple {
			return TupleFrom(ProtoSCTP, netip.AddrPortFrom(src(i), 7777), netip.AddrPortFrom(dst, 78))
		}, func(r Tuple) uint16 { return r.DstPort }},
		{"protocol 99", func(i byte) Tuple {
			return TupleFrom(99, netip.AddrPortFrom(src(i), 0), netip.AddrPortFrom(dst, 0))
		}, nil},
	} {
		tab, _ := newTest(Options{})
		used := map[uint16]bool{}
		for i := range byte(10) {
			conn := mustAlloc(t, tab, c.tuple(i), DefaultZone)
			if err := conn.SetNATInfo(gw, 0, ManipSrc); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			reply := conn.Tuple(Reply)
			if reply.Dst != gw {
				t.Errorf("%s: reply %v", c.name, reply)
			}
			err := tab.Insert(conn)
			if want := c.changed != nil || i == 0; (err == nil) != want {
				t.Errorf("%s: insert %d: %v", c.name, i, err)
			}
			if c.changed == nil {
				continue
			}
			v := c.changed(reply)
			if used[v] || i == 0 && v != c.tuple(0).SrcPort {
				t.Errorf("%s: connection %d got %d", c.name, i, v)
			}
			used[v] = true
		}
		if err := check(tab); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestNATSearchStops takes every port there is: the search gives up, and the
// insert fails; it does not hang.
func TestNATSearchStops(t *testing.T) {
	tab, _ := newTest(Options{Seed: 3})
	ok, failed := 0, 0
	for i := range 600 {
		c := mustAlloc(t, tab, Tuple{Src: Addr{10, 0, byte(i >> 8), byte(i)}, Dst: Addr{10, 9, 9, 9},
			SrcPort: 700, DstPort: 80, Family: IPv4, Proto: ProtoTCP}, DefaultZone)
		before := tab.Stats().Found
		if err := c.SetNATInfo(Addr{5, 5, 5, 5}, 0, ManipSrc); err != nil {
			t.Fatal(err)
		}
		// The first look, and 128, 64, 32, 16 and 8 tries.
		if n := tab.Stats().Found - before; n > 1+128+64+32+16+8 {
			t.Fatalf("%d tuples tried", n)
		}
		if tab.Insert(c) == nil {
			ok++
		} else {
			failed++
		}
	}
	if ok > 424 || ok < 400 || failed != 600-ok {
		t.Errorf("%d of 424 ports used, %d failed", ok, failed)
	}
}

// TestSourceForgotten: a mapping ends with the last reference to its
// connection, not before.
func TestSourceForgotten(t *testing.T) {
	tab, _ := newTest(Options{})
	connect := func(dst byte, port int32) Conn {
		c := mustAlloc(t, tab, Tuple{Src: Addr{10, 0, 0, 1}, Dst: Addr{10, 0, 0, dst}, SrcPort: 5000, DstPort: 80, Family: IPv4, Proto: ProtoTCP}, DefaultZone)
		if err := c.SetNATInfo(Addr{5, 5, 5, 5}, port, ManipSrc); err != nil {
			t.Fatal(err)
		}
		return c
	}
	port := func(c Conn) uint16 { return c.Tuple(Reply).DstPort }
	a := connect(2, 4000)
	b := connect(3, 0) // before a is inserted
	if port(b) != 4000 {
		t.Errorf("port %d beside a connection that waits", port(b))
	}
	b.Release()
	if err := tab.Insert(a); err != nil {
		t.Fatal(err)
	}
	a.Delete()
	if c := connect(3, 0); port(c) != 4000 {
		t.Errorf("port %d beside a deleted one that is held", port(c))
	} else {
		c.Release()
	}
	a.Release()
	if c := connect(3, 0); port(c) != 5000 {
		t.Errorf("port %d after all", port(c))
	}
	if err := check(tab); err != nil {
		t.Error(err)
	}
}
