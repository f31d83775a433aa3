package maps

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/vm"
	vmbase "github.com/bpfct/bpfct/vm/base"
	"github.com/bpfct/bpfct/vm/interp"
)

// host is a machine with one program and the maps that it uses.
type host struct {
	m    *vm.Machine
	prog *vm.Program
	maps map[string]Map
	obj  *link.Object
	errs []error // of timers
}

// loadHost loads a program of an object; adjust may change the specs of its maps.
func loadHost(t tester, spec *ebpf.CollectionSpec, name string, cpus int, adjust func(maps map[string]*ebpf.MapSpec)) *host {
	t.Helper()
	obj, err := link.Link(spec, kernel.Default(), link.Options{Programs: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	if adjust != nil {
		adjust(obj.Maps)
	}
	h := &host{maps: make(map[string]Map), obj: obj}
	r := new(vm.Registry)
	Register(r)
	vmbase.Register(r)
	h.m = vm.New(vm.Config{Profile: kernel.Default(), Clock: clock.New(clock.Options{}), Registry: r, CPUs: cpus, Engine: interp.Engine{}})
	h.prog, err = h.m.Load(obj.Programs[name], func(ref *link.MapRef) (uint64, error) {
		mp := h.maps[ref.Name]
		if mp == nil {
			var err error
			if mp, err = h.newMap(ref.Name); err != nil {
				return 0, err
			}
		}
		if ref.Value {
			return mp.ValueAddr(ref.Offset)
		}
		return mp.Handle().Addr(), nil
	}, vm.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *host) newMap(name string) (Map, error) {
	spec := h.obj.Maps[name]
	mp, err := New(h.m, spec, Options{ID: uint32(len(h.maps) + 1), Types: h.obj.Types,
		TimerError: func(_ Info, err error) { h.errs = append(h.errs, err) }})
	if err != nil {
		return nil, err
	}
	h.maps[name] = mp
	for _, kv := range spec.Contents {
		if b, ok := kv.Value.([]byte); ok {
			if err := mp.Update(uint32Bytes(0), b, 0); err != nil {
				return nil, err
			}
		}
	}
	return mp, nil
}

// variable reads a global variable of 8 bytes.
func (h *host) variable(t *testing.T, name string) uint64 {
	t.Helper()
	v := h.obj.Variables[name]
	if v == nil {
		t.Fatalf("no variable %s", name)
	}
	b, err := h.maps[v.SectionName].Lookup(uint32Bytes(0), 0)
	if err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint64(b[v.Offset:])
}

func loadSpec(t testing.TB, file string) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(file)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func (h *host) run(t tester, cpu int) {
	t.Helper()
	if _, err := h.m.Run(h.prog, vm.RunOptions{CPU: cpu}); err != nil {
		t.Fatalf("%+v", err)
	}
}
