package kernel_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/kernel/internal/probe"
)

var tc = probe.Context{Type: ebpf.SchedCLS}

// accepted loads a program; words are those of the refusal.
func accepted(t *testing.T, insns ...asm.Instruction) (ok bool, words string) {
	t.Helper()
	log, err := tc.Load("GPL", 1, insns...)
	if err != nil && log == "" {
		log = err.Error()
	}
	return err == nil, log
}

// edge holds that something works with n and not with one more, for the reason
// in words.
func edge(t *testing.T, what string, n, more int, words string, try func(n int) (bool, string)) {
	t.Helper()
	if ok, log := try(n); !ok {
		t.Errorf("%s: %d is refused: %s", what, n, log)
	}
	if ok, log := try(more); ok || !strings.Contains(log, words) {
		t.Errorf("%s: %d is accepted: %v, %q does not say %q", what, more, ok, log, words)
	}
}

func call(label string) asm.Instruction { return asm.Call.Label(label) }

// chain is a program of n functions, each calling the next.
func chain(n int, each func(i int) asm.Instructions) asm.Instructions {
	var insns asm.Instructions
	for i := range n {
		body := asm.Instructions{}
		if each != nil {
			body = append(body, each(i)...)
		}
		if i < n-1 {
			body = append(body, call(fmt.Sprint("f", i+1)))
		}
		body = append(body, asm.Mov.Imm(asm.R0, 0), asm.Return())
		body[0] = body[0].WithSymbol(fmt.Sprint("f", i))
		insns = append(insns, body...)
	}
	return insns
}

func TestProgramLimits(t *testing.T) {
	sameKernel(t)
	limits := kernel.Default().Limits
	end := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}

	edge(t, "stack", limits.Stack, limits.Stack+8, "invalid write to stack", func(n int) (bool, string) {
		return accepted(t, append(asm.Instructions{asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.R10, int16(-n), asm.R1, asm.DWord)}, end...)...)
	})
	edge(t, "frames", limits.Frames, limits.Frames+1, "too deep", func(n int) (bool, string) {
		return accepted(t, chain(n, nil)...)
	})
	edge(t, "subprograms", limits.Subprograms, limits.Subprograms+1, "too many subprograms", func(n int) (bool, string) {
		var insns, bodies asm.Instructions
		for i := 1; i < n; i++ {
			insns = append(insns, call(fmt.Sprint("f", i)))
			bodies = append(bodies, asm.Mov.Imm(asm.R0, 0).WithSymbol(fmt.Sprint("f", i)), asm.Return())
		}
		insns = append(insns, end...)
		return accepted(t, append(insns, bodies...)...)
	})
	edge(t, "maps", limits.Maps, limits.Maps+1, "number of maps per program has reached the limit", func(n int) (bool, string) {
		var insns asm.Instructions
		for range n {
			m := newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
			insns = append(insns, asm.LoadMapPtr(asm.R1, m.FD()))
		}
		return accepted(t, append(insns, end...)...)
	})
	edge(t, "stack above a tail call", limits.TailCallStack-32, limits.TailCallStack-8, "tail_calls are not allowed when call stack of previous frames is", func(n int) (bool, string) {
		m := newMap(t, &ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		insns := asm.Instructions{
			btf.WithFuncMetadata(asm.Mov.Imm(asm.R2, 0).WithSymbol("main"), mainFunc),
			asm.StoreMem(asm.R10, int16(-n), asm.R2, asm.DWord),
			call("callback"),
		}
		insns = append(insns, end...)
		insns = append(insns,
			btf.WithFuncMetadata(asm.LoadMapPtr(asm.R2, m.FD()).WithSymbol("callback"), callbackFunc),
			asm.Mov.Imm(asm.R3, 0), asm.FnTailCall.Call(),
		)
		return accepted(t, append(insns, end...)...)
	})
	if _, err := tc.Load("GPL", ebpf.LogLevelStats, filled(limits.Instructions+1)...); err == nil || !strings.Contains(err.Error(), "argument list too long") {
		t.Errorf("%d instructions: %v", limits.Instructions+1, err)
	}
	loop := asm.Instructions{
		asm.Mov.Imm(asm.R6, 0),
		asm.Add.Imm(asm.R6, 1),
		asm.Instruction{OpCode: asm.JLT.Op(asm.ImmSource), Dst: asm.R6, Offset: -2, Constant: int64(limits.Processed)},
	}
	// The words without the log of a million instructions.
	log, err := tc.Load("GPL", ebpf.LogLevelStats, append(loop, end...)...)
	if err == nil || !strings.Contains(log, fmt.Sprintf("BPF program is too large. Processed %d insn", limits.Processed+1)) {
		t.Errorf("too long a loop: %v, %s", err, log)
	}
}

