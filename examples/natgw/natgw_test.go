package natgw_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/examples/natgw"
	"github.com/bpfct/bpfct/packet"
)

// The verdicts of the gateway.
const (
	ok       = 0
	shot     = 2
	redirect = 7
)

// pass runs a packet that must come out as want with the verdict, checksums right.
func pass(t *testing.T, s side, program, in string, verdict uint32, want string) []byte {
	t.Helper()
	ret, out := s.run(t, program, packet.MustParseText(in))
	if ret != verdict {
		t.Errorf("%s\n  verdict %d, want %d", in, ret, verdict)
	}
	if d := packet.Diff(packet.MustParseText(want), out); len(d) > 0 {
		t.Errorf("%s\n  became %s\n  want   %s\n  %v", in, packet.Format(out), want, d)
	}
	verify(t, out)
	return out
}

// drop runs a packet that must be dropped and left as it was.
func drop(t *testing.T, s side, program, in string) {
	t.Helper()
	frame := packet.MustParseText(in)
	ret, out := s.run(t, program, frame)
	if ret != shot {
		t.Errorf("%s\n  verdict %d, want it dropped: %s", in, ret, packet.Format(out))
	}
	if d := packet.Diff(frame, out); len(d) > 0 {
		t.Errorf("%s\n  dropped, but changed to %s", in, packet.Format(out))
	}
}

// verify checks the checksums of a packet, and of a whole packet quoted in it.
func verify(t rapid.TB, frame []byte) {
	t.Helper()
	check := func(what string, frame []byte, link packet.LinkType) packet.Info {
		info, err := packet.Parse(frame, link)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return info
		}
		if err := packet.VerifyL3(frame, &info); err != nil {
			t.Errorf("%s %s: %v", what, packet.Format(frame), err)
		}
		if err := packet.VerifyL4(frame, &info); err != nil {
			t.Errorf("%s %s: %v", what, packet.Format(frame), err)
		}
		return info
	}
	info := check("packet", frame, packet.LinkEthernet)
	if info.Inner.Version != 0 && !info.Inner.Truncated {
		check("quoted", frame[info.Inner.Network:info.Inner.End], packet.LinkRaw)
	}
}

