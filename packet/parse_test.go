package packet

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOffsets(t *testing.T) {
	for _, c := range []struct {
		text string
		want Info
	}{
		{"10.0.0.1:1 > 10.0.0.2:2 tcp S <mss 1460> len 5 trailer len 3", Info{
			EtherType: EtherTypeIPv4,
			IPInfo:    IPInfo{Version: 4, Proto: ProtoTCP, SrcPort: 1, DstPort: 2, Network: 14, Transport: 34, Payload: 58, End: 63},
		}},
		{"svlan 7 vlan 5 [::1]:3 > [::2]:4 hbh <> dstopts <> udp len 1", Info{
			EtherType: EtherTypeIPv6, NumVLANs: 2, VLANs: [2]VLAN{{EtherTypeQinQ, 7}, {EtherTypeVLAN, 5}},
			IPInfo: IPInfo{Version: 6, Proto: ProtoUDP, SrcPort: 3, DstPort: 4, Network: 22, Transport: 78, Payload: 86, End: 87},
		}},
		{"10.0.0.1 > 10.0.0.2 ipid 9 ipopt <ra> frag 1480 udp len 20", Info{
			EtherType: EtherTypeIPv4,
			IPInfo:    IPInfo{Version: 4, Proto: ProtoUDP, Fragment: true, FragOffset: 1480, FragID: 9, Network: 14, Payload: 38, End: 58},
		}},
		{"::1 > ::2 frag 8+ fragid 77 tcp len 16", Info{
			EtherType: EtherTypeIPv6,
			IPInfo:    IPInfo{Version: 6, Proto: ProtoTCP, Fragment: true, MoreFragments: true, FragOffset: 8, FragID: 77, FragHdr: 54, Network: 14, Payload: 62, End: 78},
		}},
		{"[::1]:1 > [::2]:2 frag 0 fragid 77 udp", Info{
			EtherType: EtherTypeIPv6,
			IPInfo:    IPInfo{Version: 6, Proto: ProtoUDP, Fragment: true, FragID: 77, FragHdr: 54, SrcPort: 1, DstPort: 2, Network: 14, Transport: 62, Payload: 70, End: 70},
		}},
		{"10.0.0.2 > 10.0.0.1 icmp unreachable port (10.0.0.1:5 > 10.0.0.2:6 tcp none len 99 cut 8)", Info{
			EtherType: EtherTypeIPv4,
			IPInfo:    IPInfo{Version: 4, Proto: ProtoICMP, ICMPType: 3, ICMPCode: 3, Network: 14, Transport: 34, Payload: 42, End: 70},
			Inner:     IPInfo{Version: 4, Proto: ProtoTCP, Truncated: true, SrcPort: 5, DstPort: 6, Network: 42, Transport: 62, Payload: 70, End: 70},
		}},
		{"::1 > ::2 icmp6 too-big mtu 1280 (::2 > ::1 icmp6 echo request id 1 seq 2)", Info{
			EtherType: EtherTypeIPv6,
			IPInfo:    IPInfo{Version: 6, Proto: ProtoICMPv6, ICMPType: 2, Network: 14, Transport: 54, Payload: 62, End: 110},
			Inner:     IPInfo{Version: 6, Proto: ProtoICMPv6, ICMPType: 128, Network: 62, Transport: 102, Payload: 110, End: 110},
		}},
		{"10.0.0.1 > 10.0.0.2 sctp hex:00010002000000000000000000", Info{
			EtherType: EtherTypeIPv4,
			IPInfo:    IPInfo{Version: 4, Proto: ProtoSCTP, SrcPort: 1, DstPort: 2, Network: 14, Transport: 34, Payload: 46, End: 47},
		}},
		{"10.0.0.1 > 10.0.0.2 gre hex:00", Info{
			EtherType: EtherTypeIPv4,
			IPInfo:    IPInfo{Version: 4, Proto: ProtoGRE, Network: 14, Transport: 34, Payload: 34, End: 35},
		}},
		{"10.0.0.1:1 > 10.0.0.2:2 iplen 1500 udp ulen 1480", Info{
			EtherType: EtherTypeIPv4,
			IPInfo:    IPInfo{Version: 4, Proto: ProtoUDP, Truncated: true, SrcPort: 1, DstPort: 2, Network: 14, Transport: 34, Payload: 42, End: 42},
		}},
		{"arp who-has 10.0.0.1 tell 10.0.0.2", Info{EtherType: EtherTypeARP, IPInfo: IPInfo{Network: 14, End: 42}}},
		{"svlan 1 svlan 2 type 0x8100 hex:0003", Info{
			EtherType: EtherTypeVLAN, NumVLANs: 2, VLANs: [2]VLAN{{EtherTypeQinQ, 1}, {EtherTypeQinQ, 2}},
			IPInfo: IPInfo{Network: 22, End: 24},
		}},
	} {
		b := MustParseText(c.text)
		info, err := Parse(b, LinkEthernet)
		c.want.Link = LinkEthernet
		if diff := cmp.Diff(c.want, info); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", c.text, err, diff)
		}
		checkInfo(t, b, &info)
	}
}

