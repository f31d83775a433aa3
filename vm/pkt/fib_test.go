package pkt_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/netns"
)

// routed is a network with routes of all types, on both sides.
func routed(tb testing.TB) (live.Options, *netns.Netns, []netns.Route) {
	tb.Helper()
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	ns, sink := netns.New("test", 1), netns.New("sink", 2)
	ns.SetSysctl(netns.Sysctl{Forwarding4: true, Forwarding6: true, Syncookies: 1})
	opts := live.Options{Namespaces: []live.NamespaceOptions{{Name: "sink", ID: 7}}}
	opts.Sysctls = map[string]string{
		"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1", "net.ipv6.conf.default.forwarding": "1",
		"net.ipv6.conf.default.accept_dad": "0", "net.ipv6.conf.default.addr_gen_mode": "1",
	}
	addrs := [][]netip.Prefix{
		{p("10.1.0.1/16"), p("10.1.0.9/16"), p("fd00:1::1/64")},
		{p("10.2.0.1/24"), p("192.168.5.1/32"), p("fd00:2::1/64"), p("fd00:2::9/64")},
		{p("10.3.0.1/31"), p("fd00:3::1/64")},
	}
	for i := range 3 {
		name := "d" + string(rune('0'+i))
		mtu := 1500 - 100*i
		mac := [6]byte{2, 0, 0, 0, 0, byte(i)}
		opts.Devices = append(opts.Devices, live.Device{Kind: live.Veth, Name: name, Index: i + 2, MTU: mtu, MAC: net.HardwareAddr(mac[:]).String(),
			Addrs: addrs[i], Down: i == 2, Peer: &live.Device{Name: "p" + name, MTU: mtu}, PeerNamespace: "sink"})
		own, err := ns.AddDevice(netns.Device{Index: i + 2, Name: name, MAC: mac, MTU: uint32(mtu), Up: i != 2, Addrs: addrs[i]})
		if err != nil {
			tb.Fatal(err)
		}
		peer, err := sink.AddDevice(netns.Device{Name: "p" + name, MTU: uint32(mtu), Up: true})
		if err != nil {
			tb.Fatal(err)
		}
		if err := netns.Pair(ns, own.Index, sink, peer.Index); err != nil {
			tb.Fatal(err)
		}
	}
	routes := []netns.Route{
		{Dst: p("20.0.0.0/8"), Gateway: a("10.1.0.2"), Device: 2},
		{Dst: p("20.1.0.0/16"), Gateway: a("10.2.0.2"), Device: 3, Metric: 5},
		{Dst: p("20.1.0.0/16"), Gateway: a("10.1.0.3"), Device: 2, Metric: 9, Source: a("10.1.0.9")},
		{Dst: p("20.1.2.0/24"), Type: netns.Blackhole},
		{Dst: p("20.1.3.0/24"), Type: netns.Unreachable},
		{Dst: p("20.1.4.0/24"), Type: netns.Prohibit},
		{Dst: p("20.1.5.0/24"), Type: netns.Throw},
		{Dst: p("20.2.0.0/16"), Device: 3, Source: a("192.168.5.1")},
		{Dst: p("20.3.0.0/16"), Device: 3, TOS: 0x10, Gateway: a("10.2.0.3")},
		{Dst: p("0.0.0.0/0"), Table: 100, Gateway: a("10.2.0.2"), Device: 3},
		{Dst: p("30.0.0.0/8"), Table: 100, Type: netns.Unreachable},
		{Dst: p("fd20::/32"), Gateway: a("fd00:1::2"), Device: 2},
		{Dst: p("fd20::/48"), Gateway: a("fd00:2::2"), Device: 3, Metric: 5},
		{Dst: p("fd20:0:1::/48"), Type: netns.Blackhole},
		{Dst: p("fd20:0:2::/48"), Type: netns.Unreachable},
		{Dst: p("fd20:0:3::/48"), Type: netns.Prohibit},
		{Dst: p("fd20:0:4::/48"), Device: 3, Source: a("fd00:2::9"), MTU: 1280},
		{Dst: p("fd20:0:5::/48"), Device: 3, MTU: 1300, MTULock: true},
		{Dst: p("20.4.0.0/16"), Device: 3, MTU: 1300},
		{Dst: p("20.5.0.0/16"), Device: 3, MTU: 1290, MTULock: true},
		{Dst: p("::/0"), Table: 100, Gateway: a("fd00:2::2"), Device: 3},
	}
	for _, r := range routes {
		if err := ns.AddRoute(r); err != nil {
			tb.Fatal(err)
		}
	}
	for i, n := range []struct {
		dev  int
		addr string
	}{{2, "10.1.0.2"}, {3, "10.2.0.2"}, {3, "20.2.0.7"}, {2, "fd00:1::2"}, {3, "fd00:2::2"}, {2, "10.1.0.77"}} {
		mac := [6]byte{6, 0, 0, 0, 0, byte(i)}
		ns.SetNeigh(n.dev, a(n.addr), netns.Neigh{MAC: mac})
		opts.Neighbours = append(opts.Neighbours, live.Neighbour{Addr: a(n.addr), MAC: net.HardwareAddr(mac[:]).String(),
			Device: "d" + string(rune('0'+n.dev-2))})
	}
	return opts, ns, routes
}

