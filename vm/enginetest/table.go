package enginetest

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
)

// test is a row of the table: a program and how it ends.
type test struct {
	name  string
	insns asm.Instructions
	// setup, where set, prepares the machine.
	setup func(t *testing.T, e *Env)
	// r0 is the result when fault is 0.
	r0    uint64
	fault vm.FaultKind
	// text is part of the fault's report, or of the error that refuses the program.
	text string
	// budget is the number of instructions that a run may execute; 0 means 1<<20.
	budget uint64
	// refused says that the program is not compiled.
	refused bool
}

// Run has the engine pass every test of the table.
func Run(t *testing.T, engine vm.Engine) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"alu", aluTests()}, {"jumps", jumpTests()}, {"memory", memoryTests()}, {"calls", callTests()},
		{"exceptions", exceptionTests()}, {"refused", refusedTests()}, {"illegal", illegalTests()},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, tt := range group.tests {
				t.Run(tt.name, func(t *testing.T) { tt.run(t, engine) })
			}
		})
	}
	t.Run("random programs", func(t *testing.T) { testRandomPrograms(t, engine) })
	t.Run("cpus share memory", func(t *testing.T) { testSharedMemory(t, engine) })
	t.Run("a machine outlives faults", func(t *testing.T) { testAfterFault(t, engine) })
	t.Run("errors that are no faults", func(t *testing.T) { testForeignError(t, engine) })
	t.Run("instructions are counted", func(t *testing.T) { testCount(t, engine) })
}

func (tt *test) run(t *testing.T, engine vm.Engine) {
	e := New(t, engine, vm.Config{MaxInsns: cmp.Or(tt.budget, 1<<20)})
	e.Funcs["throw"], e.Funcs["loop"] = Throw, Loop
	e.Object(t, vm.ObjectSpec{Kind: vm.KindMapValue, Name: "value", Size: 64})
	if tt.setup != nil {
		tt.setup(t, e)
	}
	p, err := e.Compile(tt.name, tt.insns)
	if tt.refused {
		if err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Fatalf("compiling: got error %v, want one with %q", err, tt.text)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a run leaves nothing to the next
		res, err := e.Run(p)
		if tt.fault == 0 {
			if err != nil {
				t.Fatalf("%+v", err)
			}
			if res.R0 != tt.r0 {
				t.Fatalf("r0 is %#x, want %#x", res.R0, tt.r0)
			}
			continue
		}
		var f *vm.Fault
		if !errors.As(err, &f) || f.Kind != tt.fault {
			t.Fatalf("got r0 %#x, error %v, want fault %v", res.R0, err, tt.fault)
		}
		if !strings.Contains(f.Error(), tt.text) {
			t.Fatalf("the fault is %q, want %q in it", f, tt.text)
		}
		if f.Site.Program != p {
			t.Fatalf("the fault is in program %v", f.Site.Program)
		}
	}
}