func expectFlows(t *testing.T, s side, want ...string) {
	t.Helper()
	got, _ := s.flows(t)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("connections:\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestConversation(t *testing.T) {
	type step struct {
		program, in, out string
	}
	b := newBoth(t, config())
	for _, tt := range []struct {
		name  string
		steps []step
		flow  string
		life  time.Duration
	}{
		{"TCP over IPv4", []step{
			{natgw.Egress, "10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1 <mss 1460>", "203.0.113.1:40000 > 198.51.100.9:443 tcp S seq 1 <mss 1460>"},
			{natgw.Ingress, "198.51.100.9:443 > 203.0.113.1:40000 tcp S. seq 9 ack 2", "198.51.100.9:443 > 10.0.0.7:40000 tcp S. seq 9 ack 2"},
			{natgw.Egress, `10.0.0.7:40000 > 198.51.100.9:443 tcp P. seq 2 ack 10 "hello"`, `203.0.113.1:40000 > 198.51.100.9:443 tcp P. seq 2 ack 10 "hello"`},
		}, "6 10.0.0.7:40000 > 198.51.100.9:443 | 198.51.100.9:443 > 203.0.113.1:40000 status 0x9e mark 0", 432000 * time.Second},
		{"TCP over IPv6", []step{
			{natgw.Egress, "[fd00::7]:40000 > [2001:db8::9]:443 tcp S seq 1", "[2001:db8:1::1]:40000 > [2001:db8::9]:443 tcp S seq 1"},
			{natgw.Ingress, "[2001:db8::9]:443 > [2001:db8:1::1]:40000 tcp S. seq 9 ack 2", "[2001:db8::9]:443 > [fd00::7]:40000 tcp S. seq 9 ack 2"},
			{natgw.Egress, `[fd00::7]:40000 > [2001:db8::9]:443 tcp . seq 2 ack 10`, `[2001:db8:1::1]:40000 > [2001:db8::9]:443 tcp . seq 2 ack 10`},
		}, "6 [fd00::7]:40000 > [2001:db8::9]:443 | [2001:db8::9]:443 > [2001:db8:1::1]:40000 status 0x9e mark 0", 432000 * time.Second},
		{"UDP over IPv4", []step{
			{natgw.Egress, `10.0.0.7:5353 > 198.51.100.53:53 udp "query"`, `203.0.113.1:5353 > 198.51.100.53:53 udp "query"`},
			{natgw.Ingress, `198.51.100.53:53 > 203.0.113.1:5353 udp "answer"`, `198.51.100.53:53 > 10.0.0.7:5353 udp "answer"`},
		}, "17 10.0.0.7:5353 > 198.51.100.53:53 | 198.51.100.53:53 > 203.0.113.1:5353 status 0x9a mark 0", 120 * time.Second},
		{"UDP over IPv6", []step{
			{natgw.Egress, `[fd00::7]:5353 > [2001:db8::53]:53 udp "query"`, `[2001:db8:1::1]:5353 > [2001:db8::53]:53 udp "query"`},
			{natgw.Ingress, `[2001:db8::53]:53 > [2001:db8:1::1]:5353 udp "answer"`, `[2001:db8::53]:53 > [fd00::7]:5353 udp "answer"`},
		}, "17 [fd00::7]:5353 > [2001:db8::53]:53 | [2001:db8::53]:53 > [2001:db8:1::1]:5353 status 0x9a mark 0", 120 * time.Second},
		{"UDP without a checksum keeps none", []step{
			{natgw.Egress, `10.0.0.7:5353 > 198.51.100.53:53 udp sum 0 "query"`, `203.0.113.1:5353 > 198.51.100.53:53 udp sum 0 "query"`},
		}, "17 10.0.0.7:5353 > 198.51.100.53:53 | 198.51.100.53:53 > 203.0.113.1:5353 status 0x98 mark 0", 30 * time.Second},
		{"IPv4 options", []step{
			{natgw.Egress, `10.0.0.7:1 > 198.51.100.9:2 ipopt <ra> udp "x"`, `203.0.113.1:1 > 198.51.100.9:2 ipopt <ra> udp "x"`},
		}, "17 10.0.0.7:1 > 198.51.100.9:2 | 198.51.100.9:2 > 203.0.113.1:1 status 0x98 mark 0", 30 * time.Second},
		{"IPv6 extension headers", []step{
			{natgw.Egress, `[fd00::7]:1 > [2001:db8::9]:2 hbh <ra 0> dstopts <pad1> udp "x"`, `[2001:db8:1::1]:1 > [2001:db8::9]:2 hbh <ra 0> dstopts <pad1> udp "x"`},
		}, "17 [fd00::7]:1 > [2001:db8::9]:2 | [2001:db8::9]:2 > [2001:db8:1::1]:1 status 0x98 mark 0", 30 * time.Second},
		{"the first fragment", []step{
			{natgw.Egress, `10.0.0.7:1 > 198.51.100.9:2 ipid 5 mf udp sum 0x1234 ulen 2000 len 64`, ``},
		}, "17 10.0.0.7:1 > 198.51.100.9:2 | 198.51.100.9:2 > 203.0.113.1:1 status 0x98 mark 0", 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.each(t, func(t *testing.T, s side) {
				for _, st := range tt.steps {
					if st.out == "" {
						if ret, _ := s.run(t, st.program, packet.MustParseText(st.in)); ret != ok {
							t.Errorf("%s: verdict %d", st.in, ret)
						}
						continue
					}
					pass(t, s, st.program, st.in, ok, st.out)
				}
				expectFlows(t, s, tt.flow)
				if _, secs := s.flows(t); len(secs) != 1 || !within(secs[0], tt.life) {
					t.Errorf("%v seconds left, want %v", secs, tt.life)
				}
			})
		})
	}
}

