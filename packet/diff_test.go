package packet

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want []string
	}{
		{"10.0.0.1:1 > 10.0.0.2:80 tcp S", "10.0.0.1:1 > 10.0.0.2:80 tcp S", nil},
		{"10.0.0.1:1 > 10.0.0.2:80 tcp S seq 1", "5.5.5.5:5555 > 10.0.0.2:80 tcp S seq 1", []string{
			"ipv4.checksum 0x66ce != 0x66c5", "ipv4.src 10.0.0.1 != 5.5.5.5", "tcp.sport 1 != 5555", "tcp.checksum 0xa09d != 0x8ae2",
		}},
		{"vlan 5 10.0.0.1:1 > 10.0.0.2:80 udp sum 0", "10.0.0.1:1 > 10.0.0.2:80 udp sum 0", []string{
			"vlan.tpid 0x8100 != (none)", "vlan.pcp 0 != (none)", "vlan.dei false != (none)", "vlan.id 5 != (none)",
		}},
		{`10.0.0.1:1 > 10.0.0.2:2 udp sum 0 "hello world"`, `10.0.0.1:1 > 10.0.0.2:2 udp sum 0 "hElLo worlds" ipsum 0 iplen 39 ulen 19`, []string{
			"ipv4.checksum 0x66c4 != 0x0000", "udp.payload[1:2] 65 != 45", "udp.payload[3:4] 6c != 4c",
			"frame.trailer (none) != 73",
		}},
		{`10.0.0.1:1 > 10.0.0.2:2 udp sum 0 "abc"`, `10.0.0.1:1 > 10.0.0.2:2 udp sum 0 "abcd"`, []string{
			"ipv4.length 31 != 32", "ipv4.checksum 0x66cc != 0x66cb", "udp.length 11 != 12", "udp.payload.length 3 != 4",
		}},
		{"10.0.0.1 > 10.0.0.2 icmp echo request id 1 seq 2 sum 0", "10.0.0.1 > 10.0.0.2 icmp echo reply id 3 seq 4 sum 0", []string{
			"icmp.type 8 != 0", "icmp.id 1 != 3", "icmp.seq 2 != 4",
		}},
		{"10.0.0.2 > 10.0.0.1 icmp unreachable port sum 0 (10.0.0.1:5 > 10.0.0.2:6 udp sum 0)", "10.0.0.2 > 10.0.0.1 icmp unreachable port sum 0 (5.5.5.5:7 > 10.0.0.2:6 udp sum 0)", []string{
			"quoted ipv4.checksum 0x66cf != 0x66c6", "quoted ipv4.src 10.0.0.1 != 5.5.5.5", "quoted udp.sport 5 != 7",
		}},
		{"10.0.0.1:1 > 10.0.0.2:2 tos 4 ttl 9 df ipsum 0 tcp S sum 0 <mss 5>", "10.0.0.1:1 > 10.0.0.2:2 tos 8 ttl 8 frag 0+ ipid 1 ipsum 0 tcp S. win 1 urg 1 sum 0 <mss 6>", []string{
			"ipv4.tos 0x04 != 0x08", "ipv4.id 0 != 1", "ipv4.flags df != mf", "ipv4.ttl 9 != 8",
			"tcp.flags S != S.", "tcp.window 64240 != 1", "tcp.urgent 0 != 1", "tcp.options <mss 5> != <mss 6>",
		}},
		{"[::1]:1 > [::2]:2 flow 1 hbh <ra 0> udp sum 1", "[::1]:1 > [::3]:2 tos 1 hbh <ra 1> udp sum 1", []string{
			"ipv6.tclass 0x00 != 0x01", "ipv6.flow 0x00001 != 0x00000", "ipv6.dst ::2 != ::3", "ipv6.hbh <ra 0> != <ra 1>",
		}},
		{"arp who-has 10.0.0.1 tell 10.0.0.2", "arp reply 10.0.0.2 is-at 02:00:00:00:00:01 to 10.0.0.9", []string{
			"arp.op 1 != 2", "arp.tha 00:00:00:00:00:00 != 02:00:00:00:00:02", "arp.tpa 10.0.0.1 != 10.0.0.9",
		}},
		{"type 0x88b5 hex:0102", "eth 02:00:00:00:00:01>02:00:00:00:00:09 type 0x88b6 hex:0304", []string{
			"eth.dst 02:00:00:00:00:02 != 02:00:00:00:00:09", "eth.type 0x88b5 != 0x88b6", "frame.payload[0:2] 0102 != 0304",
		}},
		{"frame hex:01", "frame hex:02", []string{"frame.bytes[0:1] 01 != 02"}},
		{"10.0.0.1 > 10.0.0.2 gre hex:01 trailer hex:01", "10.0.0.1 > 10.0.0.2 gre hex:01", []string{"frame.trailer 01 != (none)"}},
		{"10.0.0.1 > 10.0.0.2 gre hex:01", "10.0.0.1 > 10.0.0.2 gre hex:01 trailer hex:01", []string{"frame.trailer (none) != 01"}},
		{"10.0.0.1:1 > 10.0.0.2:2 udp sum 0 ipsum 0", "10.0.0.1 > 10.0.0.2 ipsum 0 sctp hex:000100020000000700000000 len 1 iplen 28", []string{
			"ipv4.proto udp != sctp", "udp.sport 1 != (none)", "udp.dport 2 != (none)", "udp.length 8 != (none)", "udp.checksum 0x0000 != (none)",
			"sctp.payload (none) != 0001000200000007", "frame.trailer (none) != 0000000000",
		}},
	} {
		a, b := MustParseText(c.a), MustParseText(c.b)
		var got []string
		for _, d := range Diff(a, b) {
			got = append(got, d.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s\n%s (-want +got):\n%s", c.a, c.b, diff)
		}
	}
}

func TestDiffOffsets(t *testing.T) {
	a := MustParseText(`vlan 5 10.0.0.1:1 > 10.0.0.2:2 ipsum 0 udp sum 0 "ab"`)
	b := MustParseText(`vlan 6 10.0.0.3:1 > 10.0.0.2:2 ipsum 0 udp sum 0 "ac"`)
	want := []FieldDiff{
		{"vlan", "id", "5", "6", 14},
		{"ipv4", "src", "10.0.0.1", "10.0.0.3", 30},
		{"udp", "payload[1:2]", "62", "63", 47},
	}
	if diff := cmp.Diff(want, Diff(a, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Frames differ exactly if their bytes do, and every single byte that is
// changed is seen.
func TestDiffMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := build(t, genFrame(t))
		if d := Diff(a, bytes.Clone(a)); d != nil {
			t.Fatalf("equal frames differ: %v", d)
		}
		b := bytes.Clone(a)
		at := rapid.IntRange(0, len(a)-1).Draw(t, "at")
		b[at] ^= rapid.ByteRange(1, 255).Draw(t, "bits")
		d := Diff(a, b)
		if len(d) == 0 {
			t.Fatalf("byte %d of %x changed, no difference", at, a)
		}
		for _, d := range d {
			if d.Offset < 0 || d.Offset > len(a) || d.A == d.B {
				t.Fatalf("byte %d of %x changed, %+v", at, a, d)
			}
		}
	})
}

func TestDiffLink(t *testing.T) {
	a := append([]byte{2, 0, 0, 0}, MustParseText("10.0.0.1 > 10.0.0.2 ttl 5 ipsum 0 gre")[14:]...)
	b := bytes.Clone(a)
	b[12]--
	want := []FieldDiff{{"ipv4", "ttl", "5", "4", 12}}
	if diff := cmp.Diff(want, DiffLink(a, b, LinkNull)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
