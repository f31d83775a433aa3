package maps

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// tester is what tests and properties have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Cleanup(f func())
}

// newMachine is a machine without an engine: the tests call helpers themselves.
func newMachine(tb tester, cpus int) *vm.Machine {
	tb.Helper()
	p := kernel.Default()
	if p == nil {
		tb.Fatal("no kernel profile")
	}
	r := new(vm.Registry)
	Register(r)
	return vm.New(vm.Config{Profile: p, Clock: clock.New(clock.Options{}), Registry: r, CPUs: cpus, Engine: goEngine{}})
}

func mustNew(tb tester, m *vm.Machine, spec *ebpf.MapSpec) Map {
	tb.Helper()
	if spec.Name == "" {
		spec.Name = "test"
	}
	mp, err := New(m, spec, Options{ID: 1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(mp.Close)
	return mp
}

// goEngine runs Go functions as programs: the entry is what Owner holds.
type goEngine struct{}

type goProgram struct {
	run   func(c *vm.CPU, ctx uint64) (uint64, error)
	calls []func(c *vm.CPU, args [5]uint64) (uint64, error)
}

func (goEngine) Name() string                                { return "go" }
func (goEngine) Compile(p *vm.Program) (vm.Code, error)      { return p.Owner.(*goProgram), nil }
func (g *goProgram) Run(c *vm.CPU, x uint64) (uint64, error) { return g.run(c, x) }
func (g *goProgram) Call(c *vm.CPU, slot int, args [5]uint64) (uint64, error) {
	return g.calls[slot](c, args)
}

// onCPU runs f as a program on the given CPU.
func onCPU(tb tester, m *vm.Machine, cpu int, f func(c *vm.CPU) (uint64, error)) (uint64, error) {
	tb.Helper()
	p := &vm.Program{Name: "test", Owner: &goProgram{run: func(c *vm.CPU, _ uint64) (uint64, error) { return f(c) }}}
	if err := m.Compile(p); err != nil {
		tb.Fatal(err)
	}
	r, err := m.Run(p, vm.RunOptions{CPU: cpu})
	return r.R0, err
}

// callback gives a Go function an address that helpers can call.
func callback(tb tester, m *vm.Machine, f func(c *vm.CPU, args [5]uint64) (uint64, error)) uint64 {
	tb.Helper()
	p := &vm.Program{Name: "callback", Owner: &goProgram{calls: []func(*vm.CPU, [5]uint64) (uint64, error){f}}}
	if err := m.Compile(p); err != nil {
		tb.Fatal(err)
	}
	return m.FuncAddr(p, 0)
}

// guest copies data to guest memory and returns its address.
func guest(tb tester, m *vm.Machine, data []byte) uint64 {
	tb.Helper()
	o, err := m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindScratch, Size: uint32(len(data))})
	if err != nil {
		tb.Fatal(err)
	}
	copy(o.Bytes(), data)
	return o.Addr()
}

// call runs a helper on a CPU of its own program.
func call(tb tester, m *vm.Machine, cpu int, name string, args ...uint64) (uint64, error) {
	tb.Helper()
	f := m.Registry.Lookup(name)
	if f == nil {
		tb.Fatalf("no helper %s", name)
	}
	return onCPU(tb, m, cpu, func(c *vm.CPU) (uint64, error) {
		var a [5]uint64
		copy(a[:], args)
		return f(c, &a)
	})
}

func wantErrno(tb tester, what string, err error, want errno.Errno) {
	tb.Helper()
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		tb.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestHelpersOnAHash(t *testing.T) {
	m := newMachine(t, 2)
	mp := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	key, val := guest(t, m, uint32Bytes(7)), guest(t, m, []byte("12345678"))
	for _, s := range []struct {
		name string
		args []uint64
		want uint64
	}{
		{"bpf_map_lookup_elem", []uint64{mp.Handle().Addr(), key}, 0},
		{"bpf_map_update_elem", []uint64{mp.Handle().Addr(), key, val, Exist}, errno.ENOENT.Neg()},
		{"bpf_map_update_elem", []uint64{mp.Handle().Addr(), key, val, NoExist}, 0},
		{"bpf_map_update_elem", []uint64{mp.Handle().Addr(), key, val, NoExist}, errno.EEXIST.Neg()},
		{"bpf_map_delete_elem", []uint64{mp.Handle().Addr(), key}, 0},
		{"bpf_map_delete_elem", []uint64{mp.Handle().Addr(), key}, errno.ENOENT.Neg()},
		{"bpf_map_update_elem", []uint64{mp.Handle().Addr(), key, val, 3}, errno.EINVAL.Neg()},
		{"bpf_map_update_elem", []uint64{mp.Handle().Addr(), key, val, Any}, 0},
	} {
		got, err := call(t, m, 0, s.name, s.args...)
		if err != nil || got != s.want {
			t.Errorf("%s(%v): %#x, %v, want %#x", s.name, s.args, got, err, s.want)
		}
	}
	addr, err := call(t, m, 1, "bpf_map_lookup_elem", mp.Handle().Addr(), key)
	if err != nil {
		t.Fatal(err)
	}
	b, f := m.Mem.Load(addr, 8)
	if f != nil || string(b) != "12345678" {
		t.Errorf("value %q, %v", b, f)
	}
	if _, f := m.Mem.Load(addr, 9); f == nil || f.Kind != vm.OutOfBounds {
		t.Errorf("a read past the value: %v", f)
	}
}

func TestHandleShowsWhatTheMapIs(t *testing.T) {
	m := newMachine(t, 1)
	mp := mustNew(t, m, &ebpf.MapSpec{Name: "flows", Type: ebpf.Hash, KeySize: 12, ValueSize: 20, MaxEntries: 100})
	for path, want := range map[string]uint64{
		"map.map_type": uint64(ebpf.Hash), "map.key_size": 12, "map.value_size": 20, "map.max_entries": 100,
		"map.id": 1, "n_buckets": 128, "elem_size": 48 + 16 + 24,
	} {
		off, size, err := m.Profile.Field("bpf_htab", path)
		if err != nil {
			t.Fatal(err)
		}
		b, f := m.Mem.Load(mp.Handle().Addr()+uint64(off), size)
		if f != nil {
			t.Fatal(f)
		}
		got := uint64(0)
		for i, x := range b {
			got |= uint64(x) << (8 * i)
		}
		if got != want {
			t.Errorf("%s is %d, want %d", path, got, want)
		}
	}
	if _, _, f := m.Mem.Store(mp.Handle().Addr(), 4); f == nil || f.Kind != vm.WriteProtected {
		t.Errorf("a write into the handle: %v", f)
	}
}