// TestPortCollision opens two connections that would look alike outside. The port
// that the second is given is any free one.
func TestPortCollision(t *testing.T) {
	newBoth(t, config()).each(t, func(t *testing.T, s side) {
		pass(t, s, natgw.Egress, "10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1", ok, "203.0.113.1:40000 > 198.51.100.9:443 tcp S seq 1")
		ret, out := s.run(t, natgw.Egress, packet.MustParseText("10.0.0.8:40000 > 198.51.100.9:443 tcp S seq 1"))
		info, err := packet.Parse(out, packet.LinkEthernet)
		if ret != ok || err != nil || info.Src(out) != netip.MustParseAddr("203.0.113.1") {
			t.Fatalf("verdict %d, %v: %s", ret, err, packet.Format(out))
		}
		if info.SrcPort == 40000 || info.SrcPort < 1024 {
			t.Errorf("port %d", info.SrcPort)
		}
		verify(t, out)
		// The answer finds its way.
		answer := fmt.Sprintf("198.51.100.9:443 > 203.0.113.1:%d tcp S. seq 9 ack 2", info.SrcPort)
		pass(t, s, natgw.Ingress, answer, ok, "198.51.100.9:443 > 10.0.0.8:40000 tcp S. seq 9 ack 2")
		// Linux maps one source to one port as long as it can: towards another server the
		// second host keeps the port that it was given, although its own is free there.
		pass(t, s, natgw.Egress, "10.0.0.8:40000 > 198.51.100.10:443 tcp S seq 1", ok,
			fmt.Sprintf("203.0.113.1:%d > 198.51.100.10:443 tcp S seq 1", info.SrcPort))
	})
}

func TestPoolOfSeveralAddresses(t *testing.T) {
	cfg := config()
	cfg.Pool4 = netip.MustParsePrefix("203.0.113.4/30")
	cfg.Pool6 = netip.MustParsePrefix("2001:db8:1::8/126")
	newBoth(t, cfg).each(t, func(t *testing.T, s side) {
		seen := map[netip.Addr]int{}
		for host := range 8 {
			for _, text := range []string{
				fmt.Sprintf("10.0.0.%d:4000 > 198.51.100.9:443 tcp S seq 1", host),
				fmt.Sprintf("[fd00::%x]:4000 > [2001:db8::9]:443 tcp S seq 1", host),
			} {
				_, out := s.run(t, natgw.Egress, packet.MustParseText(text))
				info, err := packet.Parse(out, packet.LinkEthernet)
				if err != nil {
					t.Fatal(err)
				}
				if a := info.Src(out); !cfg.Pool4.Contains(a) && !cfg.Pool6.Contains(a) {
					t.Errorf("%s got %v", text, a)
				}
				seen[info.Src(out)]++
				verify(t, out)
				// A host keeps its address whatever it talks to.
				_, again := s.run(t, natgw.Egress, packet.MustParseText(strings.Replace(text, ":443", ":80", 1)))
				if other, err := packet.Parse(again, packet.LinkEthernet); err != nil || other.Src(again) != info.Src(out) {
					t.Errorf("%s: first %v, then %v, %v", text, info.Src(out), other.Src(again), err)
				}
			}
		}
		for a, n := range seen {
			if len(seen) != 8 || n != 2 {
				t.Errorf("%v has %d hosts, want 2 on each of 8 addresses", a, n)
			}
		}
		drop(t, s, natgw.Ingress, "198.51.100.66:1 > 203.0.113.7:1 tcp S seq 1") // the last of the pool
		pass(t, s, natgw.Ingress, "198.51.100.66:1 > 203.0.113.8:1 tcp S seq 1", ok, "198.51.100.66:1 > 203.0.113.8:1 tcp S seq 1")
	})
}

