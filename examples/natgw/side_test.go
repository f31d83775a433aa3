package natgw_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/examples/natgw"
	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/live"
)

// side is a gateway that runs somewhere. Every test of this package runs on both.
type side interface {
	// run gives a packet to a program.
	run(t rapid.TB, program string, in []byte) (verdict uint32, out []byte)
	// flows are the connections in words, sorted, and how many seconds each has left.
	flows(t rapid.TB) ([]string, []int)
	// forward opens a port of the pool.
	forward(t rapid.TB, proto uint8, port uint16, to netip.AddrPort)
	// outcomes counts what became of packets.
	outcomes(t rapid.TB) [natgw.Malformed + 1]uint64
}

// insideIfindex is the device that hairpin traffic goes back to: the loopback,
// which every namespace has.
const insideIfindex = 1

// config is the gateway of most tests.
func config() natgw.Config {
	return natgw.Config{
		Pool4: netip.MustParsePrefix("203.0.113.1/32"), Inside4: netip.MustParsePrefix("10.0.0.0/16"),
		Pool6: netip.MustParsePrefix("2001:db8:1::1/128"), Inside6: netip.MustParsePrefix("fd00::/64"),
		InsideIfindex: insideIfindex,
	}
}

// both is a gateway on bpfct and one on the kernel.
type both struct {
	cfg    natgw.Config
	kernel *kernel // nil where the kernel cannot be asked
}

func newBoth(t *testing.T, cfg natgw.Config) *both {
	t.Helper()
	if testkernel.Missing() != "" {
		return &both{cfg: cfg}
	}
	return &both{cfg, newKernel(t, cfg)}
}

// each runs a test on both, with no connections and no forwards at the start.
func (b *both) each(t *testing.T, f func(t *testing.T, s side)) {
	t.Helper()
	t.Run("bpfct", func(t *testing.T) { f(t, newUser(t, b.cfg)) })
	t.Run("kernel", func(t *testing.T) {
		testkernel.Require(t)
		b.kernel.reset(t)
		f(t, b.kernel)
	})
}

func load(t rapid.TB, cfg natgw.Config) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := natgw.Load(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// user is the gateway on bpfct.
type user struct {
	host *bpfct.Host
	coll *bpfct.Collection
}

func newUser(t rapid.TB, cfg natgw.Config) *user {
	t.Helper()
	return newUserWith(t, cfg, bpfct.CollectionOptions{})
}

func newUserWith(t rapid.TB, cfg natgw.Config, opts bpfct.CollectionOptions) *user {
	t.Helper()
	host, err := bpfct.NewHost(bpfct.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	coll, err := host.LoadCollection(load(t, cfg), opts)
	if err != nil {
		t.Fatal(err)
	}
	return &user{host, coll}
}

func (u *user) run(t rapid.TB, program string, in []byte) (uint32, []byte) {
	t.Helper()
	ret, out, err := u.coll.Programs[program].Test(in)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return ret, out
}

func (u *user) flows(rapid.TB) ([]string, []int) {
	var fs []flow
	for s := range u.host.Netns().Conntrack().Snapshots() {
		o, r := &s.Tuples[conntrack.Original], &s.Tuples[conntrack.Reply]
		fs = append(fs, flow{words(o.Proto, o.SrcAddrPort(), o.DstAddrPort(), r.SrcAddrPort(), r.DstAddrPort(), uint32(s.Status), s.Mark), s.Seconds()})
	}
	return split(fs)
}

func (u *user) forward(t rapid.TB, proto uint8, port uint16, to netip.AddrPort) {
	t.Helper()
	key, value := natgw.Forward(proto, port, to)
	if err := u.coll.Maps[natgw.Forwards].Put(key, value); err != nil {
		t.Fatal(err)
	}
}

func (u *user) outcomes(t rapid.TB) (sums [natgw.Malformed + 1]uint64) {
	t.Helper()
	for i := range sums {
		var perCPU []uint64
		if err := u.coll.Maps[natgw.Outcomes].Lookup(uint32(i), &perCPU); err != nil {
			t.Fatal(err)
		}
		for _, n := range perCPU {
			sums[i] += n
		}
	}
	return sums
}

// kernel is the gateway on the running kernel.
type kernel struct {
	host *live.Host
	coll *live.Collection
}

func newKernel(t testing.TB, cfg natgw.Config) *kernel {
	t.Helper()
	host, err := live.NewHost(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	coll, err := host.LoadCollection(load(t, cfg), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &kernel{host, coll}
}

// reset makes the gateway forget everything: to load it anew takes much longer.
func (k *kernel) reset(t rapid.TB) {
	t.Helper()
	if err := k.host.FlushEntries(); err != nil {
		t.Fatal(err)
	}
	for name, m := range k.coll.Maps {
		items, err := live.DumpMap(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			switch name {
			case natgw.Forwards:
				err = m.Delete(it.Key)
			case natgw.Outcomes:
				err = m.Put(it.Key, make([]uint64, len(it.PerCPU)))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (k *kernel) run(t rapid.TB, program string, in []byte) (uint32, []byte) {
	t.Helper()
	res, err := k.host.Run(k.coll.Programs[program], live.RunOptions{Data: in})
	if err != nil {
		t.Fatal(err)
	}
	return res.Ret, res.Data
}

func (k *kernel) flows(t rapid.TB) ([]string, []int) {
	t.Helper()
	entries, err := k.host.Entries()
	if err != nil {
		t.Fatal(err)
	}
	var fs []flow
	for _, e := range entries {
		fs = append(fs, flow{words(e.Orig.Proto, netip.AddrPortFrom(e.Orig.Src, e.Orig.SrcPort), netip.AddrPortFrom(e.Orig.Dst, e.Orig.DstPort),
			netip.AddrPortFrom(e.Reply.Src, e.Reply.SrcPort), netip.AddrPortFrom(e.Reply.Dst, e.Reply.DstPort), e.Status, e.Mark), int(e.Timeout)})
	}
	return split(fs)
}

func (k *kernel) forward(t rapid.TB, proto uint8, port uint16, to netip.AddrPort) {
	t.Helper()
	key, value := natgw.Forward(proto, port, to)
	if err := k.coll.Maps[natgw.Forwards].Put(key, value); err != nil {
		t.Fatal(err)
	}
}

func (k *kernel) outcomes(t rapid.TB) (sums [natgw.Malformed + 1]uint64) {
	t.Helper()
	for i := range sums {
		var perCPU []uint64
		if err := k.coll.Maps[natgw.Outcomes].Lookup(uint32(i), &perCPU); err != nil {
			t.Fatal(err)
		}
		for _, n := range perCPU {
			sums[i] += n
		}
	}
	return sums
}

type flow struct {
	words   string
	seconds int
}

func words(proto uint8, osrc, odst, rsrc, rdst netip.AddrPort, status, mark uint32) string {
	return fmt.Sprintf("%d %v > %v | %v > %v status %#x mark %d", proto, osrc, odst, rsrc, rdst, status, mark)
}

func split(fs []flow) (texts []string, seconds []int) {
	slices.SortFunc(fs, func(a, b flow) int {
		if a.words < b.words {
			return -1
		}
		return 1
	})
	for _, f := range fs {
		texts, seconds = append(texts, f.words), append(seconds, f.seconds)
	}
	return texts, seconds
}

// within reports whether a remaining time is about d: the kernel's clock runs, and a
// machine may be slow.
func within(seconds int, d time.Duration) bool {
	want := int(d / time.Second)
	return seconds <= want && seconds >= want-20
}
