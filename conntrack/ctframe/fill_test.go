package ctframe

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

func fill(t testing.TB, text string) (conntrack.Packet, bool) {
	t.Helper()
	b, link, err := packet.ParseTextLink(text)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := packet.Parse(b, link)
	var p conntrack.Packet
	ok := Fill(&p, b, &info, true)
	return p, ok
}

func TestFill(t *testing.T) {
	for _, c := range []struct {
		text  string
		tuple string
		want  func(*conntrack.Packet)
	}{
		{"10.0.0.1:1 > 10.0.0.2:80 tcp S seq 7 win 9 <mss 1460,nop,wscale 3,sackOK> len 4", "tcp 10.0.0.1:1 -> 10.0.0.2:80", func(p *conntrack.Packet) {
			p.Len = 20 + 32 + 4
			p.TCP = conntrack.TCPSegment{Seq: 7, Window: 9, Len: 4, Flags: conntrack.TCPSyn, HasOptions: true, HasWScale: true, WScale: 3, SACKPermitted: true}
		}},
		{"10.0.0.1:1 > 10.0.0.2:80 tcp . seq 7 ack 100 win 9 <nop,nop,sack 100:120 90:110>", "tcp 10.0.0.1:1 -> 10.0.0.2:80", func(p *conntrack.Packet) {
			p.Len = 20 + 20 + 20
			p.TCP = conntrack.TCPSegment{Seq: 7, Ack: 100, SACK: 120, Window: 9, Flags: conntrack.TCPAck, HasOptions: true}
		}},
		{"vlan 5 [2001:db8::1]:53 > [2001:db8::2]:4000 udp \"hello\"", "udp [2001:db8::1]:53 -> [2001:db8::2]:4000", func(p *conntrack.Packet) { p.Len = 53 }},
		{"10.0.0.1:1 > 10.0.0.2:80 udp sum 5 \"hello\"", "udp 10.0.0.1:1 -> 10.0.0.2:80", func(p *conntrack.Packet) { p.Len, p.BadChecksum = 33, true }},
		{"10.0.0.2 > 10.0.0.1 icmp unreachable port (10.0.0.1:1 > 10.0.0.2:53 udp)", "icmp 10.0.0.2:0 -> 10.0.0.1:771", func(p *conntrack.Packet) {
			p.Len, p.ICMPType, p.ICMPCode, p.HasQuoted = 56, 3, 3, true
			p.Quoted = conntrack.Tuple{Src: p.Tuple.Dst, Dst: p.Tuple.Src, SrcPort: 1, DstPort: 53, Family: conntrack.IPv4, Proto: 17}
		}},
		{"10.0.0.1 > 10.0.0.2 frag 1480 udp hex:00112233", "udp 10.0.0.1:0 -> 10.0.0.2:0", func(p *conntrack.Packet) { p.Len, p.Fault = 24, conntrack.ReasonNoTransport }},
		{"10.0.0.1 > 10.0.0.2 gre hex:3001880b00041234", "gre 10.0.0.1:0 -> 10.0.0.2:4660", func(p *conntrack.Packet) { p.Len = 28 }},
	} {
		got, ok := fill(t, c.text)
		if !ok {
			t.Errorf("%s: no packet for the tracker", c.text)
		}
		want := conntrack.Packet{Tuple: got.Tuple}
		c.want(&want)
		if got.Tuple.String() != c.tuple {
			t.Errorf("%s: tuple %v", c.text, got.Tuple)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.text, d)
		}
	}
	if _, ok := fill(t, "arp who-has 10.0.0.2 tell 10.0.0.1"); ok {
		t.Error("ARP is tracked")
	}
}

// FuzzFill gives any bytes to the tracker, as any kind of frame.
func FuzzFill(f *testing.F) {
	for _, text := range []string{
		"10.0.0.1:1 > 10.0.0.2:80 tcp S seq 7 win 9 <mss 1460,nop,wscale 3,sackOK,sack 1:2>",
		"[2001:db8::1]:53 > [2001:db8::2]:4000 udp \"hello\"",
		"10.0.0.2 > 10.0.0.1 icmp unreachable port (10.0.0.1:1 > 10.0.0.2:53 udp)",
		"2001:db8::1 > 2001:db8::2 hbh <ra 0> icmp6 too-big mtu 9 ([2001:db8::2]:1 > [2001:db8::1]:53 udp)",
		"10.0.0.1 > 10.0.0.2 sctp hex:0001000200000000000000000100001400000007000000000001000100000000",
		"10.0.0.1 > 10.0.0.2 gre hex:3001880b00041234",
		"10.0.0.1 > 10.0.0.2 frag 8 udp hex:00",
	} {
		b, err := packet.ParseText(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b[14:], true)
	}
	f.Fuzz(func(t *testing.T, b []byte, raw bool) {
		link := packet.LinkEthernet
		if raw {
			link = packet.LinkRaw
		}
		info, err := packet.Parse(b, link)
		var p conntrack.Packet
		if !Fill(&p, b, &info, true) {
			if err == nil && info.Version != 0 {
				t.Fatal("a right packet is not taken")
			}
			return
		}
		table := conntrack.New(conntrack.Options{})
		i := table.Track(&p)
		table.Confirm(&i)
		i.Release()
	})
}