func TestParseErrorsNameLayerAndOffset(t *testing.T) {
	for _, c := range [][2]string{
		{"frame len 13", "ethernet at byte 0: needs 14 bytes, 13 left"},
		{"type 0x8100 hex:0005", "vlan at byte 14: needs 4 bytes, 2 left"},
		{"type 0x0800 hex:45", "ipv4 at byte 14: needs 20 bytes, 1 left"},
		{"type 0x0800 hex:55 len 19", "ipv4 at byte 14: version is 5"},
		{"type 0x0800 hex:44 len 19", "ipv4 at byte 14: header length 16 is less than 20"},
		{"type 0x0800 hex:46 len 19", "ipv4 at byte 14: needs 24 bytes, 20 left"},
		{"10.0.0.1 > 10.0.0.2 iplen 19 gre", "ipv4 at byte 16: total length 19 is less than the header's 20"},
		{"10.0.0.1 > 10.0.0.2 proto 6 len 19", "tcp at byte 34: needs 20 bytes, 19 left"},
		{"10.0.0.1 > 10.0.0.2 proto 6 len 20", "tcp at byte 46: header length 0 is less than 20"},
		{"10.0.0.1 > 10.0.0.2 proto 6 len 12 hex:60 len 7", "tcp at byte 34: needs 24 bytes, 20 left"},
		{"10.0.0.1 > 10.0.0.2 proto 17 len 7", "udp at byte 34: needs 8 bytes, 7 left"},
		{"10.0.0.1:1 > 10.0.0.2:2 udp ulen 7", "udp at byte 38: length 7 is less than 8"},
		{"10.0.0.1 > 10.0.0.2 proto 1 len 7", "icmp at byte 34: needs 8 bytes, 7 left"},
		{"10.0.0.1 > 10.0.0.2 icmp unreachable port len 19", "quoted ipv4 at byte 42: needs 20 bytes, 19 left"},
		{"10.0.0.1 > 10.0.0.2 icmp unreachable port (10.0.0.1:1 > 10.0.0.2:2 udp cut 7)", "quoted udp at byte 62: needs 8 bytes, 7 left"},
		{"type 0x86dd hex:60 len 38", "ipv6 at byte 14: needs 40 bytes, 39 left"},
		{"type 0x86dd hex:40 len 39", "ipv6 at byte 14: version is 4"},
		{"::1 > ::2 proto 0 hex:00", "ipv6 extension header at byte 54: needs 8 bytes, 1 left"},
		{"::1 > ::2 proto 43 hex:0002000000000000", "ipv6 extension header at byte 54: needs 24 bytes, 8 left"},
		{"::1 > ::2 proto 44 hex:0002", "ipv6 fragment header at byte 54: needs 8 bytes, 2 left"},
		{"::1 > ::2 proto 51 hex:0004000000000000", "ipv6 extension header at byte 54: needs 24 bytes, 8 left"},
	} {
		b := MustParseText(c[0])
		info, err := Parse(b, LinkEthernet)
		var e *Error
		if !errors.As(err, &e) || err.Error() != c[1] {
			t.Errorf("%s gives %v, want %s", c[0], err, c[1])
		}
		checkInfo(t, b, &info)
	}
}

