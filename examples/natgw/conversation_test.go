package natgw_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/examples/natgw"
	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/packet"
)

// talk is one connection of a generated conversation, as its ends see it.
type talk struct {
	proto           uint8
	inside, outside netip.AddrPort // the peers
	toForward       bool           // opened from outside, to a forwarded port
	opened          bool
	translated      [2]netip.AddrPort // what stands for the inside host outside, on bpfct and on the kernel
}

// frame is a packet of the talk, seen from inside (as the inside host knows it) or
// from outside, where pool stands for the inside host.
func (c *talk) frame(fromOutside bool, local netip.AddrPort, flags uint16, payload []byte) []byte {
	src, dst := local, c.outside
	if fromOutside {
		src, dst = dst, src
	}
	ip := &packet.IP{Src: src.Addr(), Dst: dst.Addr(), TTL: 64}
	if c.proto == conntrack.ProtoTCP {
		ip.TCP = &packet.TCP{Src: src.Port(), Dst: dst.Port(), Seq: 1, Flags: flags, Window: 1024}
	} else {
		ip.UDP = &packet.UDP{Src: src.Port(), Dst: dst.Port()}
	}
	ip.Payload = payload
	return build(ip)
}

// quote is an ICMP error about a frame, which it quotes up to the given length
// behind the IP header.
func quote(frame []byte, from, to netip.Addr, cut int) []byte {
	quoted := *packet.Decode(frame, packet.LinkEthernet).IP
	whole := 8 + len(quoted.Payload)
	if quoted.TCP != nil {
		whole = 20 + len(quoted.Payload)
	}
	if cut < whole {
		quoted.Cut = &cut
	}
	ip := &packet.IP{Src: from, Dst: to, TTL: 64, ICMP: &packet.ICMP{Type: 3, Code: 1}, Quote: &quoted}
	if from.Is6() {
		ip.Proto, ip.ICMP.Type, ip.ICMP.Code = packet.ProtoICMPv6, 1, 3
	}
	return build(ip)
}

func build(ip *packet.IP) []byte {
	f := packet.Frame{Link: packet.LinkEthernet, Dst: packet.DefaultDstMAC, Src: packet.DefaultSrcMAC, IP: ip}
	b, err := f.Build()
	if err != nil {
		panic(err) // all parts are drawn from what can be built
	}
	return b
}

// TestGeneratedConversations runs generated packets on both gateways at once. They
// agree on everything but the port that takes the place of one in use, and every
// packet that a gateway lets pass is whole. What comes out is what the peer of a
// connection expects to see.
func TestGeneratedConversations(t *testing.T) {
	cfg := config()
	cfg.Pool4 = netip.MustParsePrefix("203.0.113.0/31")
	// Nothing expires while the test runs, and no two of these are close.
	cfg.CloseTimeout, cfg.NewTimeout, cfg.UDPTimeout, cfg.TCPTimeout = time.Hour, 2*time.Hour, 4*time.Hour, 8*time.Hour
	var k *kernel
	if testkernel.Missing() == "" {
		k = newKernel(t, cfg)
	} else if testing.Short() {
		t.Skip("short")
	}
	rapid.Check(t, func(t *rapid.T) { converse(t, cfg, k) })
}

func converse(t *rapid.T, cfg natgw.Config, k *kernel) {
	// The other tests verify the program; once is enough.
	u := newUserWith(t, cfg, bpfct.CollectionOptions{SkipVerifier: true})
	sides := []side{u}
	if k != nil {
		k.reset(t)
		sides = append(sides, k)
	}
	for _, s := range sides {
		s.forward(t, conntrack.ProtoTCP, 80, netip.MustParseAddrPort("10.0.0.80:8080"))
		s.forward(t, conntrack.ProtoUDP, 53, netip.MustParseAddrPort("[fd00::53]:5353"))
	}
	var talks []*talk
	for range rapid.IntRange(1, 25).Draw(t, "packets") {
		if len(talks) == 0 || rapid.Bool().Draw(t, "new") {
			talks = append(talks, drawTalk(t))
		}
		c := rapid.SampledFrom(talks).Draw(t, "talk")
		step(t, c, sides, cfg)
	}
	if k == nil {
		return
	}
	// The same connections in the same states, ports aside where they had to change.
	a, secsA := u.flows(t)
	b, secsB := k.flows(t)
	if len(a) != len(b) {
		t.Fatalf("bpfct has %d connections, the kernel %d:\n%v\n%v", len(a), len(b), a, b)
	}
	for i := range a {
		if d := secsA[i] - secsB[i]; d < -1 || d > 600 { // the kernel's clock runs
			t.Errorf("%s has %d seconds left, on the kernel %d", a[i], secsA[i], secsB[i])
		}
	}
	if na, nb := u.outcomes(t), k.outcomes(t); na != nb {
		t.Errorf("outcomes %v, on the kernel %v", na, nb)
	}
}

