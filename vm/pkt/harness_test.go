package pkt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/base"
	"github.com/bpfct/bpfct/vm/interp"
	"github.com/bpfct/bpfct/vm/objects"
	"github.com/bpfct/bpfct/vm/pkt"
)

// The scripts of testdata/ops.c.
const (
	scriptLen = 8
	dataLen   = 64
	opSize    = 8 + 3*8 + dataLen
)

type op struct {
	code, n uint32
	a, b, c uint64
	data    []byte
}

func (o op) String() string {
	return fmt.Sprintf("{%d n=%d a=%#x b=%#x c=%#x %x}", o.code, o.n, o.a, o.b, o.c, o.data)
}

// run is what goes into a run, outcome what comes out.
type run struct {
	data, ctx []byte
	flags     uint32
	ops       []op
}

type outcome struct {
	err     errno.Errno
	ret     uint32
	data    []byte
	ctx     []byte
	results []uint64
	out     []byte
	fields  []uint64
}

func encodeOps(ops []op) []byte {
	b := make([]byte, scriptLen*opSize)
	for i, o := range ops {
		p := b[i*opSize:]
		binary.LittleEndian.PutUint32(p, o.code)
		binary.LittleEndian.PutUint32(p[4:], o.n)
		binary.LittleEndian.PutUint64(p[8:], o.a)
		binary.LittleEndian.PutUint64(p[16:], o.b)
		binary.LittleEndian.PutUint64(p[24:], o.c)
		copy(p[32:opSize], o.data)
	}
	return b
}

func words(b []byte) []uint64 {
	w := make([]uint64, len(b)/8)
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return w
}

func loadSpec(tb testing.TB, path string) *ebpf.CollectionSpec {
	tb.Helper()
	spec, err := ebpf.LoadCollectionSpec(path)
	if err != nil {
		tb.Fatal(err)
	}
	return spec
}

// kernelSide runs scripts on the kernel.
type kernelSide struct {
	host *live.Host
	coll *live.Collection
}

func newKernel(tb testing.TB, path string, opts live.Options) *kernelSide {
	tb.Helper()
	testkernel.Require(tb)
	host, err := live.NewHost(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { host.Close() })
	coll, err := host.LoadCollection(loadSpec(tb, path), nil)
	if err != nil {
		tb.Fatalf("%+v", err)
	}
	return &kernelSide{host, coll}
}

func (k *kernelSide) run(tb testing.TB, prog string, r run) outcome {
	tb.Helper()
	set := func(name string, v []byte) {
		if err := k.coll.SetVariable(name, v); err != nil {
			tb.Fatal(err)
		}
	}
	get := func(name string) []byte {
		b, err := k.coll.Variable(name)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	set("ops", encodeOps(r.ops))
	set("results", make([]byte, scriptLen*8))
	set("data_out", make([]byte, scriptLen*dataLen))
	set("fields", make([]byte, scriptLen*16*8))
	res, err := k.host.Run(k.coll.Programs[prog], live.RunOptions{Data: r.data, Ctx: r.ctx, Flags: r.flags})
	if err != nil {
		return outcome{err: errnoOf(tb, err)}
	}
	return outcome{ret: res.Ret, data: res.Data, ctx: res.Ctx, results: words(get("results")), out: get("data_out"),
		fields: words(get("fields"))}
}

// errnoOf finds the number in an error.
func errnoOf(tb testing.TB, err error) errno.Errno {
	tb.Helper()
	var sys syscall.Errno
	if errors.As(err, &sys) {
		return errno.Errno(uint32(sys))
	}
	var own errno.Errno
	if errors.As(err, &own) {
		return own
	}
	tb.Fatalf("no errno in %v", err)
	return 0
}

// machineSide runs scripts on the machine.
type machineSide struct {
	m     *vm.Machine
	ns    *netns.Netns
	progs map[string]*vm.Program
	vars  map[string][]byte
}

func newMachine(tb testing.TB, path string, ns *netns.Netns) *machineSide {
	tb.Helper()
	reg := new(vm.Registry)
	base.Register(reg)
	objects.Register(reg)
	pkt.Register(reg)
	m := vm.New(vm.Config{Profile: kernel.Default(), Clock: clock.New(clock.Options{}), Engine: interp.Engine{}, Registry: reg})
	spec := loadSpec(tb, path)
	ms := &machineSide{m: m, ns: ns, progs: make(map[string]*vm.Program), vars: make(map[string][]byte)}
	sections := make(map[string]*vm.Object)
	for name, ms := range spec.Maps {
		o, err := m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindMapValue, Name: name, Size: ms.ValueSize})
		if err != nil {
			tb.Fatal(err)
		}
		if len(ms.Contents) > 0 {
			copy(o.Bytes(), ms.Contents[0].Value.([]byte))
		}
		sections[name] = o
	}
	for name, v := range spec.Variables {
		ms.vars[name] = sections[v.SectionName].Bytes()[v.Offset : v.Offset+v.Size()]
	}
	obj, err := link.Link(spec, m.Profile, link.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	for name, lp := range obj.Programs {
		p, err := m.Load(lp, func(ref *link.MapRef) (uint64, error) {
			return sections[ref.Name].Addr() + uint64(ref.Offset), nil
		}, vm.Facts{})
		if err != nil {
			tb.Fatal(err)
		}
		ms.progs[name] = p
	}
	return ms
}

