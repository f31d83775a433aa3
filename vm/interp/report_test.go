package interp_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/enginetest"
	"github.com/bpfct/bpfct/vm/interp"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/faults.c

var update = flag.Bool("update", false, "write the golden files")

// TestReports holds the sanitizer's words, %v and %+v, for each way to fail.
func TestReports(t *testing.T) {
	spec, err := ebpf.LoadCollectionSpec("testdata/faults.o")
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range spec.Programs {
		t.Run(name, func(t *testing.T) {
			env := faultEnv(t)
			prog := env.Program(t, name, p.Instructions)
			_, err := env.Run(prog)
			var f *vm.Fault
			if !errors.As(err, &f) {
				t.Fatalf("got error %v, want a fault", err)
			}
			got := fmt.Sprintf("%v\n\n%+v\n", f, f)
			path := filepath.Join("testdata", "reports", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// faultEnv has what testdata/faults.c calls.
func faultEnv(t *testing.T) *enginetest.Env {
	env := enginetest.New(t, interp.Engine{}, vm.Config{MaxInsns: 10000})
	values := env.Object(t, vm.ObjectSpec{Kind: vm.KindMapValue, Name: "values", Size: 64, Stride: 16, Elem: 12})
	env.Object(t, vm.ObjectSpec{Kind: vm.KindMapValue, Name: ".rodata", Size: 4, ReadOnly: true})
	env.Object(t, vm.ObjectSpec{Kind: vm.KindMap, Name: "jumps", Size: 16, Owner: make(enginetest.ProgArray, 4)})
	env.Funcs["bpf_map_lookup_elem"] = func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		key, err := c.Read("R2", a[1], 4)
		if err != nil {
			return 0, err
		}
		return values.Addr() + 16*uint64(key[0]), nil
	}
	env.Funcs["bpf_spin_lock"] = func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		o, _, err := c.ObjectAt("R1", a[0])
		if err == nil {
			c.PushLock(vm.HeldLock{Addr: a[0], Object: o, Site: c.Site()})
		}
		return 0, err
	}
	env.Funcs["acquire"] = func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		if a[0] == 0 {
			return 0, nil
		}
		o, err := c.M.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindView, Name: "struct nf_conn", Size: 8,
			Writable: func(off, size uint32) bool { return off+size <= 4 }})
		if err != nil {
			return 0, err
		}
		c.Acquire(o)
		return o.Addr(), nil
	}
	env.Funcs["release"] = func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		o, _, err := c.ObjectAt("R1", a[0])
		if err != nil {
			return 0, err
		}
		return 0, c.Release("R1", o)
	}
	env.Funcs["rcu_lock"] = func(c *vm.CPU, _ *[5]uint64) (uint64, error) { c.RCU++; return 0, nil }
	return env
}
