package conntrack_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	ti "github.com/ti-mo/conntrack"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/conntrack/internal/wire"
)

var campaign = flag.Int("conversations", 0, "ask the kernel about so many generated conversations of each kind")

// generate checks f with as many cases as the campaign wants, n at least.
func generate(t *testing.T, n int, f func(*rapid.T)) {
	t.Helper()
	old := flag.Lookup("rapid.checks").Value.String()
	defer flag.Set("rapid.checks", old)
	flag.Set("rapid.checks", fmt.Sprint(max(n, *campaign)))
	rapid.Check(t, f)
}

// TestKernelTCPTable sets a connection to every state and sends every kind of
// segment in each direction, with connections whose end was seen and others.
func TestKernelTCPTable(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	b.sysctl("nf_conntrack_acct", 0) // netlink gives an entry counters, a program does not
	port := uint16(1000)
	for _, extra := range []uint8{0, 4, 0x20} {
		for _, status := range []ti.Status{0, ti.StatusSeenReply, ti.StatusSeenReply | ti.StatusAssured} {
			for state := conntrack.TCPNone; state <= conntrack.TCPSynSent2; state++ {
				for dir := range wire.Side(2) {
					for _, kind := range []string{"S", "S.", "F.", ".", "R", "R.", "P.", "FP.", "SF", "none", "SR"} {
						port++
						f := ti.NewFlow(6, ti.StatusConfirmed|status, wire.Client.Addr4(5), wire.Server.Addr4(5), port, 80, 5000, 0)
						flags := 8 | extra
						f.ProtoInfo.TCP = &ti.ProtoInfoTCP{State: uint8(state), OriginalFlags: uint16(flags) * 0x101, ReplyFlags: uint16(flags) * 0x101}
						if err := b.k.CT.Create(f); err != nil {
							t.Fatal(err)
						}
						c, err := b.t.Alloc(conntrack.TupleFrom(6, addrPort(wire.Client.Addr4(5), port), addrPort(wire.Server.Addr4(5), 80)), conntrack.DefaultZone)
						if err != nil {
							t.Fatal(err)
						}
						c.SetTimeout(5000000)
						c.ChangeStatus(conntrack.Status(status))
						if err := c.SetTCPInfo(conntrack.TCPInfo{State: state, Flags: [2]uint8{flags, flags}}); err != nil {
							t.Fatal(err)
						}
						if err := b.t.Insert(c); err != nil {
							t.Fatal(err)
						}
						c.Release()
						at := fmt.Sprintf("10.1.0.5:%d > 10.2.0.5:80", port)
						if dir == wire.Server {
							at = fmt.Sprintf("10.2.0.5:80 > 10.1.0.5:%d", port)
						}
						if err := b.send(dir, text(t, "%s tcp %s seq 100 ack 100 win 1000", at, kind)); err != nil {
							t.Errorf("state %v, status %v: %v", state, conntrack.Status(status), err)
						}
					}
				}
			}
		}
	}
	if err := conntrack.Check(b.t); err != nil {
		t.Error(err)
	}
}