func (ms *machineSide) run(tb testing.TB, prog string, r run) outcome {
	tb.Helper()
	copy(ms.vars["ops"], encodeOps(r.ops))
	for _, name := range []string{"results", "data_out", "fields"} {
		clear(ms.vars[name])
	}
	p := ms.progs[prog]
	o := outcome{}
	var ctx vm.Context
	var skb *pkt.Skb
	var xdp *pkt.XDP
	var err error
	if p.Type == ebpf.XDP {
		xdp, err = pkt.NewXDP(ms.m, ms.ns, pkt.XDPSpec{Data: r.data, Ctx: r.ctx})
		ctx = xdp
	} else {
		skb, err = pkt.NewSkb(ms.m, ms.ns, pkt.SkbSpec{Data: r.data, Ctx: r.ctx, ProgType: p.Type,
			ChecksumComplete: r.flags&live.FlagSKBChecksum != 0})
		ctx = skb
	}
	if err != nil {
		return outcome{err: errnoOf(tb, err)}
	}
	res, err := ms.m.Run(p, vm.RunOptions{Ctx: ctx})
	if err != nil {
		tb.Fatalf("%+v", err)
	}
	o.ret = uint32(res.R0)
	if xdp != nil {
		o.data, o.ctx = xdp.Frame(), xdp.CtxOut()
		xdp.Release()
	} else {
		o.data, o.ctx = skb.Frame(), skb.CtxOut()
		if r.flags&live.FlagSKBChecksum != 0 {
			if err := skb.CheckCsum(); err != nil {
				o = outcome{err: errnoOf(tb, err)}
			}
		}
		skb.Release()
	}
	if o.err != 0 {
		return o
	}
	o.results = words(ms.vars["results"])
	o.out = bytes.Clone(ms.vars["data_out"])
	o.fields = words(ms.vars["fields"])
	return o
}

// compare reports the first difference between two outcomes.
func compare(tb interface {
	Fatalf(string, ...any)
	Helper()
}, r run, k, m outcome) {
	tb.Helper()
	script := ""
	for _, o := range r.ops {
		script += "\n  " + o.String()
	}
	where := fmt.Sprintf("\npacket %x\nctx %x flags %d%s", r.data, r.ctx, r.flags, script)
	if k.err != m.err {
		tb.Fatalf("kernel error %v, machine error %v%s", k.err, m.err, where)
	}
	if k.err != 0 {
		return
	}
	for i := range k.results {
		if k.results[i] != m.results[i] {
			tb.Fatalf("operation %d: kernel returns %#x, machine %#x%s", i, k.results[i], m.results[i], where)
		}
		if a, b := k.out[i*dataLen:(i+1)*dataLen], m.out[i*dataLen:(i+1)*dataLen]; !bytes.Equal(a, b) {
			tb.Fatalf("operation %d writes\n %x on the kernel\n %x on the machine%s", i, a, b, where)
		}
		for j := range 16 {
			if a, b := k.fields[i*16+j], m.fields[i*16+j]; a != b {
				tb.Fatalf("operation %d: field %d is %#x on the kernel, %#x on the machine%s", i, j, a, b, where)
			}
		}
	}
	if k.ret != m.ret {
		tb.Fatalf("kernel returns %d, machine %d%s", k.ret, m.ret, where)
	}
	if !bytes.Equal(k.data, m.data) {
		tb.Fatalf("packet out\n kernel  %x\n machine %x%s", k.data, m.data, where)
	}
	if r.ctx != nil && !bytes.Equal(k.ctx, m.ctx) {
		tb.Fatalf("context out\n kernel  %x\n machine %x%s", k.ctx, m.ctx, where)
	}
}