func TestICMPErrors(t *testing.T) {
	b := newBoth(t, config())
	for _, tt := range []struct{ name, open, program, in, out string }{
		{"a router outside, quoting 8 bytes of TCP", "10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1", natgw.Ingress,
			"192.0.2.1 > 203.0.113.1 icmp time-exceeded in-transit (203.0.113.1:40000 > 198.51.100.9:443 tcp S seq 1 cut 8)",
			"192.0.2.1 > 10.0.0.7 icmp time-exceeded in-transit (10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1 cut 8)"},
		{"the server, quoting all of TCP", "10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1", natgw.Ingress,
			"198.51.100.9 > 203.0.113.1 icmp unreachable port (203.0.113.1:40000 > 198.51.100.9:443 tcp S seq 1)",
			"198.51.100.9 > 10.0.0.7 icmp unreachable port (10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1)"},
		{"the server, quoting all of UDP", `10.0.0.7:5353 > 198.51.100.53:53 udp "query"`, natgw.Ingress,
			`198.51.100.53 > 203.0.113.1 icmp unreachable port (203.0.113.1:5353 > 198.51.100.53:53 udp "query")`,
			`198.51.100.53 > 10.0.0.7 icmp unreachable port (10.0.0.7:5353 > 198.51.100.53:53 udp "query")`},
		{"UDP without a checksum", `10.0.0.7:5353 > 198.51.100.53:53 udp sum 0 "query"`, natgw.Ingress,
			`198.51.100.53 > 203.0.113.1 icmp unreachable port (203.0.113.1:5353 > 198.51.100.53:53 udp sum 0 "query")`,
			`198.51.100.53 > 10.0.0.7 icmp unreachable port (10.0.0.7:5353 > 198.51.100.53:53 udp sum 0 "query")`},
		{"path MTU", "10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1", natgw.Ingress,
			"192.0.2.1 > 203.0.113.1 icmp unreachable frag mtu 1400 (203.0.113.1:40000 > 198.51.100.9:443 tcp S seq 1 len 100)",
			"192.0.2.1 > 10.0.0.7 icmp unreachable frag mtu 1400 (10.0.0.7:40000 > 198.51.100.9:443 tcp S seq 1 len 100)"},
		{"IPv6, too big", "[fd00::7]:40000 > [2001:db8::9]:443 tcp S seq 1", natgw.Ingress,
			"2001:db8:ff::1 > 2001:db8:1::1 icmp6 too-big mtu 1280 ([2001:db8:1::1]:40000 > [2001:db8::9]:443 tcp S seq 1 len 100)",
			"2001:db8:ff::1 > fd00::7 icmp6 too-big mtu 1280 ([fd00::7]:40000 > [2001:db8::9]:443 tcp S seq 1 len 100)"},
		{"IPv6, quoting 8 bytes", "[fd00::7]:40000 > [2001:db8::9]:443 tcp S seq 1", natgw.Ingress,
			"2001:db8:ff::1 > 2001:db8:1::1 icmp6 time-exceeded in-transit ([2001:db8:1::1]:40000 > [2001:db8::9]:443 tcp S seq 1 cut 8)",
			"2001:db8:ff::1 > fd00::7 icmp6 time-exceeded in-transit ([fd00::7]:40000 > [2001:db8::9]:443 tcp S seq 1 cut 8)"},
		{"from the inside host", `10.0.0.7:5353 > 198.51.100.53:53 udp "query"`, natgw.Egress,
			`10.0.0.7 > 198.51.100.53 icmp unreachable port (198.51.100.53:53 > 10.0.0.7:5353 udp "answer")`,
			`203.0.113.1 > 198.51.100.53 icmp unreachable port (198.51.100.53:53 > 203.0.113.1:5353 udp "answer")`},
		{"from a router inside, which is hidden as well", `10.0.0.7:5353 > 198.51.100.53:53 udp "query"`, natgw.Egress,
			`10.0.0.254 > 198.51.100.53 icmp unreachable host (198.51.100.53:53 > 10.0.0.7:5353 udp "answer")`,
			`203.0.113.1 > 198.51.100.53 icmp unreachable host (198.51.100.53:53 > 203.0.113.1:5353 udp "answer")`},
		{"IPv6 from the inside host", `[fd00::7]:5353 > [2001:db8::53]:53 udp "query"`, natgw.Egress,
			`fd00::7 > 2001:db8::53 icmp6 unreachable port ([2001:db8::53]:53 > [fd00::7]:5353 udp "answer")`,
			`2001:db8:1::1 > 2001:db8::53 icmp6 unreachable port ([2001:db8::53]:53 > [2001:db8:1::1]:5353 udp "answer")`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The text form computes the right checksums of outer and quoted packet, of a
			// quote that is cut as well: it is cut after they were computed.
			for _, text := range []string{tt.in, tt.out} {
				verify(t, packet.MustParseText(text))
			}
			b.each(t, func(t *testing.T, s side) {
				if ret, _ := s.run(t, natgw.Egress, packet.MustParseText(tt.open)); ret != ok {
					t.Fatalf("%s: verdict %d", tt.open, ret)
				}
				_, before := s.flows(t)
				pass(t, s, tt.program, tt.in, ok, tt.out)
				if _, after := s.flows(t); len(after) != len(before) {
					t.Errorf("an error made an entry: %v, then %v", before, after)
				}
				if n := s.outcomes(t); n[natgw.ICMPError] != 1 {
					t.Errorf("outcomes %v", n)
				}
			})
		})
	}
}