func filled(n int) asm.Instructions {
	insns := make(asm.Instructions, n)
	for i := range insns {
		insns[i] = asm.Mov.Imm(asm.R0, 0)
	}
	insns[n-1] = asm.Return()
	return insns
}

func TestKfuncLimit(t *testing.T) {
	sameKernel(t)
	limits := kernel.Default().Limits
	spec, err := kernel.Default().Types()
	if err != nil {
		t.Fatal(err)
	}
	syms, err := probe.ReadSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var ids []uint32
	for typ, err := range spec.All() {
		if err != nil {
			t.Fatal(err)
		}
		if fn, ok := typ.(*btf.Func); ok && syms.Addr(fn.Name) != 0 && plain(fn) {
			id, err := spec.TypeID(fn)
			if err != nil {
				t.Fatal(err)
			}
			if ids = append(ids, uint32(id)); len(ids) > limits.Kfuncs {
				break
			}
		}
	}
	// The calls are never reached: the kernel counts all of them all the same.
	edge(t, "kfuncs", limits.Kfuncs, limits.Kfuncs+1, "too many different kernel function calls", func(n int) (bool, string) {
		insns := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Instruction{OpCode: asm.JEq.Op(asm.ImmSource), Dst: asm.R0, Offset: int16(n)}}
		for _, id := range ids[:n] {
			insns = append(insns, probe.KfuncCall(id))
		}
		return accepted(t, append(insns, asm.Return())...)
	})
}

// plain functions take and give numbers alone: any kernel function may be named
// in a call that is never reached, as long as the verifier could describe it.
func plain(fn *btf.Func) bool {
	proto, ok := fn.Type.(*btf.FuncProto)
	if !ok || len(proto.Params) == 0 || len(proto.Params) > 3 {
		return false
	}
	if _, ok := proto.Return.(*btf.Int); !ok {
		return false
	}
	for _, p := range proto.Params {
		if _, ok := p.Type.(*btf.Int); !ok || p.Name == "" {
			return false
		}
	}
	return true
}

func TestMapLimits(t *testing.T) {
	sameKernel(t)
	prof := kernel.Default()
	create := func(spec *ebpf.MapSpec) (bool, string) {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			return false, err.Error()
		}
		m.Close()
		return true, ""
	}
	elem, err := prof.Sizeof("htab_elem")
	if err != nil {
		t.Fatal(err)
	}
	edge(t, "hash element", prof.Limits.HashElement-1, prof.Limits.HashElement, "argument list too long", func(n int) (bool, string) {
		return create(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: uint32(n) - elem - 4, MaxEntries: 1, Flags: 1})
	})
	edge(t, "LPM key", prof.Limits.LPMKey, prof.Limits.LPMKey+1, "invalid argument", func(n int) (bool, string) {
		return create(&ebpf.MapSpec{Type: ebpf.LPMTrie, KeySize: uint32(n) + 4, ValueSize: 4, MaxEntries: 1, Flags: 1})
	})
	edge(t, "per-CPU value", prof.Limits.PerCPUValue, prof.Limits.PerCPUValue+8, "argument list too long", func(n int) (bool, string) {
		return create(&ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: uint32(n), MaxEntries: 1})
	})
	edge(t, "special fields", prof.Limits.MapFields, prof.Limits.MapFields+1, "", func(n int) (bool, string) {
		task := &btf.Struct{Name: "task_struct", Size: 8, Members: []btf.Member{{Name: "x", Type: &btf.Int{Name: "long", Size: 8}}}}
		kptr := &btf.Pointer{Target: &btf.TypeTag{Value: "kptr", Type: task}}
		value := &btf.Struct{Name: "value", Size: uint32(8 * n)}
		for i := range n {
			value.Members = append(value.Members, btf.Member{Name: fmt.Sprint("p", i), Type: kptr, Offset: btf.Bits(64 * i)})
		}
		return create(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: uint32(8 * n), MaxEntries: 1, Key: cInt, Value: value})
	})
}

