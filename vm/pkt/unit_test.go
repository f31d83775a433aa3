package pkt_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/pkt"
)

// bench is a machine on which helpers are called without a program.
type bench struct {
	tb testing.TB
	m  *vm.Machine
	ns *netns.Netns
	c  *vm.CPU
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	ns := netns.New("test", 1)
	m := newMachine(tb, opsObject, ns).m
	return &bench{tb, m, ns, &vm.CPU{M: m, Prog: &vm.Program{Type: ebpf.SchedCLS}}}
}

func (b *bench) skb(spec pkt.SkbSpec) *pkt.Skb {
	b.tb.Helper()
	s, err := pkt.NewSkb(b.m, b.ns, spec)
	if err != nil {
		b.tb.Fatal(err)
	}
	b.tb.Cleanup(s.Release)
	b.c.Ctx = s
	return s
}

func (b *bench) xdp(spec pkt.XDPSpec) *pkt.XDP {
	b.tb.Helper()
	x, err := pkt.NewXDP(b.m, b.ns, spec)
	if err != nil {
		b.tb.Fatal(err)
	}
	b.tb.Cleanup(x.Release)
	b.c.Ctx = x
	return x
}

// scratch is memory that a program could hand to a helper.
func (b *bench) scratch(data []byte) (uint64, []byte) {
	b.tb.Helper()
	o, err := b.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindScratch, Size: uint32(len(data))})
	if err != nil {
		b.tb.Fatal(err)
	}
	copy(o.Bytes(), data)
	return o.Addr(), o.Bytes()
}

func (b *bench) try(name string, args ...uint64) (uint64, error) {
	b.tb.Helper()
	var a [5]uint64
	copy(a[:], args)
	f := b.m.Registry.Lookup(name)
	if f == nil {
		b.tb.Fatalf("%s is not registered", name)
	}
	return f(b.c, &a)
}

func (b *bench) call(name string, args ...uint64) int64 {
	b.tb.Helper()
	r, err := b.try(name, args...)
	if err != nil {
		b.tb.Fatalf("%s: %v", name, err)
	}
	return int64(r)
}

func ipv4Frame(n int) []byte {
	f := make([]byte, n)
	copy(f[12:], []byte{8, 0, 0x45, 0, 0, byte(n - 14)})
	for i := 34; i < n; i++ {
		f[i] = byte(i)
	}
	return f
}

func TestOldPacketPointersFault(t *testing.T) {
	for name, args := range map[string][]uint64{
		"bpf_skb_store_bytes": {0, 0, 1}, "bpf_skb_pull_data": {0}, "bpf_l3_csum_replace": {24, 0, 0, 2},
		"bpf_l4_csum_replace": {24, 0, 0, 2}, "bpf_skb_change_head": {4}, "bpf_skb_change_tail": {100},
		"bpf_skb_change_proto": {0}, "bpf_skb_adjust_room": {0}, "bpf_skb_vlan_push": {0}, "bpf_skb_vlan_pop": {},
		"bpf_clone_redirect": {1}, "bpf_xdp_adjust_head": {4}, "bpf_xdp_adjust_tail": {^uint64(3)}, "bpf_xdp_adjust_meta": {^uint64(3)},
		"bpf_xdp_pull_data": {10},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			var ctx, old uint64
			if bytes.HasPrefix([]byte(name), []byte("bpf_xdp")) {
				x := b.xdp(pkt.XDPSpec{Data: ipv4Frame(64)})
				ctx = x.Addr()
				old, _ = x.Linear()
			} else {
				s := b.skb(pkt.SkbSpec{Data: ipv4Frame(64)})
				ctx = s.Addr()
				old, _ = s.Linear()
			}
			if name == "bpf_skb_store_bytes" {
				args[1], _ = b.scratch([]byte{1})
			}
			if _, err := b.c.Read("R1", old, 4); err != nil {
				t.Fatalf("before: %v", err)
			}
			b.call(name, append([]uint64{ctx}, args...)...)
			var f *vm.Fault
			if _, err := b.c.Read("R1", old, 4); !errors.As(err, &f) || f.Kind != vm.UseAfterRelease {
				t.Fatalf("a read through the old pointer gives %v, want a use after release", err)
			}
		})
	}
}

func TestHelpersThatLeavePointers(t *testing.T) {
	b := newBench(t)
	s := b.skb(pkt.SkbSpec{Data: ipv4Frame(64)})
	old, _ := s.Linear()
	to, _ := b.scratch(make([]byte, 8))
	b.call("bpf_skb_load_bytes", s.Addr(), 0, to, 8)
	b.call("bpf_skb_change_type", s.Addr(), 1)
	b.call("bpf_set_hash", s.Addr(), 1)
	b.call("bpf_skb_ecn_set_ce", s.Addr())
	if _, err := b.c.Read("R1", old, 64); err != nil {
		t.Fatal(err)
	}
}

func TestWrongContext(t *testing.T) {
	b := newBench(t)
	s := b.skb(pkt.SkbSpec{Data: ipv4Frame(64)})
	data, _ := s.Linear()
	for name, addr := range map[string]uint64{"NULL": 0, "packet": data, "inside": s.Addr() + 4} {
		var f *vm.Fault
		if _, err := b.try("bpf_skb_pull_data", addr, 0); !errors.As(err, &f) {
			t.Errorf("%s as context: %v, want a fault", name, err)
		}
	}
	var f *vm.Fault
	if _, err := b.try("bpf_xdp_adjust_head", s.Addr(), 0); !errors.As(err, &f) || f.Kind != vm.BadArgument {
		t.Errorf("a struct __sk_buff for an XDP helper: %v, want a bad argument", err)
	}
}

