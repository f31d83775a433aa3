package enginetest

import (
	"bytes"
	_ "embed"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/vm"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/exception.c

//go:embed testdata/exception.o
var exceptionObject []byte

// withExceptionCallback appends the function that the program's tag names.
func withExceptionCallback(spec map[string]*ebpf.ProgramSpec, insns asm.Instructions) asm.Instructions {
	for _, tag := range btf.FuncMetadata(&insns[0]).Tags {
		if name, ok := strings.CutPrefix(tag, "exception_callback:"); ok {
			have, _ := insns.SymbolOffsets()
			rest := spec[name].Instructions
			offsets, _ := rest.SymbolOffsets()
			for fn, at := range offsets { // functions that both have come once
				if _, dup := have[fn]; dup {
					end := at + 1
					for end < len(rest) && rest[end].Symbol() == "" {
						end++
					}
					rest = slices.Delete(slices.Clone(rest), at, end)
				}
			}
			return append(slices.Clone(insns), rest...)
		}
	}
	return slices.Clone(insns)
}

// testExceptionsAsKernel throws from everywhere, with the default callback and
// with the program's own.
func testExceptionsAsKernel(t *testing.T, engine vm.Engine) {
	testkernel.Require(t)
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(exceptionObject))
	if err != nil {
		t.Fatal(err)
	}
	env := New(t, engine, vm.Config{})
	env.Funcs["bpf_throw"], env.Funcs["bpf_loop"] = Throw, Loop
	array := make(ProgArray, 4)
	env.Object(t, vm.ObjectSpec{Kind: vm.KindMap, Name: "jumps", Size: 8, Owner: array})

	here := make(map[string]*vm.Program)
	all := maps.Clone(spec.Programs)
	for name, p := range all {
		if strings.HasPrefix(name, "throw_") || strings.HasPrefix(name, "custom_") || strings.HasPrefix(name, "tail_") {
			p.Instructions = withExceptionCallback(all, slices.Clone(p.Instructions))
			here[name] = env.Program(t, name, p.Instructions)
		} else {
			delete(spec.Programs, name)
		}
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer coll.Close()
	check := func(t *testing.T, name string) {
		t.Helper()
		want, err := coll.Programs[name].Run(&ebpf.RunOptions{Data: make([]byte, 64)})
		if err != nil {
			t.Fatal(err)
		}
		res, err := env.Run(here[name])
		if err != nil {
			t.Fatalf("kernel %#x, here %+v", want, err)
		}
		if uint32(res.R0) != want {
			t.Errorf("kernel %#x, here %#x", want, res.R0)
		}
		t.Logf("%#x", want)
	}
	for name := range here {
		if !strings.HasPrefix(name, "tail_") {
			t.Run(name, func(t *testing.T) { check(t, name) })
			continue
		}
		for target := range here {
			if strings.HasPrefix(target, "tail_") {
				continue
			}
			t.Run(name+" "+target, func(t *testing.T) {
				if err := coll.Maps["jumps"].Put(uint32(0), coll.Programs[target]); err != nil {
					t.Fatal(err)
				}
				array[0] = here[target]
				check(t, name)
			})
		}
	}
}