// run loads and runs a program once.
func run(t *testing.T, insns ...asm.Instruction) int32 {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: insns})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer prog.Close()
	ret, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
	if err != nil {
		t.Fatal(err)
	}
	return int32(ret)
}

func TestRunLimits(t *testing.T) {
	sameKernel(t)
	limits := kernel.Default().Limits

	loop := func(n int) int32 {
		fn := asm.LoadImm(asm.R2, -1, asm.DWord).WithReference("callback")
		fn.Src = asm.PseudoFunc
		return run(t,
			btf.WithFuncMetadata(asm.LoadImm(asm.R1, int64(n), asm.DWord).WithSymbol("main"), mainFunc),
			fn, asm.Mov.Imm(asm.R3, 0), asm.Mov.Imm(asm.R4, 0), asm.FnLoop.Call(), asm.Return(),
			btf.WithFuncMetadata(asm.Mov.Imm(asm.R0, 1).WithSymbol("callback"), loopFunc), asm.Return(),
		)
	}
	if got := loop(limits.LoopIterations); got != 1 {
		t.Errorf("bpf_loop of %d gives %d", limits.LoopIterations, got)
	}
	if got := loop(limits.LoopIterations + 1); got != -7 {
		t.Errorf("bpf_loop of %d gives %d, want -E2BIG", limits.LoopIterations+1, got)
	}

	progs := newMap(t, &ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	count := newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapValue(asm.R6, count.FD(), 0), asm.LoadMem(asm.R0, asm.R6, 0, asm.DWord),
		asm.Add.Imm(asm.R0, 1), asm.StoreMem(asm.R6, 0, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R2, progs.FD()), asm.Mov.Imm(asm.R3, 0), asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if err := progs.Put(uint32(0), prog); err != nil {
		t.Fatal(err)
	}
	if _, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
		t.Fatal(err)
	}
	var n uint64
	if err := count.Lookup(uint32(0), &n); err != nil {
		t.Fatal(err)
	}
	if n != uint64(limits.TailCalls)+1 {
		t.Errorf("a program that calls itself ran %d times, want 1 and %d tail calls", n, limits.TailCalls)
	}

	vprintk := func(n int) int32 {
		text := newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 128, MaxEntries: 1})
		if err := text.Put(uint32(0), append([]byte(strings.Repeat("%d", n/8)), make([]byte, 128-n/4)...)); err != nil {
			t.Fatal(err)
		}
		out := newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 256, MaxEntries: 1})
		return run(t,
			asm.LoadMapValue(asm.R1, text.FD(), 0), asm.Mov.Imm(asm.R2, 128),
			asm.LoadMapValue(asm.R3, out.FD(), 0), asm.Mov.Imm(asm.R4, int32(n)),
			asm.FnTraceVprintk.Call(), asm.Return(),
		)
	}
	if got := vprintk(limits.VPrintkData); got <= 0 {
		t.Errorf("%d bytes of values give %d", limits.VPrintkData, got)
	}
	if got := vprintk(limits.VPrintkData + 8); got != -22 {
		t.Errorf("%d bytes of values give %d, want -EINVAL", limits.VPrintkData+8, got)
	}
	printk := func(n int) int32 {
		text := newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1})
		if err := text.Put(uint32(0), append([]byte(strings.Repeat("%d", n)), make([]byte, 16-2*n)...)); err != nil {
			t.Fatal(err)
		}
		return run(t,
			asm.LoadMapValue(asm.R1, text.FD(), 0), asm.Mov.Imm(asm.R2, 16),
			asm.Mov.Imm(asm.R3, 1), asm.Mov.Imm(asm.R4, 2), asm.Mov.Imm(asm.R5, 3),
			asm.FnTracePrintk.Call(), asm.Return(),
		)
	}
	if got := printk(limits.TracePrintkArgs); got <= 0 {
		t.Errorf("bpf_trace_printk of %d values gives %d", limits.TracePrintkArgs, got)
	}
	if got := printk(limits.TracePrintkArgs + 1); got != -22 {
		t.Errorf("bpf_trace_printk of %d values gives %d, want -EINVAL", limits.TracePrintkArgs+1, got)
	}
}

var loopFunc = &btf.Func{Name: "callback", Linkage: btf.StaticFunc, Type: &btf.FuncProto{
	Return: cInt, Params: []btf.FuncParam{
		{Name: "i", Type: &btf.Int{Name: "unsigned int", Size: 4}},
		{Name: "ctx", Type: &btf.Pointer{Target: &btf.Void{}}},
	},
}}