// TestKernelTCPFirst begins connections with every combination of flags.
func TestKernelTCPFirst(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	port := 1000
	for _, loose := range []int{1, 0} {
		b.sysctl("nf_conntrack_tcp_loose", loose)
		for flags := range 256 {
			port++
			letters := ""
			for i, l := range "FSRP.UEW" {
				if flags>>i&1 != 0 {
					letters += string(l)
				}
			}
			if letters == "" {
				letters = "none"
			}
			for range 2 {
				if err := b.send(wire.Client, text(t, "10.1.0.5:%d > 10.2.0.5:80 tcp %s seq 100 ack 7 win 1000", port, letters)); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// A talk is a generated TCP conversation: what each end would send next.
type talk struct {
	seq   [2]uint32 // next of each side
	acked [2]uint32 // what each side acknowledged last
	last  []string  // what was sent, for duplicates
	from  []wire.Side
}

var edges = []uint32{0, 0, 0, 0, 1, ^uint32(0), 2, ^uint32(1), 100, 1000, 5840, 65535, 65536, 66000, 66001, 70000,
	1 << 20, 1 << 30, 1 << 31, ^uint32(99), ^uint32(999), ^uint32(65535), ^uint32(66000), ^uint32(1<<20 - 1)}

// near draws a number that is mostly n and else something else near or far.
func near(t *rapid.T, n uint32, name string) uint32 {
	switch rapid.IntRange(0, 9).Draw(t, name) {
	case 0, 1:
		return n + rapid.SampledFrom(edges).Draw(t, name+"Edge")
	case 2:
		return rapid.SampledFrom([]uint32{0, 1, n - 1}).Draw(t, name+"Special")
	}
	return n
}

func (c *talk) segment(t *rapid.T) (from wire.Side, seg string) {
	if n := len(c.last); n > 0 && rapid.IntRange(0, 7).Draw(t, "again") == 0 {
		i := rapid.IntRange(max(0, n-4), n-1).Draw(t, "which")
		return c.from[i], c.last[i]
	}
	from = wire.Side(rapid.IntRange(0, 1).Draw(t, "side"))
	if len(c.last) == 0 && rapid.IntRange(0, 5).Draw(t, "first") > 0 {
		from = wire.Client
	}
	kinds := []string{".", ".", ".", "P.", "P.", "F.", "F.", "R", "R.", "S", "S.", "FP.", ".U", "SE", "S.W"}
	switch len(c.last) { // the handshake is usual
	case 0, 1, 2:
		if rapid.IntRange(0, 3).Draw(t, "usual") > 0 {
			kinds = []string{[]string{"S", "S.", "."}[len(c.last)]}
			from = wire.Side(len(c.last) % 2)
		}
	}
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	seq := near(t, c.seq[from], "seq")
	ack := near(t, c.seq[1-from], "ack")
	win := rapid.SampledFrom([]int{1000, 1000, 1000, 0, 1, 5840, 65535, 64}).Draw(t, "win")
	n := 0
	if kind != "S" && kind != "S." || rapid.IntRange(0, 9).Draw(t, "fast") == 0 {
		n = rapid.SampledFrom([]int{0, 0, 0, 1, 10, 500, 1400}).Draw(t, "len")
	}
	var opts []string
	if strings.HasPrefix(kind, "S") {
		if rapid.Bool().Draw(t, "mss") {
			opts = append(opts, "mss 1460")
		}
		if rapid.Bool().Draw(t, "scale") {
			opts = append(opts, fmt.Sprintf("wscale %d", rapid.SampledFrom([]int{0, 1, 7, 14, 15, 255}).Draw(t, "shift")))
		}
		if rapid.Bool().Draw(t, "sackOK") {
			opts = append(opts, "sackOK")
		}
	} else if rapid.IntRange(0, 4).Draw(t, "sacks") == 0 {
		left := near(t, c.seq[1-from], "left")
		opts = append(opts, "nop", "nop", fmt.Sprintf("sack %d:%d", left, left+uint32(rapid.SampledFrom([]int{0, 1, 100, 1400, -1}).Draw(t, "sackLen"))))
	}
	list := ""
	if opts != nil {
		list = "<" + strings.Join(opts, ",") + ">"
	}
	seg = fmt.Sprintf("tcp %s seq %d ack %d win %d %s len %d", kind, seq, ack, win, list, n)
	c.acked[from] = ack
	if rapid.IntRange(0, 5).Draw(t, "lost") > 0 { // else the sender forgets it: its next will overlap
		c.seq[from] = seq + uint32(n)
		if strings.ContainsAny(kind, "SF") {
			c.seq[from]++
		}
	}
	return from, seg
}

func (c *talk) keep(from wire.Side, seg string) {
	c.last, c.from = append(c.last, seg), append(c.from, from)
}

// TestKernelTCPConversations has the kernel and ours follow generated
// conversations with faults and compares everything after each segment.
func TestKernelTCPConversations(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	n := 0
	segments := 0
	defaults := map[string]int{"nf_conntrack_tcp_be_liberal": 0, "nf_conntrack_tcp_loose": 1, "nf_conntrack_tcp_ignore_invalid_rst": 0, "nf_conntrack_tcp_max_retrans": 3}
	set := map[string]int{}
	for name, v := range defaults {
		set[name] = v
	}
	generate(t, 400, func(rt *rapid.T) {
		n++
		for name, v := range defaults {
			if rapid.IntRange(0, 9).Draw(rt, name) == 0 {
				v = 1 - min(v, 1)
			}
			if set[name] != v {
				b.sysctl(name, v)
				set[name] = v
			}
		}
		port := 1024 + n%60000
		client, server := fmt.Sprintf("10.1.%d.5:%d", n/60000, port), "10.2.0.5:80"
		if n%60000 == 0 {
			b.k.Flush()
			b.t.Flush()
		}
		c := talk{seq: [2]uint32{rapid.SampledFrom([]uint32{1000, 0, ^uint32(0) - 50, 1<<31 - 20}).Draw(rt, "isn"), rapid.SampledFrom([]uint32{5000, 0, ^uint32(0) - 3, 1<<31 - 1}).Draw(rt, "isn")}}
		var story []string
		for range rapid.IntRange(1, 18).Draw(rt, "segments") {
			from, seg := c.segment(rt)
			c.keep(from, seg)
			src, dst := client, server
			if from == wire.Server {
				src, dst = server, client
			}
			line := fmt.Sprintf("%s > %s %s", src, dst, seg)
			story = append(story, line)
			segments++
			if err := b.send(from, text(t, "%s", line)); err != nil {
				rt.Fatalf("%s\nsysctls %v\n%v", strings.Join(story, "\n"), set, err)
			}
		}
	})
	if err := conntrack.Check(b.t); err != nil {
		t.Error(err)
	}
	t.Logf("%d conversations, %d segments", n, segments)
}
