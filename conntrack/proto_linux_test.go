package conntrack_test

import (
	"strings"
	"testing"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/conntrack/internal/wire"
)

// lines sends packets in text form; the side is that of the source address.
func (b *beside) lines(script string) {
	b.tb.Helper()
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		from := wire.Client
		if strings.HasPrefix(line, "10.2.") || strings.HasPrefix(line, "[fd00:200") || strings.HasPrefix(line, "fd00:200") {
			from = wire.Server
		}
		if err := b.send(from, text(b.tb, "%s", line)); err != nil {
			b.tb.Errorf("%s: %v", line, err)
		}
	}
}

func TestKernelUDP(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	b.lines(`
		10.1.0.5:1000 > 10.2.0.5:53 udp "a"
		10.1.0.5:1000 > 10.2.0.5:53 udp "a"
		10.2.0.5:53 > 10.1.0.5:1000 udp "b"
		10.2.0.5:53 > 10.1.0.5:1000 udp "b"
		10.1.0.5:1000 > 10.2.0.5:53 udp "c"
		10.1.0.5:1001 > 10.2.0.5:53 udp sum 0 "no checksum"
		10.1.0.5:1002 > 10.2.0.5:53 udp sum 1 "bad checksum"
		10.1.0.5:1003 > 10.2.0.5:53 udp ulen 0 "a"
		10.1.0.5:1004 > 10.2.0.5:53 udp ulen 7 "a"
		10.1.0.5:1005 > 10.2.0.5:53 udp ulen 8 "a"
		10.1.0.5:1006 > 10.2.0.5:53 udp ulen 9 "a"
		10.1.0.5:1007 > 10.2.0.5:53 udp ulen 10 "a"
		10.1.0.5:1000 > 10.2.0.5:53 udp sum 1 "bad in a known one"
		[fd00:100::5]:1000 > [fd00:200::5]:53 udp "a"
		[fd00:200::5]:53 > [fd00:100::5]:1000 udp "a"
		[fd00:100::5]:1000 > [fd00:200::5]:53 udp sum 1 "a"
		[fd00:100::5]:1001 > [fd00:200::5]:53 udp sum 0 "a"
		[fd00:100::5]:1002 > [fd00:200::5]:53 hbh <> udp "a"
		[fd00:100::5]:1003 > [fd00:200::5]:53 dstopts <> udp "a"
		10.1.0.5 > 10.2.0.5 proto 17 hex:03e80035
		10.1.0.5 > 10.2.0.5 proto 17 hex:03e8003500
		10.1.0.5 > 10.2.0.5 proto 17 hex:03e800
	`)
	b.sysctl("nf_conntrack_checksum", 0)
	b.lines(`
		10.1.0.5:2000 > 10.2.0.5:53 udp sum 1 "bad checksum"
		10.1.0.5:2001 > 10.2.0.5:53 udp ulen 7 "a"
	`)
}

func TestKernelUDPLite(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	for _, p := range []string{
		"03e80035000000000000", // no checksum
		"03e80035000000010000", // wrong
		"03e80035000700010000",
		"03e80035000b00010000",
		"03e8003500080001",
		"03e8003500",
	} {
		b.lines("10.1.0.5 > 10.2.0.5 proto 136 hex:" + p)
	}
	b.sysctl("nf_conntrack_checksum", 0)
	for range 2 {
		b.lines("10.1.0.5 > 10.2.0.5 proto 136 hex:03e80035000000010000")
		b.lines("10.2.0.5 > 10.1.0.5 proto 136 hex:003503e8000000010000")
	}
}