// addRules adds the rules that addKernelRules adds to the kernel.
func addRules(ns *netns.Netns) {
	ns.AddRule(netns.Rule{Priority: 1000, Mark: 5, Table: 100})
	ns.AddRule(netns.Rule{Priority: 1000, Mark: 5, Table: 100, Family6: true})
	ns.AddRule(netns.Rule{Priority: 900, Mark: 6, Mask: 0xff, Type: netns.Prohibit})
}

func fibOp(t *rapid.T, code uint32) op {
	o := op{code: code, n: 64, data: make([]byte, dataLen)}
	b := o.data
	o.a = uint64(rapid.IntRange(0, 63).Draw(t, "flags"))
	if rapid.Bool().Draw(t, "plain") {
		o.a &= 4
	}
	if rapid.IntRange(0, 30).Draw(t, "odd size") == 0 {
		o.n = rapid.SampledFrom([]uint32{63, 10}).Draw(t, "size")
	}
	if rapid.IntRange(0, 30).Draw(t, "odd flag") == 0 {
		o.a |= 64
	}
	copy(b, payload(t))
	pick := func(at int, from ...string) {
		v := netip.MustParseAddr(rapid.SampledFrom(from).Draw(t, "addr"))
		copy(b[at:], v.AsSlice())
		if rapid.IntRange(0, 3).Draw(t, "spread") == 0 {
			b[at+v.BitLen()/8-1] = rapid.Byte().Draw(t, "last byte")
		}
	}
	switch rapid.IntRange(0, 12).Draw(t, "family") {
	case 0:
		b[0] = 1
	case 1, 2, 3, 4:
		b[0] = 10
		pick(16, "fd00:1::5", "fe80::1", "::1", "fd00:9::1")
		pick(32, "fd20::5", "fd20:0:0:1::5", "fd20:0:1::1", "fd20:0:2::1", "fd20:0:3::1", "fd20:0:4::1", "fd00:1::2", "fd00:2::5",
			"fd00:3::1", "fd77::1", "fe80::5", "ff02::1", "::1", "fd00:1::1", "fd20:0:5::")
	default:
		b[0] = 2
		pick(16, "10.1.0.5", "0.0.0.0", "127.0.0.1")
		pick(32, "20.0.0.5", "20.1.0.5", "20.1.2.5", "20.1.3.5", "20.1.4.5", "20.1.5.5", "20.2.0.7", "20.3.0.1", "20.4.0.1", "20.5.0.1", "30.0.0.1", "40.0.0.1",
			"10.1.0.77", "10.1.0.78", "10.1.255.255", "10.1.0.1", "10.2.0.200", "10.3.0.0", "127.0.0.1", "127.5.5.5", "224.0.0.1",
			"255.255.255.255", "192.168.5.1", "10.2.0.255")
	}
	binary.LittleEndian.PutUint16(b[6:], uint16(anyOf(t, "tot_len", 0, 0, 100, 1280, 1300, 1400, 1401, 1500, 1501, 9000)))
	binary.LittleEndian.PutUint32(b[8:], uint32(anyOf(t, "ifindex", 1, 2, 3, 3, 2, 4, 9)))
	binary.LittleEndian.PutUint32(b[12:], uint32(rapid.SampledFrom([]int{0, 0, 0x10, 0x13, 0x20}).Draw(t, "tos")))
	if o.a&8 != 0 {
		binary.LittleEndian.PutUint32(b[48:], uint32(rapid.SampledFrom([]int{100, 254, 255, 77, 0, 253}).Draw(t, "table")))
	}
	binary.LittleEndian.PutUint32(b[52:], uint32(rapid.SampledFrom([]int{0, 5, 6, 0x106, 7}).Draw(t, "mark")))
	return o
}
