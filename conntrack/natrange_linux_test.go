package conntrack_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/conntrack/internal/wire"
)

func addr(s string) conntrack.Addr { return conntrack.AddrFrom(netip.MustParseAddr(s)) }

// natRules is a rule set with ranges of addresses; natRange is the same for
// ours. Both go by the third byte of the client's address.
const natRules = `
table inet nat {
	chain pre { type nat hook prerouting priority dstnat;
		ip daddr 10.2.1.1 dnat ip to 10.2.0.5-10.2.0.60
		ip daddr 10.2.1.2 dnat ip to 10.2.0.5-10.2.0.60 persistent
		ip daddr 10.2.1.3 dnat ip to 10.2.0.7
		ip6 daddr fd00:200::1:1 dnat ip6 to fd00:200::5-fd00:200::f:ff
	}
	chain post { type nat hook postrouting priority srcnat;
		ip saddr 10.1.1.0/24 snat ip to 10.2.8.3-10.2.8.200
		ip saddr 10.1.2.0/24 snat ip to 10.2.8.3-10.2.8.200 persistent
		ip saddr 10.1.3.0/24 snat ip to 10.2.8.3-10.2.9.77
		ip saddr 10.1.4.0/24 snat ip to 10.2.8.1
		ip6 saddr fd00:100::1:0/112 snat ip6 to fd00:200::8:3-fd00:200::9:77
		ip6 saddr fd00:100::2:0/112 snat ip6 to fd00:200::8:3-fd00:200::9:77 persistent
	}
}
`

func natRange(t conntrack.Tuple, m conntrack.Manip) (r conntrack.Range, ok bool) {
	set := func(lo, hi string, flags conntrack.RangeFlags) {
		r = conntrack.Range{Flags: conntrack.RangeMapIPs | flags, MinAddr: addr(lo), MaxAddr: addr(hi)}
		ok = true
	}
	src, dst := t.Src.Netip(t.Family), t.Dst.Netip(t.Family)
	if m == conntrack.ManipDst {
		switch dst.String() {
		case "10.2.1.1":
			set("10.2.0.5", "10.2.0.60", 0)
		case "10.2.1.2":
			set("10.2.0.5", "10.2.0.60", conntrack.RangePersistent)
		case "10.2.1.3":
			set("10.2.0.7", "10.2.0.7", 0)
		case "fd00:200::1:1":
			set("fd00:200::5", "fd00:200::f:ff", 0)
		}
		return r, ok
	}
	in := func(p string) bool { return netip.MustParsePrefix(p).Contains(src) }
	switch {
	case in("10.1.1.0/24"):
		set("10.2.8.3", "10.2.8.200", 0)
	case in("10.1.2.0/24"):
		set("10.2.8.3", "10.2.8.200", conntrack.RangePersistent)
	case in("10.1.3.0/24"):
		set("10.2.8.3", "10.2.9.77", 0)
	case in("10.1.4.0/24"):
		set("10.2.8.1", "10.2.8.1", 0)
	case in("fd00:100::1:0/112"):
		set("fd00:200::8:3", "fd00:200::9:77", 0)
	case in("fd00:100::2:0/112"):
		set("fd00:200::8:3", "fd00:200::9:77", conntrack.RangePersistent)
	}
	return r, ok
}

// natPath translates as the rule set does.
func natPath(i *conntrack.Info) {
	if i.Conn == (conntrack.Conn{}) || i.State() != conntrack.StateNew && i.State() != conntrack.StateRelated {
		return
	}
	for _, m := range []conntrack.Manip{conntrack.ManipDst, conntrack.ManipSrc} {
		if i.Conn.NATDecided(m) {
			continue
		}
		if r, ok := natRange(i.Conn.Tuple(conntrack.Original), m); ok {
			i.Conn.SetupNAT(r, m)
		} else {
			i.Conn.NullBinding(m)
		}
	}
}

// TestKernelNATRanges has both translate many connections by ranges of
// addresses, with answers and ICMP errors that must find back.
func TestKernelNATRanges(t *testing.T) {
	b := newBeside(t, wire.Rules{Tables: natRules})
	b.path = natPath
	send := func(from wire.Side, format string, a ...any) {
		t.Helper()
		pkt := text(t, format, a...)
		if err := b.send(from, pkt); err != nil {
			t.Error(err)
		}
	}
	n := 0
	for net := range 5 {
		for host := 1; host <= 6; host++ {
			for _, dst := range []string{"10.2.0.5", "10.2.1.1", "10.2.1.2", "10.2.1.3", "10.2.3.9"} {
				n++
				src := fmt.Sprintf("10.1.%d.%d", net, host+1)
				send(wire.Client, "%s:%d > %s:80 udp \"a\"", src, 5000+n, dst)
				tuple := conntrack.TupleFrom(17, netip.AddrPortFrom(netip.MustParseAddr(src), uint16(5000+n)), netip.AddrPortFrom(netip.MustParseAddr(dst), 80))
				c, _, err := b.t.Lookup(tuple, conntrack.DefaultZone)
				if err != nil {
					t.Fatal(err)
				}
				r := c.Tuple(conntrack.Reply)
				c.Release()
				send(wire.Server, "%s > %s udp \"b\"", r.SrcAddrPort(), r.DstAddrPort())
				send(wire.Server, "10.2.0.99 > %s icmp unreachable port (%s > %s udp \"a\")", r.Dst.Netip(r.Family), r.DstAddrPort(), r.SrcAddrPort())
				send(wire.Client, "%s > %s icmp echo request id %d seq 1", src, dst, n)
			}
		}
	}
	for net := range 3 {
		for host := 1; host <= 5; host++ {
			for _, dst := range []string{"fd00:200::5", "fd00:200::1:1"} {
				n++
				send(wire.Client, "[fd00:100::%x:%x]:%d > [%s]:80 udp \"a\"", net, host+1, 5000+n, dst)
			}
		}
	}
	if err := conntrack.Check(b.t); err != nil {
		t.Error(err)
	}
}

// TestTranslate follows a translated connection both ways.
func TestTranslate(t *testing.T) {
	table := conntrack.New(conntrack.Options{})
	p := conntrack.Packet{Zone: conntrack.DefaultZone, Tuple: conntrack.TupleFrom(17, netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("10.0.0.2:53"))}
	i := table.Track(&p)
	to := addr("5.5.5.5")
	if err := i.Conn.SetupNAT(conntrack.Range{Flags: conntrack.RangeMapIPs, MinAddr: to, MaxAddr: to}, conntrack.ManipSrc); err != nil {
		t.Fatal(err)
	}
	if got, ok := i.Translate(conntrack.ManipSrc); !ok || got.String() != "udp 5.5.5.5:1000 -> 10.0.0.2:53" {
		t.Errorf("%v, %v", got, ok)
	}
	if _, ok := i.Translate(conntrack.ManipDst); ok {
		t.Error("the destination is translated too")
	}
	if table.Confirm(&i) != conntrack.VerdictAccept {
		t.Error(i.Reason)
	}
	i.Release()
	p.Tuple = conntrack.TupleFrom(17, netip.MustParseAddrPort("10.0.0.2:53"), netip.MustParseAddrPort("5.5.5.5:1000"))
	i = table.Track(&p)
	if got, ok := i.Translate(conntrack.ManipDst); !ok || got.String() != "udp 10.0.0.2:53 -> 10.0.0.1:1000" || i.State() != conntrack.StateEstablished {
		t.Errorf("%v, %v, %v", got, ok, i.State())
	}
	i.Release()
}