// TestICMPErrorsOfNobody drops errors about connections that are not there.
func TestICMPErrorsOfNobody(t *testing.T) {
	newBoth(t, config()).each(t, func(t *testing.T, s side) {
		drop(t, s, natgw.Ingress, "192.0.2.1 > 203.0.113.1 icmp time-exceeded in-transit (203.0.113.1:40000 > 198.51.100.9:443 tcp S seq 1 cut 8)")
		drop(t, s, natgw.Egress, "10.0.0.7 > 198.51.100.9 icmp unreachable port (198.51.100.9:443 > 10.0.0.7:40000 tcp S seq 1 cut 8)")
		if n := s.outcomes(t); n[natgw.Unsolicited] != 2 {
			t.Errorf("outcomes %v", n)
		}
	})
}

func TestPortForward(t *testing.T) {
	newBoth(t, config()).each(t, func(t *testing.T, s side) {
		s.forward(t, conntrack.ProtoTCP, 80, netip.MustParseAddrPort("10.0.0.80:8080"))
		s.forward(t, conntrack.ProtoUDP, 53, netip.MustParseAddrPort("[fd00::53]:5353"))
		pass(t, s, natgw.Ingress, "198.51.100.77:50123 > 203.0.113.1:80 tcp S seq 9", ok, "198.51.100.77:50123 > 10.0.0.80:8080 tcp S seq 9")
		pass(t, s, natgw.Egress, "10.0.0.80:8080 > 198.51.100.77:50123 tcp S. seq 1 ack 10", ok, "203.0.113.1:80 > 198.51.100.77:50123 tcp S. seq 1 ack 10")
		pass(t, s, natgw.Ingress, `[2001:db8::77]:999 > [2001:db8:1::1]:53 udp "q"`, ok, `[2001:db8::77]:999 > [fd00::53]:5353 udp "q"`)
		pass(t, s, natgw.Egress, `[fd00::53]:5353 > [2001:db8::77]:999 udp "a"`, ok, `[2001:db8:1::1]:53 > [2001:db8::77]:999 udp "a"`)
		expectFlows(t, s,
			"17 [2001:db8::77]:999 > [2001:db8:1::1]:53 | [fd00::53]:5353 > [2001:db8::77]:999 status 0x12a mark 0",
			"6 198.51.100.77:50123 > 203.0.113.1:80 | 10.0.0.80:8080 > 198.51.100.77:50123 status 0x12e mark 0")
		// The forward is of one protocol and family.
		drop(t, s, natgw.Ingress, `198.51.100.77:50123 > 203.0.113.1:80 udp "x"`)
		drop(t, s, natgw.Ingress, `[2001:db8::77]:1 > [2001:db8:1::1]:80 tcp S seq 1`)
	})
}

func TestHairpin(t *testing.T) {
	newBoth(t, config()).each(t, func(t *testing.T, s side) {
		s.forward(t, conntrack.ProtoTCP, 80, netip.MustParseAddrPort("10.0.0.80:8080"))
		pass(t, s, natgw.Egress, "10.0.0.9:41000 > 203.0.113.1:80 tcp S seq 5", redirect, "203.0.113.1:41000 > 10.0.0.80:8080 tcp S seq 5")
		pass(t, s, natgw.Egress, "10.0.0.80:8080 > 203.0.113.1:41000 tcp S. seq 8 ack 6", redirect, "203.0.113.1:80 > 10.0.0.9:41000 tcp S. seq 8 ack 6")
		pass(t, s, natgw.Egress, "10.0.0.9:41000 > 203.0.113.1:80 tcp . seq 6 ack 9", redirect, "203.0.113.1:41000 > 10.0.0.80:8080 tcp . seq 6 ack 9")
		// The server complains: both ends of the error are translated.
		pass(t, s, natgw.Egress, "10.0.0.80 > 203.0.113.1 icmp unreachable port (203.0.113.1:41000 > 10.0.0.80:8080 tcp . seq 6 ack 9)", redirect,
			"203.0.113.1 > 10.0.0.9 icmp unreachable port (10.0.0.9:41000 > 203.0.113.1:80 tcp . seq 6 ack 9)")
		expectFlows(t, s, "6 10.0.0.9:41000 > 203.0.113.1:80 | 10.0.0.80:8080 > 203.0.113.1:41000 status 0x1be mark 0")
		drop(t, s, natgw.Egress, "10.0.0.9:41000 > 203.0.113.1:81 tcp S seq 5") // no such forward
	})
}

