package conntrack

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack/internal/oracle"
)

var (
	dumpID      = regexp.MustCompile(`( id=|<id>)\d+(</id>.*)?$`)
	dumpTimeout = regexp.MustCompile(`^((?:ipv[46] +\d+ )?\w+ +\d+ |.*<timeout>)(\d+)`)
)

// sameDumps compares two dumps whose lines may be in any order, whose ids
// differ and whose seconds may differ by two.
func sameDumps(kernel, ours string) error {
	lines := func(s string) (out []string, secs map[string]int) {
		secs = map[string]int{}
		for _, l := range strings.Split(strings.TrimSpace(s), "\n") {
			l = dumpID.ReplaceAllString(l, "${1}N$2")
			n := 0
			if m := dumpTimeout.FindStringSubmatch(l); m != nil {
				n, _ = strconv.Atoi(m[2])
				l = strings.Replace(l, m[0], m[1]+"N", 1)
			}
			out, secs[l] = append(out, l), n
		}
		slices.Sort(out)
		return out, secs
	}
	k, ks := lines(kernel)
	o, os := lines(ours)
	if !slices.Equal(k, o) {
		return fmt.Errorf("kernel:\n%s\nours:\n%s", strings.Join(k, "\n"), strings.Join(o, "\n"))
	}
	for l, n := range ks {
		if d := n - os[l]; d < -2 || d > 2 {
			return fmt.Errorf("%s\nkernel has %d seconds left, ours %d", l, n, os[l])
		}
	}
	return nil
}

var dumpFormats = []struct {
	args []string
	o    DumpOptions
}{
	{nil, DumpOptions{}},
	{[]string{"-o", "extended"}, DumpOptions{Extended: true}},
	{[]string{"-o", "id"}, DumpOptions{ID: true}},
	{[]string{"-o", "extended,id"}, DumpOptions{Extended: true, ID: true}},
	{[]string{"-o", "xml"}, DumpOptions{XML: true}},
}

// dumpBoth compares what conntrack -L says with ours.
func dumpBoth(k *oracle.Kernel, tab *Table, clock *testClock) error {
	for _, f := range dumpFormats {
		// An empty program run tells the time.
		clock.j.Store(k.Run([]oracle.Op{{Kind: 99}})[0].Jiffies0)
		var b bytes.Buffer
		if err := tab.Dump(&b, f.o); err != nil {
			return err
		}
		kernel := k.Exec("conntrack", append([]string{"-L"}, f.args...)...)
		if tab.Count() == 0 && f.o.XML { // conntrack writes no document then
			continue
		}
		if err := sameDumps(kernel, b.String()); err != nil {
			return fmt.Errorf("conntrack -L %s:\n%w", strings.Join(f.args, " "), err)
		}
		if f.o.XML {
			if err := xml.Unmarshal(b.Bytes(), new(struct{ XMLName xml.Name })); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestKernelDump compares dumps after generated operations.
func TestKernelDump(t *testing.T) {
	k := oracle.New(t)
	// Ours needs no more checks than it takes to see each word once.
	var u universe
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > 20 {
			return
		}
		u++
		k.Exec("conntrack", "-F")
		p := newPerformer(Options{})
		if err := compare(k, p, genOps(rt, u, false)); err != nil {
			rt.Fatal(err)
		}
		if err := dumpBoth(k, p.t, p.clock); err != nil {
			rt.Fatal(err)
		}
		if got, want := p.t.Count(), k.Sysctl("nf_conntrack_count"); got != want {
			rt.Fatalf("count %d, kernel %d", got, want)
		}
	})
}

// TestKernelDumpProtocols compares lines of protocols that programs cannot
// make: conntrack -I makes them.
func TestKernelDumpProtocols(t *testing.T) {
	k := oracle.New(t)
	tab, clock := newTest(Options{})
	clock.j.Store(k.Run([]oracle.Op{{Kind: 99}})[0].Jiffies0)
	v4, v6 := []string{"-s", "10.0.0.1", "-d", "10.0.0.2"}, []string{"-s", "fd00::1", "-d", "fd00::2"}
	a4, b4 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	a6, b6 := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	ports := func(proto uint8, s, d uint16) Tuple {
		return TupleFrom(proto, netip.AddrPortFrom(a4, s), netip.AddrPortFrom(b4, d))
	}
	for _, c := range []struct {
		addr []string
		args string
		t    Tuple
	}{
		{v4, "icmp --icmp-type 8 --icmp-code 0 --icmp-id 5", ICMPTuple(ProtoICMP, a4, b4, 8, 0, 5)},
		{v4, "icmp --icmp-type 13 --icmp-code 0 --icmp-id 5", ICMPTuple(ProtoICMP, a4, b4, 13, 0, 5)},
		{v6, "icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 6", ICMPTuple(ProtoICMPv6, a6, b6, 128, 0, 6)},
		{v4, "gre --srckey 1 --dstkey 0xab", ports(ProtoGRE, 1, 0xab)},
		{v4, "udplite --sport 1 --dport 2", ports(ProtoUDPLite, 1, 2)},
		{v4, "99", ports(99, 0, 0)},
	} {
		args := append(append([]string{"-I"}, c.addr...), "-t", "100", "-p")
		k.Exec("conntrack", append(args, strings.Fields(c.args)...)...)
		conn := mustAlloc(t, tab, c.t, DefaultZone)
		conn.SetTimeout(100000)
		if err := tab.Insert(conn); err != nil {
			t.Errorf("%s: %v", c.args, err)
		}
		conn.Release()
	}
	if err := dumpBoth(k, tab, clock); err != nil {
		t.Error(err)
	}
}
