package ctkfunc

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/pkt"
)

// script is a program written in Go.
type script func(p *proc) error

// proc is what a script calls kfuncs with.
type proc struct {
	*vm.CPU
	t *testing.T
	// mem is memory of the program's, at base.
	mem  []byte
	base uint64
	ctx  uint64
}

// engine runs scripts.
type engine struct {
	h *harness
	f script
}

func (e engine) Name() string                               { return "script" }
func (e engine) Compile(*vm.Program) (vm.Code, error)       { return e, nil }
func (engine) Call(*vm.CPU, int, [5]uint64) (uint64, error) { return 0, errors.New("no callbacks") }

func (e engine) Run(c *vm.CPU, ctx uint64) (uint64, error) {
	o, err := c.M.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindScratch, Size: 256})
	if err != nil {
		return 0, err
	}
	defer c.M.Mem.Free(o, c.Site())
	return 0, e.f(&proc{CPU: c, t: e.h.t, mem: o.Bytes(), base: o.Addr(), ctx: ctx})
}

// harness is a machine with nothing but the conntrack kfuncs.
type harness struct {
	t  *testing.T
	m  *vm.Machine
	ns *netns.Netns
}

func newHarness(t *testing.T, profile string, cpus int) *harness {
	t.Helper()
	p, err := kernel.Lookup(profile)
	if err != nil {
		t.Fatal(err)
	}
	var r vm.Registry
	if err := Register(&r, p); err != nil {
		t.Fatal(err)
	}
	c := clock.New(clock.Options{})
	h := &harness{t: t, ns: netns.New("test", 1)}
	h.ns.Conntrack = conntrack.New(conntrack.Options{Clock: c})
	h.m = vm.New(vm.Config{Profile: p, Clock: c, Registry: &r, CPUs: cpus, Engine: engine{h: h}})
	return h
}

// run runs a script on any CPU, as a program of the type. Scripts that run at once
// are compiled before with compile.
func (h *harness) run(typ ebpf.ProgramType, f script) error { return h.start(h.compile(typ, f)) }

func (h *harness) compile(typ ebpf.ProgramType, f script) *vm.Program {
	h.t.Helper()
	p := &vm.Program{Name: "script", Type: typ}
	h.m.Engine = engine{h, f}
	if err := h.m.Compile(p); err != nil {
		h.t.Fatal(err)
	}
	return p
}

// start runs a compiled program.
func (h *harness) start(p *vm.Program) error {
	data := make([]byte, 64)
	if p.Type == ebpf.XDP {
		x, err := pkt.NewXDP(h.m, h.ns, pkt.XDPSpec{Data: data})
		if err != nil {
			return err
		}
		defer x.Release()
		_, err = h.m.Run(p, vm.RunOptions{CPU: vm.AnyCPU, Ctx: x})
		return err
	}
	skb, err := pkt.NewSkb(h.m, h.ns, pkt.SkbSpec{Data: data, ProgType: p.Type})
	if err != nil {
		return err
	}
	defer skb.Release()
	_, err = h.m.Run(p, vm.RunOptions{CPU: vm.AnyCPU, Ctx: skb})
	return err
}

// Where a script keeps its arguments.
const (
	tupleAt = 0
	optsAt  = 64
	addrAt  = 128
)

// arguments fills in a tuple and options without a fault.
func (p *proc) arguments(port uint16) {
	clear(p.mem)
	copy(p.mem[tupleAt:], []byte{10, 0, 0, 1, 10, 0, 0, 2, byte(port >> 8), byte(port), 0, 80})
	binary.LittleEndian.PutUint32(p.mem[optsAt:], 0xffffffff)
	p.mem[optsAt+optsProto] = conntrack.ProtoTCP
}

// call calls a kfunc.
func (p *proc) call(name string, args ...uint64) (uint64, error) {
	p.t.Helper()
	f := p.M.Registry.Lookup(name)
	if f == nil {
		p.t.Fatalf("no kfunc %s", name)
	}
	var a [5]uint64
	copy(a[:], args)
	return f(p.CPU, &a)
}

// find calls a kfunc with the arguments that were filled in.
func (p *proc) find(name string) (uint64, error) {
	p.t.Helper()
	return p.call(name, p.ctx, p.base+tupleAt, 12, p.base+optsAt, 16)
}

// made is an entry of the table.
func (p *proc) made(port uint16) (uint64, error) {
	p.t.Helper()
	p.arguments(port)
	ct, err := p.find("bpf_skb_ct_alloc")
	if err != nil || ct == 0 {
		return 0, errors.Join(err, errors.New("no connection"))
	}
	if ct, err = p.call("bpf_ct_insert_entry", ct); err == nil && ct == 0 {
		err = errors.New("not inserted")
	}
	return ct, err
}

// member reads a member of a view.
func (p *proc) member(ct uint64, f field) uint32 {
	p.t.Helper()
	b, err := p.Read("R1", ct+uint64(f.off), f.size)
	if err != nil {
		p.t.Fatal(err)
	}
	var w [8]byte
	copy(w[:], b)
	return uint32(binary.LittleEndian.Uint64(w[:]))
}

// setMark writes the mark as an engine does.
func (p *proc) setMark(ct uint64, f field, mark uint32) {
	p.t.Helper()
	b, o, fault := p.M.Mem.Store(ct+uint64(f.off), 4)
	if fault != nil {
		p.t.Fatal(fault)
	}
	storeWord(b, mark)
	o.OnWrite(f.off, 4)
}

// storeWord is what a program does, which no lock orders.
//
//go:norace
func storeWord(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }

func (h *harness) layout() *layout {
	h.t.Helper()
	l, err := newLayout(h.m.Profile)
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}