func TestLeftAlone(t *testing.T) {
	newBoth(t, config()).each(t, func(t *testing.T, s side) {
		for _, text := range []string{
			"192.168.1.1:1 > 198.51.100.9:2 tcp S seq 1", // not of the inside network
			"10.0.0.7 > 198.51.100.9 icmp echo request id 7 seq 1",
			"10.0.0.7 > 198.51.100.9 gre hex:0000",
			"arp who-has 10.0.0.2 tell 10.0.0.1",
			"fd00::7 > 2001:db8::9 icmp6 echo request id 7 seq 1",
		} {
			pass(t, s, natgw.Egress, text, ok, text)
		}
		for _, text := range []string{
			"198.51.100.9:1 > 192.0.2.1:2 tcp S seq 1", // not for the pool
			"198.51.100.9 > 203.0.113.1 icmp echo request id 7 seq 1",
		} {
			pass(t, s, natgw.Ingress, text, ok, text)
		}
		expectFlows(t, s)
	})
}

func TestDropped(t *testing.T) {
	b := newBoth(t, config())
	for _, tt := range []struct {
		name, program, in string
		want              natgw.Outcome
	}{
		{"unsolicited TCP", natgw.Ingress, "198.51.100.66:6667 > 203.0.113.1:31337 tcp S seq 1", natgw.Unsolicited},
		{"unsolicited UDP", natgw.Ingress, `[2001:db8::66]:1 > [2001:db8:1::1]:2 udp "x"`, natgw.Unsolicited},
		{"a reset of nobody's connection opens none", natgw.Egress, "10.0.0.7:1 > 198.51.100.9:2 tcp R seq 1", natgw.Unsolicited},
		{"a later fragment out", natgw.Egress, "10.0.0.7 > 198.51.100.9 ipid 7 frag 1480 udp hex:00112233", natgw.Malformed},
		{"a later fragment in", natgw.Ingress, "198.51.100.9 > 203.0.113.1 ipid 7 frag 1480 udp hex:00112233", natgw.Malformed},
		{"cut within the ports", natgw.Egress, `10.0.0.7:1 > 198.51.100.9:2 udp "x" cut 3`, natgw.Malformed},
		{"cut within TCP", natgw.Egress, `10.0.0.7:1 > 198.51.100.9:2 tcp S seq 1 cut 12`, natgw.Malformed},
		{"an error with half a quote", natgw.Ingress, "192.0.2.1 > 203.0.113.1 icmp unreachable port hex:4500", natgw.Malformed},
		{"an error about a later fragment", natgw.Ingress, "192.0.2.1 > 203.0.113.1 icmp time-exceeded reassembly (203.0.113.1 > 198.51.100.9 ipid 7 frag 1480 udp hex:00112233)", natgw.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.each(t, func(t *testing.T, s side) {
				drop(t, s, tt.program, tt.in)
				if n := s.outcomes(t); n[tt.want] != 1 {
					t.Errorf("outcomes %v, want one of %d", n, tt.want)
				}
				expectFlows(t, s)
			})
		})
	}
}

// TestExhausted opens connections with one reply tuple left: none is free when the
// destination is one port and the translation has none to search.
func TestExhausted(t *testing.T) {
	newBoth(t, config()).each(t, func(t *testing.T, s side) {
		// Ports below 512 are translated to ports below 512 only (RFC 6056 aside, what
		// privileged services expect), so 511 hosts use them up.
		failed := 0
		for host := range 520 {
			in := fmt.Sprintf(`10.0.%d.%d:500 > 198.51.100.9:500 udp "ike"`, host/250, host%250+1)
			if ret, out := s.run(t, natgw.Egress, packet.MustParseText(in)); ret == shot {
				failed++
			} else {
				verify(t, out)
			}
		}
		flows, _ := s.flows(t)
		if len(flows)+failed != 520 || failed == 0 {
			t.Errorf("%d connections, %d packets dropped", len(flows), failed)
		}
		if n := s.outcomes(t); n[natgw.Exhausted] != uint64(failed) || n[natgw.Opened] != uint64(len(flows)) {
			t.Errorf("outcomes %v", n)
		}
	})
}