func TestLinkTypes(t *testing.T) {
	v4 := MustParseText("10.0.0.1:1 > 10.0.0.2:2 udp len 3")[14:]
	v6 := MustParseText("[::1]:1 > [::2]:2 udp len 3")[14:]
	for _, c := range []struct {
		link LinkType
		head string
		v6   bool
		vlan int
	}{
		{link: LinkRaw}, {link: LinkRaw, v6: true}, {link: LinkRawBSD}, {link: LinkRawOBSD, v6: true},
		{link: LinkIPv4}, {link: LinkIPv6, v6: true},
		{link: LinkNull, head: "\x02\x00\x00\x00"}, {link: LinkNull, head: "\x00\x00\x00\x02"},
		{link: LinkNull, head: "\x1e\x00\x00\x00", v6: true}, {link: LinkNull, head: "\x00\x00\x00\x18", v6: true},
		{link: LinkLoop, head: "\x00\x00\x00\x0a", v6: true},
		{link: LinkLinuxSLL, head: "\x00\x04\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00"},
		{link: LinkLinuxSLL, head: "\x00\x04\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x81\x00\x00\x05\x86\xdd", v6: true, vlan: 1},
		{link: LinkLinuxSLL2, head: "\x86\xdd\x00\x00\x00\x00\x00\x01\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00", v6: true},
		{link: LinkPPP, head: "\xff\x03\x00\x21"}, {link: LinkPPP, head: "\x00\x57", v6: true}, {link: LinkPPP, head: "\x21"},
		{link: LinkPPPHDLC, head: "\xff\x03\x00\x57", v6: true}, {link: LinkPPPHDLC, head: "\x0f\x00\x08\x00"},
		{link: LinkCHDLC, head: "\x8f\x00\x86\xdd", v6: true},
		{link: LinkPPPoE, head: "\x11\x00\x00\x01\x00\x21\x00\x21"},
		{link: LinkEthernet, head: "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00"},
	} {
		ip, et := v4, EtherTypeIPv4
		if c.v6 {
			ip, et = v6, EtherTypeIPv6
		}
		b := append([]byte(c.head), ip...)
		off, got, err := c.link.Network(b)
		if err != nil || off != len(c.head) || got != et || !c.link.Known() {
			t.Errorf("%v % x: network layer %#04x at %d, %v, want %#04x at %d", c.link, c.head, got, off, err, et, len(c.head))
		}
		info, err := Parse(b, c.link)
		if err != nil || info.SrcPort != 1 || int(info.NumVLANs) != c.vlan {
			t.Errorf("%v: %+v, %v", c.link, info, err)
		}
		eth, err := ToEthernet(b, c.link)
		if err != nil {
			t.Errorf("%v to Ethernet: %v", c.link, err)
		}
		if info, err := Parse(eth, LinkEthernet); err != nil || info.DstPort != 2 || int(info.NumVLANs) != c.vlan {
			t.Errorf("%v to Ethernet: %+v, %v", c.link, info, err)
		}
		for n := range b {
			info, _ := Parse(b[:n], c.link)
			checkInfo(t, b[:n], &info)
		}
	}
	for _, c := range []struct {
		link LinkType
		b    string
		want string
	}{
		{147, "", "link at byte 0: link type 147 is not known"},
		{LinkRaw, "", "ip at byte 0: needs 20 bytes, 0 left"},
		{LinkRaw, "\x50", "ip at byte 0: version 5 is neither 4 nor 6"},
		{LinkNull, "\x07\x00\x00\x00", "loopback at byte 0: address family 7 is neither IPv4 nor IPv6"},
		{LinkNull, "\x02", "loopback at byte 0: needs 4 bytes, 1 left"},
		{LinkLinuxSLL, "", "linux cooked at byte 0: needs 16 bytes, 0 left"},
		{LinkLinuxSLL2, "", "linux cooked v2 at byte 0: needs 20 bytes, 0 left"},
		{LinkPPP, "\xff\x03\x00", "ppp at byte 2: needs 2 bytes, 1 left"},
		{LinkPPPoE, "\x11", "pppoe at byte 0: needs 6 bytes, 1 left"},
		{LinkCHDLC, "\x11", "hdlc at byte 0: needs 4 bytes, 1 left"},
	} {
		if _, err := Parse([]byte(c.b), c.link); err == nil || err.Error() != c.want {
			t.Errorf("%v %x gives %v, want %s", c.link, c.b, err, c.want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	b := MustParseText("vlan 5 10.0.0.2 > 10.0.0.1 icmp unreachable port (10.0.0.1:5 > 10.0.0.2:6 tcp none)")
	if n := testing.AllocsPerRun(100, func() {
		if info, err := Parse(b, LinkEthernet); err != nil || info.Inner.SrcPort != 5 {
			t.Fatal(info, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range [][2]string{
		{"tcp", "10.0.0.1:1 > 10.0.0.2:2 tcp S <mss 1460>"},
		{"udp6-ext", "[::1]:1 > [::2]:2 hbh <> dstopts <> udp len 9"},
		{"icmp-error", "10.0.0.2 > 10.0.0.1 icmp unreachable port (10.0.0.1:5 > 10.0.0.2:6 tcp none)"},
	} {
		frame := MustParseText(c[1])
		b.Run(c[0], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(frame, LinkEthernet); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseText(b *testing.B) {
	for b.Loop() {
		if _, err := ParseText(canonical[0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFormat(b *testing.B) {
	frame := MustParseText(canonical[0])
	for b.Loop() {
		Format(frame)
	}
}