func TestKernelICMP(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	b.lines(`
		10.1.0.5 > 10.2.0.5 icmp echo request id 7 seq 1
		10.1.0.5 > 10.2.0.5 icmp echo request id 7 seq 2
		10.2.0.5 > 10.1.0.5 icmp echo reply id 7 seq 1
		10.2.0.5 > 10.1.0.5 icmp echo reply id 8 seq 1
		10.2.0.5 > 10.1.0.5 icmp echo request id 7 seq 1
		10.1.0.5 > 10.2.0.5 icmp echo request id 9 seq 1 sum 1
		10.1.0.5:1000 > 10.2.0.5:53 udp "a"
		10.2.0.5 > 10.1.0.5 icmp unreachable port (10.1.0.5:1000 > 10.2.0.5:53 udp "a")
		10.2.0.9 > 10.1.0.5 icmp time-exceeded in-transit (10.1.0.5:1000 > 10.2.0.5:53 udp "a")
		10.2.0.9 > 10.1.0.6 icmp time-exceeded in-transit (10.1.0.5:1000 > 10.2.0.5:53 udp "a")
		10.1.0.9 > 10.2.0.5 icmp time-exceeded in-transit (10.2.0.5:53 > 10.1.0.5:1000 udp "a")
		10.1.0.9 > 10.2.0.6 icmp time-exceeded in-transit (10.2.0.5:53 > 10.1.0.5:1000 udp "a")
		10.2.0.5 > 10.1.0.5 icmp unreachable port (10.1.0.5:1001 > 10.2.0.5:53 udp "a")
		10.2.0.5 > 10.1.0.5 icmp unreachable port (10.1.0.5 > 10.2.0.5 icmp echo request id 7 seq 1)
		10.2.0.5 > 10.1.0.5 icmp unreachable port (10.1.0.5 > 10.2.0.5 icmp type 9)
		10.2.0.5 > 10.1.0.5 icmp unreachable port hex:00
		10.2.0.5 > 10.1.0.5 icmp unreachable port (10.1.0.5 > 10.2.0.5 frag 64 udp hex:03e8003500090000)
		10.2.0.5 > 10.1.0.5 icmp quench (10.1.0.5:1000 > 10.2.0.5:53 udp "a")
		10.2.0.5 > 10.1.0.5 icmp redirect host to 10.2.0.7 (10.1.0.5:1000 > 10.2.0.5:53 udp "a")
		10.2.0.5 > 10.1.0.5 icmp param-problem ptr 1 (10.1.0.5:1000 > 10.2.0.5:53 udp "a")
		10.2.0.5 > 10.1.0.5 icmp unreachable port sum 7 (10.1.0.5:1000 > 10.2.0.5:53 udp "a")
		10.1.0.5 > 10.2.0.5 proto 1 hex:08
		10.1.0.5 > 10.2.0.5 proto 58 hex:8000000000000000
		10.1.0.5 > 10.2.0.5 proto 58 hex:8100000000000000
		fd00:100::5 > fd00:200::5 proto 1 hex:0800000000000000
		fd00:100::5 > fd00:200::5 icmp6 echo request id 7 seq 1
		fd00:200::5 > fd00:100::5 icmp6 echo reply id 7 seq 1
		fd00:200::5 > fd00:100::5 icmp6 echo reply id 8 seq 1
		[fd00:100::5]:1000 > [fd00:200::5]:53 udp "a"
		fd00:200::9 > fd00:100::5 icmp6 too-big mtu 1280 ([fd00:100::5]:1000 > [fd00:200::5]:53 udp "a")
		fd00:200::9 > fd00:100::6 icmp6 too-big mtu 1280 ([fd00:100::5]:1000 > [fd00:200::5]:53 udp "a")
		fd00:200::9 > fd00:100::5 icmp6 too-big mtu 1280 ([fd00:100::5]:1001 > [fd00:200::5]:53 udp "a")
		fd00:200::9 > fd00:100::5 icmp6 too-big mtu 1280 ([fd00:100::5]:1000 > [fd00:200::5]:53 hbh <> udp "a")
		fd00:200::9 > fd00:100::5 icmp6 too-big mtu 1280 sum 5 ([fd00:100::5]:1000 > [fd00:200::5]:53 udp "a")
	`)
	for typ := range 256 {
		b.lines(strings.ReplaceAll("10.1.0.5 > 10.2.0.5 icmp type N rest 5", "N", itoa(typ)))
		b.lines(strings.ReplaceAll("10.2.0.5 > 10.1.0.5 icmp type N rest 5", "N", itoa(typ)))
		b.lines(strings.ReplaceAll("fd00:100::5 > fd00:200::5 icmp6 type N rest 5", "N", itoa(typ)))
		b.lines(strings.ReplaceAll("fd00:200::5 > fd00:100::5 icmp6 type N rest 5", "N", itoa(typ)))
	}
	if err := conntrack.Check(b.t); err != nil {
		t.Error(err)
	}
}

