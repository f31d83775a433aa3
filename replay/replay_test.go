package replay

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// handshake opens a connection and sends data on it, once far out of the window.
const handshake = `
10.0.0.1:1234 > 10.0.0.2:80 tcp S seq 1000 win 64240 <mss 1460, sackOK, wscale 7>
+0.010 10.0.0.2:80 > 10.0.0.1:1234 tcp S. seq 5000 ack 1001 win 65160 <mss 1460, sackOK, wscale 7>
+0.001 10.0.0.1:1234 > 10.0.0.2:80 tcp . seq 1001 ack 5001 win 502
+0.001 10.0.0.1:1234 > 10.0.0.2:80 tcp P. seq 1001 ack 5001 win 502 "GET / HTTP/1.0\r\n\r\n"
+0.050 10.0.0.2:80 > 10.0.0.1:1234 tcp . seq 900005001 ack 1019 win 509 len 1000
`

// conversations has something of everything.
const conversations = handshake + `
0.01 10.0.0.1:53 > 10.0.0.2:53 udp "x"
+1 10.0.0.3 > 10.0.0.1 icmp unreachable port (10.0.0.1:53 > 10.0.0.2:53 udp "x")
+1 arp who-has 10.0.0.2 tell 10.0.0.1
+1 10.0.0.1:5 > 10.0.0.2:6 ipid 7 frag 0+ udp ulen 33 sum 0 len 16
+1 10.0.0.1 > 10.0.0.2 ipid 7 frag 24 udp len 9
+1 10.0.0.1:1 > 10.0.0.2:2 iplen 30 tcp S
+1 10.0.0.1:1 > 10.0.0.2:2 iplen 10 tcp S
+60 10.0.0.9 > 10.0.0.2 icmp echo request id 1 seq 1
+1 10.0.0.2 > 10.0.0.9 icmp echo reply id 9 seq 1
+1 fe80::1 > ff02::1 icmp6 neighbor-advertisement
+1 10.0.0.1:9 > 10.0.0.2:9 udp sum 1 "x"
+1 type 0x88b5 hex:00
`

// play replays a capture and gives what is shown.
func play(tb testing.TB, capture string, opts Options, sink func(*bytes.Buffer) Sink, w *packet.Writer) (string, *Summary, error) {
	tb.Helper()
	in, err := packet.NewReader(strings.NewReader(capture), packet.ReaderOptions{ReuseBuffer: true})
	if err != nil {
		return "", nil, err
	}
	defer in.Close()
	var b bytes.Buffer
	sum, err := Run(in, opts, sink(&b), w)
	return b.String(), sum, err
}