func TestNonLinear(t *testing.T) {
	b := newBench(t)
	frame := ipv4Frame(200)
	s := b.skb(pkt.SkbSpec{Data: frame, Device: b.ns.Device(1), Linear: 40})
	if _, n := s.Linear(); n != 40 || s.Len() != 200 {
		t.Fatalf("%d of %d bytes are linear, want 40 of 200", n, s.Len())
	}
	to, got := b.scratch(make([]byte, 100))
	if r := b.call("bpf_skb_load_bytes", s.Addr(), 30, to, 100); r != 0 || !bytes.Equal(got, frame[30:130]) {
		t.Errorf("load across the end of the linear part returns %d, %x", r, got)
	}
	if r := b.call("bpf_skb_pull_data", s.Addr(), 201); r != -int64(errno.ENOMEM) {
		t.Errorf("pull of more than there is returns %d", r)
	}
	from, _ := b.scratch([]byte{0xaa, 0xbb})
	if r := b.call("bpf_skb_store_bytes", s.Addr(), 60, from, 2); r != 0 {
		t.Errorf("store returns %d", r)
	}
	copy(frame[60:], []byte{0xaa, 0xbb})
	if _, n := s.Linear(); n != 62 || !bytes.Equal(s.Data(), frame) {
		t.Errorf("after the store %d bytes are linear, want 62; packet %x", n, s.Data())
	}
	b.call("bpf_skb_pull_data", s.Addr(), 200)
	if _, n := s.Linear(); n != 200 || !bytes.Equal(s.Data(), frame) {
		t.Errorf("after the pull %d bytes are linear; packet %x", n, s.Data())
	}
}

func TestReleaseGivesMemoryBack(t *testing.T) {
	b := newBench(t)
	before := b.m.Mem.Used()
	s, err := pkt.NewSkb(b.m, b.ns, pkt.SkbSpec{Data: ipv4Frame(64)})
	if err != nil {
		t.Fatal(err)
	}
	b.call("bpf_cast_to_kern_ctx", s.Addr())
	b.call("bpf_skb_change_head", s.Addr(), 20, 0)
	s.Release()
	x, err := pkt.NewXDP(b.m, b.ns, pkt.XDPSpec{Data: ipv4Frame(9000)})
	if err != nil {
		t.Fatal(err)
	}
	b.call("bpf_cast_to_kern_ctx", x.Addr())
	b.call("bpf_xdp_adjust_head", x.Addr(), 20)
	x.Release()
	if after := b.m.Mem.Used(); after != before {
		t.Errorf("%d bytes of guest memory are in use, %d before", after, before)
	}
}

func TestContextErrors(t *testing.T) {
	b := newBench(t)
	ctx := func(at int, v byte) []byte {
		c := make([]byte, 200)
		c[at] = v
		return c
	}
	for name, c := range map[string]struct {
		spec pkt.SkbSpec
		want errno.Errno
	}{
		"short":         {pkt.SkbSpec{Data: make([]byte, 13)}, errno.EINVAL},
		"long":          {pkt.SkbSpec{Data: make([]byte, 3713)}, errno.EINVAL},
		"half a header": {pkt.SkbSpec{Data: ipv4Frame(33)}, errno.EINVAL},
		"stray byte":    {pkt.SkbSpec{Data: ipv4Frame(64), Ctx: ctx(0, 1)}, errno.EINVAL},
		"behind":        {pkt.SkbSpec{Data: ipv4Frame(64), Ctx: ctx(192, 1)}, errno.E2BIG},
		"no device":     {pkt.SkbSpec{Data: ipv4Frame(64), Ctx: ctx(40, 9)}, errno.ENODEV},
	} {
		if _, err := pkt.NewSkb(b.m, b.ns, c.spec); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestFieldAccess(t *testing.T) {
	b := newBench(t)
	s := b.skb(pkt.SkbSpec{Data: ipv4Frame(64)})
	for name, c := range map[string]struct {
		off  uint64
		size uint32
		ok   bool
	}{
		"mark": {8, 4, true}, "half of mark": {8, 2, false}, "len": {0, 4, false}, "cb byte": {50, 1, true}, "cb word": {56, 8, true},
		"beyond cb": {64, 8, false}, "tstamp": {152, 8, true}, "half of tstamp": {152, 4, false}, "protocol": {16, 4, false},
		"hash": {68, 4, false}, "data": {76, 4, false}, "tc_classid": {72, 4, true},
	} {
		if _, err := b.c.M.Mem.Load(s.Addr()+c.off, c.size); err != nil {
			t.Errorf("read of %s: %v", name, err)
		}
		if _, _, f := b.c.M.Mem.Store(s.Addr()+c.off, c.size); (f == nil) != c.ok {
			t.Errorf("write of %s: %v, want success %v", name, f, c.ok)
		}
	}
	cg := b.skb(pkt.SkbSpec{Data: ipv4Frame(64), ProgType: ebpf.CGroupSKB})
	if cg.Len() != 50 {
		t.Errorf("a cgroup program sees %d bytes, want those behind the Ethernet header", cg.Len())
	}
	if _, _, f := b.m.Mem.Store(cg.Addr()+44, 4); f == nil {
		t.Error("a cgroup program may write tc_index")
	}
	if got := cg.Frame(); len(got) != 64 || !bytes.Equal(got[:14], make([]byte, 14)) {
		t.Errorf("frame of a cgroup program is %x", got)
	}
}