func TestKernelGREAndOthers(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	b.lines(`
		10.1.0.5 > 10.2.0.5 gre hex:00000800
		10.2.0.5 > 10.1.0.5 gre hex:00000800
		10.2.0.5 > 10.1.0.5 gre hex:00000800
		10.1.0.5 > 10.2.0.5 gre hex:00000800
		10.1.0.6 > 10.2.0.5 gre hex:3001880b000412340000
		10.2.0.5 > 10.1.0.6 gre hex:3001880b000456780000
		10.1.0.7 > 10.2.0.5 gre hex:30010800000412340000
		10.1.0.8 > 10.2.0.5 gre hex:3001
		10.1.0.8 > 10.2.0.5 gre hex:3001880b00
		10.1.0.9 > 10.2.0.5 proto 50 hex:0000000100000001
		10.2.0.5 > 10.1.0.9 proto 50 hex:0000000200000001
		10.2.0.5 > 10.1.0.9 proto 50 hex:0000000200000001
		10.1.0.9 > 10.2.0.5 proto 33 hex:000100020000000100000000
		10.1.0.9 > 10.2.0.5 proto 253
		fd00:100::5 > fd00:200::5 proto 253 hex:01
		fd00:100::5 > fd00:200::5 proto 59
		fd00:100::5 > fd00:200::5 dstopts <padn 4> proto 253 hex:01
	`)
}

// TestKernelCut sends a TCP segment and others cut at every length.
func TestKernelCut(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	for i, line := range []string{
		"10.1.0.5:N > 10.2.0.5:80 tcp S seq 1 win 100 <mss 1460,wscale 2,sackOK>",
		"10.1.0.5:N > 10.2.0.5:80 udp \"hello\"",
		"10.1.0.5 > 10.2.0.5 icmp echo request id N seq 1",
		"10.2.0.5 > 10.1.0.5 icmp unreachable port (10.1.0.5:80 > 10.2.0.5:53 udp \"a\")",
		"[fd00:100::5]:N > [fd00:200::5]:80 tcp S seq 1 win 100 <mss 1460,wscale 2,sackOK>",
		"fd00:200::9 > fd00:100::5 icmp6 too-big mtu 1280 ([fd00:100::5]:N > [fd00:200::5]:53 udp \"a\")",
	} {
		for n := range 60 {
			pkt := text(t, "%s", strings.ReplaceAll(line, "N", itoa(1000+n)))
			hdr := 20
			if pkt[0]>>4 == 6 {
				hdr = 40
			}
			if hdr+n > len(pkt) {
				break
			}
			pkt = pkt[:hdr+n]
			if hdr == 20 {
				pkt[3], pkt[10], pkt[11] = byte(hdr+n), 0, 0
				sum := ^ipSum(pkt[:20])
				pkt[10], pkt[11] = byte(sum>>8), byte(sum)
			} else {
				pkt[5] = byte(n)
			}
			for _, sum := range []int{0, 1} {
				b.sysctl("nf_conntrack_checksum", sum)
				from := wire.Client
				if i == 3 || i == 5 {
					from = wire.Server
				}
				if err := b.send(from, pkt); err != nil {
					t.Errorf("%s cut to %d: %v", line, n, err)
				}
			}
		}
	}
}