func asText(b *bytes.Buffer) Sink { return Text(b, Show{}) }
func asJSON(b *bytes.Buffer) Sink { return JSON(b, Show{}) }

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file    string
		capture string
		opts    Options
		sink    func(*bytes.Buffer) Sink
	}{
		{"conversations.txt", conversations, Options{Events: true}, asText},
		{"conversations.json", conversations, Options{Events: true}, asJSON},
		{"zone.txt", handshake, Options{Zone: 7, Sysctls: []Sysctl{{"nf_conntrack_acct", 1}, {"nf_conntrack_timestamp", 1}}, Events: true}, asText},
		{"liberal.txt", handshake, Options{Sysctls: []Sysctl{{"nf_conntrack_tcp_be_liberal", 1}}}, asText},
		{"explain.txt", handshake, Options{Explain: 5}, func(b *bytes.Buffer) Sink { return Text(b, Show{Only: 5}) }},
		{"explain-icmp.txt", conversations, Options{Explain: 7}, func(b *bytes.Buffer) Sink { return Text(b, Show{Only: 7}) }},
		{"full.txt", "10.0.0.1:1 > 10.0.0.2:2 udp\n10.0.0.1:2 > 10.0.0.2:2 tcp S\n", Options{Host: bpfct.HostOptions{ConntrackMax: 1, ConntrackBuckets: 64}, Explain: 2}, asText},
	} {
		t.Run(c.file, func(t *testing.T) {
			got, _, err := play(t, c.capture, c.opts, c.sink, nil)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.file, got)
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	file = "testdata/" + file
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// TestTwice wants the same bytes from the same capture, and others from another seed.
func TestTwice(t *testing.T) {
	run := func(seed uint64) string {
		got, _, err := play(t, conversations, Options{Events: true, Host: bpfct.HostOptions{Seed: seed}}, asText, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if d := cmp.Diff(run(1), run(1)); d != "" {
		t.Error(d)
	}
	if run(1) == run(2) {
		t.Error("the seed changes nothing, not even ids")
	}
}

// TestExplainChangesNothing wants the same results, whichever packet is explained.
func TestExplainChangesNothing(t *testing.T) {
	plain, sum, err := play(t, conversations, Options{Events: true}, asText, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range sum.Packets {
		got, _, err := play(t, conversations, Options{Events: true, Explain: n + 1}, asText, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(withoutExplanation(plain), withoutExplanation(got)); d != "" {
			t.Errorf("packet %d explained:\n%s", n+1, d)
		}
	}
}

func withoutExplanation(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		if !strings.HasPrefix(l, indent+"  ") && !strings.HasPrefix(l, indent+"explain") {
			b.WriteString(l)
		}
	}
	return b.String()
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, capture string
		opts          Options
		want          string
	}{
		{"unknown sysctl", handshake, Options{Sysctls: []Sysctl{{"foo", 1}}}, "foo: ENOENT"},
		{"value", handshake, Options{Sysctls: []Sysctl{{"nf_conntrack_acct", 5}}}, "EINVAL"},
		{"profile", handshake, Options{Host: bpfct.HostOptions{Profile: "nosuch"}}, "nosuch"},
		{"explain", handshake, Options{Explain: 6}, "not in the capture"},
		{"text", handshake + "10.0.0.1 > x\n", Options{}, "packet 6: line 7"},
		{"empty", "", Options{}, "empty"},
	} {
		if _, _, err := play(t, c.capture, c.opts, asText, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	// What was before the fault is shown.
	got, sum, err := play(t, handshake+"nonsense", Options{}, asText, nil)
	if err == nil || sum == nil || sum.Packets != 5 || !strings.Contains(got, "packets: 5") {
		t.Errorf("%v, %v\n%s", err, sum, got)
	}
}

// snatOptions have the program that opens translated connections.
func snatOptions(tb testing.TB) Options {
	tb.Helper()
	spec, err := bpfct.LoadCollectionSpec("testdata/snat.o")
	if err != nil {
		tb.Fatal(err)
	}
	if err := spec.Variables["to"].Set([4]byte{203, 0, 113, 1}); err != nil {
		tb.Fatal(err)
	}
	return Options{Spec: spec, Events: true}
}

func TestProgramsThatTranslate(t *testing.T) {
	const capture = `
10.0.0.1:5 > 198.51.100.9:53 udp "x"
+1 198.51.100.9:53 > 203.0.113.1:5 udp "yy"
+1 198.51.100.8 > 203.0.113.1 icmp unreachable port (203.0.113.1:5 > 198.51.100.9:53 udp "x")
+1 10.0.0.1 > 198.51.100.9 icmp echo request id 7 seq 1
+1 10.0.0.1:5 > 198.51.100.9:53 udp "z"
raw 10.0.0.1:5 > 198.51.100.9:53 udp "z"
`
	var out bytes.Buffer
	w, err := packet.NewWriter(&out, packet.WriterOptions{Format: packet.FormatText})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := play(t, capture, snatOptions(t), asText, w)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	golden(t, "snat.txt", got)
	golden(t, "snat.out.txt", out.String())
}

func TestPrograms(t *testing.T) {
	opts := snatOptions(t)
	for _, c := range []struct {
		hook     Hook
		programs []string
		want     string
	}{
		{HookXDP, nil, "no program for the hook xdp"},
		{HookXDP, []string{"snat"}, "cannot be attached"},
		{HookTC, []string{"nosuch"}, "no program nosuch; it has snat"},
	} {
		opts.Hook, opts.Programs = c.hook, c.programs
		if _, _, err := play(t, handshake, opts, asText, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// TestLongSilence wants an entry to end however long nothing comes: 32 bits of
// jiffies are 198 days.
func TestLongSilence(t *testing.T) {
	for _, gap := range []string{"600000s", "8000000s", "17179869s", "1000000h", "2000000h"} {
		got, sum, err := play(t, handshake+"+"+gap+" 10.0.0.7:1 > 10.0.0.8:2 udp\n", Options{Events: true}, asText, nil)
		if err != nil {
			t.Fatal(gap, err)
		}
		if sum.Alive != 1 || sum.Ended != 1 {
			t.Errorf("%s: %s", gap, got)
		}
	}
}

func TestNames(t *testing.T) {
	for f := range fates {
		if f.String() == "unknown" {
			t.Errorf("fate %d has no name", f)
		}
	}
	for s := range conntrack.StateUntracked + 1 {
		found := false
		for _, o := range stateOrder {
			found = found || o == s
		}
		if !found {
			t.Errorf("%v is not listed", s)
		}
	}
}

// TestForgets wants what is kept to follow what is alive, not how much was played:
// each second begins an exchange that lives for half a minute.
func TestForgets(t *testing.T) {
	p, err := New(Options{}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5000 {
		frame := packet.MustParseText(fmt.Sprintf("10.0.%d.%d:1 > 10.9.9.9:53 udp len 8", n>>8, n&255))
		p.Play(&packet.Packet{Time: time.Unix(int64(n), 0), Data: frame, LinkType: packet.LinkEthernet})
		if c := p.Table().Count(); c > 31 {
			t.Fatalf("%d connections after %d packets", c, n)
		}
	}
}

// TestDocumentation wants the explanation that the documentation shows to be the one
// that is given.
func TestDocumentation(t *testing.T) {
	doc, err := os.ReadFile("../docs/replay.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/explain.txt")
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(want)) {
		if !strings.Contains(string(doc), "    "+l) {
			t.Errorf("docs/replay.md lacks %q", l)
		}
	}
}
