package replay

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

// TestMangle wants a packet of a translated connection to be the very packet that
// the text with the other addresses is, checksums included, and an ICMP error about
// it too.
func TestMangle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v6 := rapid.Bool().Draw(t, "v6")
		kind := rapid.SampledFrom([]string{"tcp", "udp", "icmp"}).Draw(t, "proto")
		manip := rapid.SampledFrom([]conntrack.Manip{conntrack.ManipSrc, conntrack.ManipDst}).Draw(t, "manip")
		a, b, n := "10.0.0.1", "10.0.0.2", "203.0.113.1"
		if v6 {
			a, b, n = "fd00::1", "fd00::2", "2001:db8::9:1"
		}
		pa, pb := uint16(rapid.IntRange(1, 65535).Draw(t, "sport")), uint16(rapid.IntRange(1, 65535).Draw(t, "dport"))
		pn := uint16(rapid.IntRange(1, 65535).Draw(t, "port"))
		size := rapid.IntRange(0, 50).Draw(t, "size")
		text := func(src, dst string, sp, dp uint16, reply bool) string {
			if kind == "icmp" {
				name, what := "icmp", "request"
				if v6 {
					name = "icmp6"
				}
				if reply {
					what, sp = "reply", dp
				}
				return fmt.Sprintf("%s > %s %s echo %s id %d seq 3 len %d", src, dst, name, what, sp, size)
			}
			return fmt.Sprintf("%s > %s %s len %d", endpoint(src, sp), endpoint(dst, dp), map[string]string{"tcp": "tcp S seq 77", "udp": "udp"}[kind], size)
		}
		in := text(a, b, pa, pb, false)
		out := text(n, b, pn, pb, false)
		if manip == conntrack.ManipDst {
			out = text(a, n, pa, pn, false)
			if kind == "icmp" {
				out = text(a, n, pn, 0, false)
			}
		}
		to := conntrack.TupleFrom(map[string]uint8{"tcp": 6, "udp": 17, "icmp": 1}[kind], addrPort(n, pn), addrPort(b, pb))
		if manip == conntrack.ManipDst {
			to = conntrack.TupleFrom(to.Proto, addrPort(a, pa), addrPort(n, pn))
		}
		if kind == "icmp" {
			if v6 {
				to.Proto = packet.ProtoICMPv6
			}
			to.SrcPort = pn
		}
		check := func(in, out string, manip conntrack.Manip, to conntrack.Tuple) {
			frame := packet.MustParseText(in)
			info, err := packet.Parse(frame, packet.LinkEthernet)
			if err != nil {
				t.Fatal(err)
			}
			mangle(frame, &info, manip, &to)
			if d := packet.Diff(packet.MustParseText(out), frame); d != nil {
				t.Fatalf("%s\n%s\n%v", in, out, d)
			}
		}
		check(in, out, manip, to)

		// An error about what left goes back: its destination and the quoted source
		// become those of before, and the other way round.
		router, icmp, what := "192.0.2.77", "icmp", "time-exceeded in-transit"
		if v6 {
			router, icmp = "2001:db8::77", "icmp6"
		}
		back := conntrack.Tuple{Family: to.Family, Proto: to.Proto}
		if manip == conntrack.ManipSrc {
			back.Dst, back.DstPort = conntrack.AddrFrom(netip.MustParseAddr(a)), pa
			back.SrcPort = pa
			check(fmt.Sprintf("%s > %s %s %s (%s)", router, n, icmp, what, out), fmt.Sprintf("%s > %s %s %s (%s)", router, a, icmp, what, in), conntrack.ManipDst, back)
			return
		}
		back.Src, back.SrcPort = conntrack.AddrFrom(netip.MustParseAddr(b)), pb
		if kind == "icmp" {
			back.SrcPort = pa
		}
		check(fmt.Sprintf("%s > %s %s %s (%s)", n, a, icmp, what, out), fmt.Sprintf("%s > %s %s %s (%s)", b, a, icmp, what, in), conntrack.ManipSrc, back)
	})
}

func endpoint(addr string, port uint16) string {
	return addrPort(addr, port).String()
}

func addrPort(addr string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
}
