package replay

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

// checkTable wants the table to be sound: no two connections have a tuple in common,
// and its own counts are those that a walk finds.
func checkTable(p *Player) error {
	type key struct {
		t    conntrack.Tuple
		zone uint16
	}
	seen := map[key]uint32{}
	n := 0
	for s := range p.table.Snapshots() {
		n++
		for d, t := range s.Tuples {
			k := key{t, s.Zone.IDFor(conntrack.Dir(d))}
			if other, ok := seen[k]; ok && other != s.ID {
				return fmt.Errorf("%v belongs to the connections %d and %d", t, other, s.ID)
			}
			seen[k] = s.ID
		}
	}
	if c := p.table.Count(); c < n {
		return fmt.Errorf("%d connections are there, nf_conntrack_count is %d", n, c)
	}
	return nil
}

// checkSummary wants counts that agree with each other and with the table.
func checkSummary(p *Player) error {
	s, _ := p.End()
	fates, broken := 0, 0
	for _, n := range s.Fates {
		fates += n
	}
	for id, n := range s.Reasons {
		if id.String() == "unknown" {
			return fmt.Errorf("reason %d has no name", id)
		}
		broken += n
	}
	switch {
	case fates != s.Packets:
		return fmt.Errorf("%d packets, %d fates", s.Packets, fates)
	case s.Tracked() > s.Packets-s.Fates[NotIP]-s.Fates[Held]-s.Fates[Redirected]:
		return fmt.Errorf("%d of %d packets tracked: %v", s.Tracked(), s.Packets, s.Fates)
	case broken < s.States[conntrack.StateInvalid]:
		return fmt.Errorf("%d packets are invalid, %d have reasons", s.States[conntrack.StateInvalid], broken)
	case s.Began-s.Ended != s.Alive:
		return fmt.Errorf("%d connections began, %d ended, %d are alive", s.Began, s.Ended, s.Alive)
	case s.Alive != p.table.Count():
		return fmt.Errorf("%d connections are alive, nf_conntrack_count is %d", s.Alive, p.table.Count())
	}
	return checkTable(p)
}

// FuzzReplay plays arbitrary captures: no panic, and the invariants hold after each
// packet. What is shown is the same the second time.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(conversations), uint16(0), uint8(7))
	f.Add([]byte(handshake), uint16(3), uint8(0))
	files, _ := filepath.Glob("../packet/testdata/*.pcap*")
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil && len(data) < 1<<16 {
			f.Add(data, uint16(0), uint8(1))
		}
	}
	for _, format := range []packet.CaptureFormat{packet.FormatPcap, packet.FormatPcapNG} {
		f.Add(convert(f, conversations, packet.WriterOptions{Format: format}), uint16(0), uint8(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, zone uint16, explain uint8) {
		opts := Options{Zone: zone, Explain: int(explain), Events: true}
		opts.Host.ConntrackMax, opts.Host.ConntrackBuckets = 100, 64
		a, b := fuzzOnce(t, data, opts, true), fuzzOnce(t, data, opts, false)
		if !bytes.Equal(a, b) {
			t.Errorf("two answers:\n%s\n%s", a, b)
		}
	})
}

// maxFuzzPackets bounds how much one input is played.
const maxFuzzPackets = 300

func fuzzOnce(t *testing.T, data []byte, opts Options, check bool) []byte {
	in, err := packet.NewReader(bytes.NewReader(data), packet.ReaderOptions{ReuseBuffer: true})
	if err != nil {
		return nil
	}
	defer in.Close()
	pkt, readErr := in.Next()
	p, err := New(opts, pkt.Time)
	if err != nil {
		t.Fatal(err)
	}
	var text, lines bytes.Buffer
	sinks := []Sink{Text(&text, Show{}), JSON(&lines, Show{})}
	for n := 0; readErr == nil && n < maxFuzzPackets; pkt, readErr = in.Next() {
		n++
		r := p.Play(&pkt)
		for _, s := range sinks {
			if err := s.Packet(r); err != nil {
				t.Fatal(err)
			}
		}
		if !check {
			continue
		}
		if err := checkTable(p); err != nil {
			t.Fatalf("behind packet %d: %v", r.Number, err)
		}
		for _, o := range r.Packets() {
			if len(o.Data) > o.OrigLen {
				t.Fatalf("packet %d leaves with %d bytes of %d", r.Number, len(o.Data), o.OrigLen)
			}
		}
	}
	if err := checkSummary(p); err != nil {
		t.Fatal(err)
	}
	sum, events := p.End()
	for _, s := range sinks {
		if err := s.End(events, p.table, sum); err != nil {
			t.Fatal(err)
		}
	}
	return append(text.Bytes(), lines.Bytes()...)
}