func drawTalk(t *rapid.T) *talk {
	c := &talk{proto: rapid.SampledFrom([]uint8{conntrack.ProtoTCP, conntrack.ProtoUDP}).Draw(t, "proto")}
	host := rapid.IntRange(1, 3).Draw(t, "host")
	port := rapid.SampledFrom([]uint16{500, 4000, 4001}).Draw(t, "port")
	server := rapid.IntRange(1, 2).Draw(t, "server")
	v6 := rapid.Bool().Draw(t, "v6")
	in, out := fmt.Sprintf("10.0.0.%d", host), fmt.Sprintf("198.51.100.%d", server)
	if v6 {
		in, out = fmt.Sprintf("fd00::%d", host), fmt.Sprintf("2001:db8::%d", server)
	}
	c.inside = netip.AddrPortFrom(netip.MustParseAddr(in), port)
	c.outside = netip.AddrPortFrom(netip.MustParseAddr(out), 443)
	if rapid.IntRange(0, 3).Draw(t, "forward") == 0 {
		c.toForward = true
		pool := netip.MustParseAddrPort("203.0.113.1:80")
		c.proto, c.inside = conntrack.ProtoTCP, netip.MustParseAddrPort("10.0.0.80:8080")
		c.outside = netip.AddrPortFrom(netip.MustParseAddr("198.51.100.9"), port)
		if v6 {
			pool = netip.MustParseAddrPort("[2001:db8:1::1]:53")
			c.proto, c.inside = conntrack.ProtoUDP, netip.MustParseAddrPort("[fd00::53]:5353")
			c.outside = netip.AddrPortFrom(netip.MustParseAddr("2001:db8::9"), port)
		}
		c.translated = [2]netip.AddrPort{pool, pool}
	}
	return c
}

// step sends one packet of a talk through both gateways.
func step(t *rapid.T, c *talk, sides []side, cfg natgw.Config) {
	fromOutside := c.toForward
	if c.opened {
		fromOutside = rapid.Bool().Draw(t, "from outside")
	}
	flags := packet.FlagSYN
	if c.opened {
		flags = rapid.SampledFrom([]uint16{packet.FlagSYN, packet.FlagACK, packet.FlagSYN | packet.FlagACK, packet.FlagACK | packet.FlagFIN, packet.FlagRST}).Draw(t, "flags")
	}
	payload := rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "payload")
	isError := c.opened && rapid.IntRange(0, 3).Draw(t, "error") == 0
	cut := rapid.SampledFrom([]int{8, 18, 20, 64}).Draw(t, "cut")
	router := rapid.Bool().Draw(t, "router")
	var kept [2]bool
	for i, s := range sides {
		program, in, want := natgw.Egress, c.inside, c.translated[i]
		if fromOutside {
			program, in, want = natgw.Ingress, c.translated[i], c.inside
		}
		var frame, expected []byte
		if isError {
			// About a packet that went the other way, as this side of the gateway saw it.
			frame, expected = c.errorAbout(fromOutside, in, want, flags, payload, cut, router)
		} else {
			frame = c.frame(fromOutside, in, flags, payload)
		}
		ret, out := s.run(t, program, frame)
		if ret != ok {
			t.Fatalf("side %d: %s of %s returns %d", i, program, packet.Format(frame), ret)
		}
		verify(t, out)
		if !c.opened && !c.toForward {
			info, err := packet.Parse(out, packet.LinkEthernet)
			if err != nil {
				t.Fatal(err)
			}
			c.translated[i] = netip.AddrPortFrom(info.Src(out), info.SrcPort)
			if !cfg.Pool4.Contains(info.Src(out)) && !cfg.Pool6.Contains(info.Src(out)) {
				t.Fatalf("side %d: %s became %s", i, packet.Format(frame), packet.Format(out))
			}
			want = c.translated[i]
			kept[i] = info.SrcPort == c.inside.Port()
		}
		if expected == nil {
			expected = c.frame(fromOutside, want, flags, payload)
		}
		if d := packet.Diff(expected, out); len(d) > 0 {
			t.Fatalf("side %d: %s became %s: %v", i, packet.Format(frame), packet.Format(out), d)
		}
	}
	if len(sides) == 2 && kept[0] != kept[1] {
		t.Fatalf("%v to %v: bpfct gives it %v, the kernel %v", c.inside, c.outside, c.translated[0], c.translated[1])
	}
	c.opened = true
}

// errorAbout is an ICMP error that comes from one side, and how it must leave on the
// other: local is the inside end as the side that it comes from knows it, other as
// the side that it leaves for.
func (c *talk) errorAbout(fromOutside bool, local, other netip.AddrPort, flags uint16, payload []byte, cut int, router bool) (in, out []byte) {
	about, after := c.frame(!fromOutside, local, flags, payload), c.frame(!fromOutside, other, flags, payload)
	if !fromOutside {
		from := local.Addr()
		if router { // any router inside is hidden
			from = netip.MustParseAddr("10.0.9.9")
			if local.Addr().Is6() {
				from = netip.MustParseAddr("fd00::9:9")
			}
		}
		return quote(about, from, c.outside.Addr(), cut), quote(after, other.Addr(), c.outside.Addr(), cut)
	}
	from := c.outside.Addr()
	if router { // one outside keeps its address
		from = netip.MustParseAddr("192.0.2.1")
		if from.Is4() != local.Addr().Is4() {
			from = netip.MustParseAddr("2001:db8:ff::1")
		}
	}
	return quote(about, from, local.Addr(), cut), quote(after, from, other.Addr(), cut)
}

// TestTimeouts follows the life of entries on the clock that bpfct owns.
func TestTimeouts(t *testing.T) {
	cfg := config()
	cfg.NewTimeout, cfg.UDPTimeout, cfg.TCPTimeout, cfg.CloseTimeout = 5*time.Second, 60*time.Second, time.Hour, 3*time.Second
	type event struct {
		program, packet string
		advance         time.Duration
		left            int // connections afterwards
	}
	const (
		syn    = "10.0.0.7:1 > 198.51.100.9:2 tcp S seq 1"
		ack    = "10.0.0.7:1 > 198.51.100.9:2 tcp . seq 2 ack 1"
		fin    = "10.0.0.7:1 > 198.51.100.9:2 tcp F. seq 2 ack 1"
		rst    = "10.0.0.7:1 > 198.51.100.9:2 tcp R seq 2"
		synAck = "198.51.100.9:2 > 203.0.113.1:1 tcp S. seq 1 ack 2"
		answer = "198.51.100.9:2 > 203.0.113.1:1 tcp . seq 1 ack 2"
		query  = `10.0.0.7:1 > 198.51.100.9:2 udp "q"`
		reply  = `198.51.100.9:2 > 203.0.113.1:1 udp "a"`
	)
	e, i := natgw.Egress, natgw.Ingress
	for _, tt := range []struct {
		name   string
		events []event
	}{
		{"an entry without answer", []event{{e, syn, 0, 1}, {"", "", 4900 * time.Millisecond, 1}, {"", "", 101 * time.Millisecond, 0}}},
		{"further packets without an answer do not make it live longer", []event{{e, query, 3 * time.Second, 1}, {e, query, 3 * time.Second, 0}}},
		{"an answered TCP entry", []event{{e, syn, 0, 1}, {i, synAck, 59 * time.Minute, 1}, {e, ack, 59 * time.Minute, 1}, {"", "", 2 * time.Minute, 0}}},
		{"an answered UDP entry", []event{{e, query, 0, 1}, {i, reply, 59 * time.Second, 1}, {e, query, 59 * time.Second, 1}, {"", "", 2 * time.Second, 0}}},
		{"FIN, and packets after it", []event{{e, syn, 0, 1}, {i, synAck, 0, 1}, {e, fin, 2 * time.Second, 1}, {i, answer, 2 * time.Second, 1}, {e, ack, 2 * time.Second, 1}, {"", "", 2 * time.Second, 0}}},
		{"RST", []event{{e, syn, 0, 1}, {i, synAck, 0, 1}, {e, rst, 2 * time.Second, 1}, {"", "", 2 * time.Second, 0}}},
		{"a new connection over the same ports", []event{{e, syn, 0, 1}, {i, synAck, 0, 1}, {e, fin, 2 * time.Second, 1}, {e, syn, 4 * time.Second, 1}, {i, synAck, 30 * time.Minute, 1}}},
		{"after it is gone a stranger's packet is one", []event{{e, query, 6 * time.Second, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := newUser(t, cfg)
			for n, ev := range tt.events {
				if ev.program != "" {
					if ret, _ := u.run(t, ev.program, packet.MustParseText(ev.packet)); ret != ok {
						t.Fatalf("event %d, %s: verdict %d", n+1, ev.packet, ret)
					}
				}
				u.host.Clock().Advance(ev.advance)
				if flows, secs := u.flows(t); len(flows) != ev.left {
					t.Errorf("after event %d: %v, %v seconds left, want %d entries", n+1, flows, secs, ev.left)
				}
			}
			if flows, _ := u.flows(t); len(flows) == 0 {
				drop(t, u, i, reply)
			}
		})
	}
}