// convert writes a text capture in another format.
func convert(tb testing.TB, text string, opts packet.WriterOptions) []byte {
	tb.Helper()
	all, err := packet.ReadAll(bytes.NewReader([]byte(text)), packet.ReaderOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	w, err := packet.NewWriter(&b, opts)
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range all {
		if err := w.Write(p); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// TestInvariants plays generated traffic of few hosts, in which everything meets
// everything, with and without programs that translate.
func TestInvariants(t *testing.T) {
	nat := snatOptions(t)
	rapid.Check(t, func(t *rapid.T) {
		opts := Options{Events: true}
		if rapid.Bool().Draw(t, "nat") {
			opts = nat
		}
		p, err := New(opts, packet.Packet{}.Time)
		if err != nil {
			t.Fatal(err)
		}
		began, ended := 0, 0
		for range rapid.IntRange(1, 40).Draw(t, "packets") {
			r := p.Play(&packet.Packet{Data: packet.MustParseText(anyPacket(t)), LinkType: packet.LinkEthernet})
			for _, e := range append(r.Expired[:len(r.Expired):len(r.Expired)], r.Events...) {
				switch e.Type {
				case conntrack.EventNew:
					began++
				case conntrack.EventDestroy:
					ended++
				}
			}
			if err := checkTable(p); err != nil {
				t.Fatal(err)
			}
			for _, o := range r.Packets() {
				if info, err := packet.Parse(o.Data, o.LinkType); err != nil {
					t.Fatal(err)
				} else if err := errors.Join(packet.VerifyL3(o.Data, &info), packet.VerifyL4(o.Data, &info)); err != nil {
					t.Fatalf("%s leaves wrong: %v", Brief(r.Frame, r.Link), err)
				}
			}
		}
		if err := checkSummary(p); err != nil {
			t.Fatal(err)
		}
		if s, _ := p.End(); s.Began != began || s.Ended != ended {
			t.Fatalf("%d and %d events, counted %+v", began, ended, s)
		}
	})
}

// anyPacket is a packet of a few hosts and ports.
func anyPacket(t *rapid.T) string {
	hosts := []string{"10.0.0.1", "10.0.0.2", "198.51.100.9", "203.0.113.1"}
	src, dst := rapid.SampledFrom(hosts).Draw(t, "src"), rapid.SampledFrom(hosts).Draw(t, "dst")
	sp, dp := rapid.IntRange(1, 3).Draw(t, "sport"), rapid.IntRange(1, 3).Draw(t, "dport")
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return fmt.Sprintf("%s:%d > %s:%d udp len %d", src, sp, dst, dp, dp)
	case 1:
		flags := rapid.SampledFrom([]string{"S", "S.", ".", "F.", "R", "R.", "P."}).Draw(t, "flags")
		return fmt.Sprintf("%s:%d > %s:%d tcp %s seq %d ack %d", src, sp, dst, dp, flags,
			rapid.IntRange(0, 3).Draw(t, "seq"), rapid.IntRange(0, 3).Draw(t, "ack"))
	case 2:
		return fmt.Sprintf("%s > %s icmp echo %s id %d seq 1", src, dst, rapid.SampledFrom([]string{"request", "reply"}).Draw(t, "echo"), sp)
	}
	return fmt.Sprintf("%s > %s icmp unreachable port (%s:%d > %s:%d udp len 1)",
		rapid.SampledFrom(hosts).Draw(t, "router"), src, src, sp, dst, dp)
}
