package enginetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
)

func callTests() []test {
	const r0, r1, r2, r3, r6, r9, fp = asm.R0, asm.R1, asm.R2, asm.R3, asm.R6, asm.R9, asm.R10
	tail := func(index int32, rest ...asm.Instruction) asm.Instructions {
		return returns(append([]asm.Instruction{LoadObject(r2, "array"), asm.Mov.Imm(r3, index), asm.FnTailCall.Call(),
			asm.Mov.Imm(r0, 17)}, rest...)...)
	}
	array := func(t *testing.T, e *Env) {
		a := make(ProgArray, 4)
		e.Object(t, vm.ObjectSpec{Kind: vm.KindMap, Name: "array", Size: 16, Owner: a})
		e.Funcs["count"] = func(c *vm.CPU, _ *[5]uint64) (uint64, error) { return uint64(c.TailCalls), nil }
		a[0] = e.Program(t, "callee", returns(CallFunc("count")))
		a[1] = e.Program(t, "again", returns(LoadObject(r2, "array"), asm.Mov.Imm(r3, 1), asm.FnTailCall.Call(), CallFunc("count")))
	}
	resource := func(t *testing.T, e *Env) {
		array(t, e)
		o := vm.ObjectSpec{Kind: vm.KindView, Name: "struct nf_conn", Size: 16}
		e.Funcs["acquire"] = func(c *vm.CPU, _ *[5]uint64) (uint64, error) {
			n, err := c.M.Mem.Alloc(o)
			if err != nil {
				return 0, err
			}
			c.Acquire(n)
			return n.Addr(), nil
		}
		e.Funcs["release"] = func(c *vm.CPU, a *[5]uint64) (uint64, error) {
			held, _, err := c.ObjectAt("R1", a[0])
			if err != nil {
				return 0, err
			}
			return 0, c.Release("R1", held)
		}
		e.Funcs["rcu_lock"] = func(c *vm.CPU, _ *[5]uint64) (uint64, error) { c.RCU++; return 0, nil }
		e.Funcs["lock"] = func(c *vm.CPU, a *[5]uint64) (uint64, error) {
			held, _, err := c.ObjectAt("R1", a[0])
			if err == nil {
				c.PushLock(vm.HeldLock{Addr: a[0], Object: held, Site: c.Site()})
			}
			return 0, err
		}
	}
	callee := func(name string, insns ...asm.Instruction) asm.Instructions {
		insns[0] = insns[0].WithSymbol(name)
		return returns(insns...)
	}
	join := func(parts ...asm.Instructions) (all asm.Instructions) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	return []test{
		{name: "arguments and result", r0: 12345, setup: func(t *testing.T, e *Env) {
			e.Funcs["digits"] = func(_ *vm.CPU, a *[5]uint64) (uint64, error) {
				return a[0]*10000 + a[1]*1000 + a[2]*100 + a[3]*10 + a[4], nil
			}
		}, insns: returns(asm.Mov.Imm(r1, 1), asm.Mov.Imm(r2, 2), asm.Mov.Imm(r3, 3), asm.Mov.Imm(asm.R4, 4), asm.Mov.Imm(asm.R5, 5),
			CallFunc("digits"))},
		{name: "an error of a function ends the run", fault: vm.BadArgument, text: "in an error of a function ends the run at insn 1: R2: not today", setup: func(t *testing.T, e *Env) {
			e.Funcs["bad"] = func(c *vm.CPU, _ *[5]uint64) (uint64, error) {
				return 0, c.Fault(vm.BadArgument, "R2", "not today")
			}
		}, insns: returns(asm.Mov.Imm(r1, 1), CallFunc("bad"))},
		{name: "a function keeps r6 to r10", r0: 6789, insns: join(returns(
			asm.Mov.Imm(r6, 6000), asm.Mov.Imm(asm.R7, 700), asm.Mov.Imm(asm.R8, 80), asm.Mov.Imm(r9, 9), storeImm(fp, -8, 0, asm.DWord),
			asm.Call.Label("f"), asm.LoadMem(r0, fp, -8, asm.DWord), asm.Add.Reg(r0, r6), asm.Add.Reg(r0, asm.R7), asm.Add.Reg(r0, asm.R8),
			asm.Add.Reg(r0, r9)),
			callee("f", asm.Mov.Imm(r6, 1), asm.Mov.Imm(asm.R7, 1), asm.Mov.Imm(asm.R8, 1), asm.Mov.Imm(r9, 1), storeImm(fp, -8, 1, asm.DWord)))},
		{name: "eight frames", r0: 8, insns: func() asm.Instructions {
			all := returns(asm.Mov.Imm(r1, 1), asm.Call.Label("f1"))
			for i := 1; i < 7; i++ {
				all = append(all, callee(fmt.Sprint("f", i), asm.Add.Imm(r1, 1), asm.Call.Label(fmt.Sprint("f", i+1)))...)
			}
			return append(all, callee("f7", asm.Add.Imm(r1, 1), asm.Mov.Reg(r0, r1))...)
		}()},
		{name: "a callback", r0: 45<<8 | 10, insns: join(returns(asm.Mov.Imm(r6, 3), storeImm(fp, -8, 0, asm.DWord), asm.Mov.Imm(r1, 10), LoadFunc(r2, "f"),
			asm.Mov.Reg(r3, fp), CallFunc("loop"), asm.LoadMem(r1, fp, -8, asm.DWord), asm.LSh.Imm(r1, 8), asm.Or.Reg(r0, r1)),
			callee("f", asm.LoadMem(r3, r2, -8, asm.DWord), asm.Add.Reg(r3, r1), asm.StoreMem(r2, -8, r3, asm.DWord), asm.Mov.Imm(r0, 0)))},
		{name: "a fault in a callback", fault: vm.NullDereference, text: "at insn 7", insns: join(returns(asm.Mov.Imm(r1, 10), LoadFunc(r2, "f"),
			CallFunc("loop")), callee("f", asm.Mov.Imm(r1, 0), asm.Mov.Imm(r6, 0), asm.LoadMem(r0, r6, 4, asm.Byte)))},
		{name: "callbacks nest as frames", fault: vm.LimitExceeded, text: "deeper than 8 frames", insns: join(
			returns(asm.Mov.Imm(r1, 1), LoadFunc(r2, "f"), CallFunc("loop")),
			callee("f", asm.Mov.Imm(r1, 1), LoadFunc(r2, "f"), CallFunc("loop")))},
		{name: "a callback at no function", fault: vm.BadArgument, text: "0x10 is not the address of a function",
			insns: returns(asm.Mov.Imm(r1, 1), asm.Mov.Imm(r2, 16), CallFunc("loop"))},

		{name: "tail call", r0: 1, setup: array, insns: tail(0)},
		{name: "tail call to an empty slot", r0: 17, setup: array, insns: tail(2)},
		{name: "tail call out of range", r0: 17, setup: array, insns: tail(-1)},
		{name: "33 tail calls", r0: 33, setup: array, insns: tail(1)},
		{name: "tail call from a function", r0: 1 + 100, setup: array, insns: join(
			returns(asm.Call.Label("f"), asm.Add.Imm(r0, 100)), func() asm.Instructions {
				f := tail(0)
				f[0] = f[0].WithSymbol("f")
				return f
			}())},
		{name: "tail call through no array", fault: vm.BadArgument, text: "R2", setup: array, insns: returns(
			LoadObject(r2, "value"), asm.Mov.Imm(r3, 0), asm.FnTailCall.Call())},

		{name: "a reference kept at exit", fault: vm.ReferenceLeak, text: "at insn 2: kernel object struct nf_conn: still held at exit, acquired at insn 0",
			setup: resource, insns: returns(CallFunc("acquire"), asm.Mov.Imm(r0, 0))},
		{name: "a reference kept at a tail call", fault: vm.ReferenceLeak, text: "still held at tail call",
			setup: resource, insns: append(asm.Instructions{CallFunc("acquire")}, tail(0)...)},
		{name: "a reference released", setup: resource, insns: returns(CallFunc("acquire"), asm.Mov.Reg(r1, r0), CallFunc("release"))},
		{name: "a use after release", fault: vm.UseAfterRelease, text: "read of 4 bytes", setup: resource, insns: returns(
			CallFunc("acquire"), asm.Mov.Reg(r6, r0), asm.Mov.Reg(r1, r0), CallFunc("release"), asm.LoadMem(r0, r6, 0, asm.Word))},
		{name: "a second release", fault: vm.UseAfterRelease, text: "R1", setup: resource, insns: returns(
			CallFunc("acquire"), asm.Mov.Reg(r6, r0), asm.Mov.Reg(r1, r0), CallFunc("release"), asm.Mov.Reg(r1, r6), CallFunc("release"))},
		{name: "a release of what is not held", fault: vm.BadRelease, text: "R1", setup: resource, insns: returns(
			LoadObject(r1, "value"), CallFunc("release"))},
		{name: "an RCU section at exit", fault: vm.LockViolation, text: "RCU read-side section is still open at exit",
			setup: resource, insns: returns(CallFunc("rcu_lock"))},
		{name: "a lock at exit", fault: vm.LockViolation, text: "the lock is still held at exit, taken at insn 2",
			setup: resource, insns: returns(LoadObject(r1, "value"), CallFunc("lock"))},
	}
}

func exceptionTests() []test {
	const r0, r1, r6 = asm.R0, asm.R1, asm.R6
	throw := []asm.Instruction{asm.Mov.Imm(r1, 42), CallFunc("throw")}
	main := func(body ...asm.Instruction) asm.Instructions { return returns(append(body, asm.Add.Imm(r0, 1000))...) }
	f := returns(throw[0].WithSymbol("f"), throw[1])
	return []test{
		{name: "thrown in main", r0: 42, insns: main(throw...)},
		{name: "thrown in a function", r0: 42, insns: append(main(asm.Call.Label("f")), f...)},
		{name: "thrown in a function of a function", r0: 42, insns: append(append(main(asm.Call.Label("g")), f...),
			asm.Call.Label("f").WithSymbol("g"), asm.Return())},
		{name: "thrown in a callback", r0: 42, insns: append(main(asm.Mov.Imm(r1, 3), LoadFunc(asm.R2, "f"), CallFunc("loop")), f...)},
		{name: "thrown by a program that a function tail-called", r0: 42 + 1000, setup: func(t *testing.T, e *Env) {
			a := make(ProgArray, 1)
			e.Object(t, vm.ObjectSpec{Kind: vm.KindMap, Name: "array", Size: 16, Owner: a})
			a[0] = e.Program(t, "callee", append(main(asm.Call.Label("f")), f...))
		}, insns: append(main(asm.Mov.Imm(r6, 0), asm.Call.Label("g")), LoadObject(asm.R2, "array").WithSymbol("g"), asm.Mov.Imm(asm.R3, 0),
			asm.FnTailCall.Call(), asm.Mov.Imm(r0, 0), asm.Return())},
	}
}

func refusedTests() []test {
	raw := func(op uint8) asm.Instruction { return asm.Instruction{OpCode: asm.OpCode(op)} }
	return []test{
		{name: "unknown opcode", refused: true, text: "insn 1: opcode 0xf8", insns: asm.Instructions{asm.Mov.Imm(asm.R0, 0), raw(0xf8).WithSource(asm.Comment("x")), asm.Return()}},
		{name: "no exit", refused: true, text: "does not end with an exit or jump", insns: asm.Instructions{asm.Mov.Imm(asm.R0, 0)}},
		{name: "jump out of the program", refused: true, text: "outside the program", insns: asm.Instructions{
			{OpCode: asm.Ja.Op(asm.ImmSource), Offset: 5}, asm.Return()}},
		{name: "jump into an immediate", refused: true, text: "middle of a 64-bit immediate", insns: asm.Instructions{
			{OpCode: asm.Ja.Op(asm.ImmSource), Offset: 1}, imm64(asm.R0, 1), asm.Return()}},
		{name: "jump out of a function", refused: true, text: "leaves the function", insns: asm.Instructions{
			asm.Call.Label("f"), asm.JEq.Imm(asm.R0, 0, "f"), asm.Return(), asm.Mov.Imm(asm.R0, 0).WithSymbol("f"), asm.Return()}},
		{name: "an empty program", refused: true, text: "no instructions"},
	}
}

// illegalTests are instructions that the kernel refuses where a path leads to
// them, and only there.
func illegalTests() []test {
	var out []test
	for _, tt := range []struct {
		name, text string
		insn       asm.Instruction
	}{
		{"a write to r10", "frame pointer is read only", asm.Mov.Imm(asm.R10, 0)},
		{"a load to r10", "frame pointer is read only", asm.LoadMem(asm.R10, asm.R10, -8, asm.DWord)},
		{"a fetch to r10", "frame pointer is read only", asm.FetchAdd.Mem(asm.R10, asm.R10, asm.DWord, -8)},
		{"r11", "no register", asm.Instruction{OpCode: asm.Mov.Op(asm.RegSource), Src: 11}},
		{"reserved fields", "reserved", asm.Instruction{OpCode: asm.Return().OpCode, Constant: 7}},
		{"an atomic operation that does not exist", "unknown atomic operation 0x20",
			asm.Instruction{OpCode: asm.OpCode(0xdb) | 0x20<<8, Dst: asm.R10, Offset: -8}},
		{"a 16-bit atomic", "atomic operation on 2 bytes", asm.Instruction{OpCode: asm.OpCode(0xcb), Dst: asm.R10, Offset: -8}},
		{"a shift by too much", "invalid shift 64", asm.LSh.Imm(asm.R1, 64)},
		{"a division by 0", "division by 0", asm.Div.Imm(asm.R1, 0)},
	} {
		out = append(out,
			test{name: tt.name, fault: vm.IllegalInsn, text: tt.text, insns: returns(tt.insn)},
			test{name: tt.name + " in dead code", r0: 5, insns: returns(asm.Mov.Imm(asm.R0, 5), asm.JEq.Imm(asm.R0, 5, "out"), tt.insn,
				asm.Mov.Imm(asm.R0, 5).WithSymbol("out"))})
	}
	return out
}

// testSharedMemory adds to one word from all CPUs at once, in every way that is
// atomic.
func testSharedMemory(t *testing.T, engine vm.Engine) {
	const cpus, rounds = 4, 2000
	e := New(t, engine, vm.Config{CPUs: cpus})
	o := e.Object(t, vm.ObjectSpec{Kind: vm.KindMapValue, Name: "value", Size: 64})
	p := e.Program(t, "add", asm.Instructions{
		LoadValue(asm.R6, "value", 0), asm.Mov.Imm(asm.R7, rounds),
		asm.Mov.Imm(asm.R1, 1).WithSymbol("again"),
		asm.AddAtomic.Mem(asm.R6, asm.R1, asm.DWord, 0),
		asm.FetchAdd.Mem(asm.R6, asm.R1, asm.Word, 8),
		asm.LoadMem(asm.R0, asm.R6, 16, asm.DWord).WithSymbol("retry"),
		asm.Mov.Reg(asm.R2, asm.R0), asm.Mov.Reg(asm.R3, asm.R0), asm.Add.Imm(asm.R2, 1),
		asm.CmpXchg.Mem(asm.R6, asm.R2, asm.DWord, 16),
		asm.JNE.Reg(asm.R0, asm.R3, "retry"),
		asm.StoreMem(asm.R6, 24, asm.R2, asm.DWord), // a race that the program has itself to blame for
		asm.Sub.Imm(asm.R7, 1), asm.JNE.Imm(asm.R7, 0, "again"),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	})
	var wg sync.WaitGroup
	for cpu := range cpus {
		wg.Go(func() {
			if _, err := e.M.Run(p, vm.RunOptions{CPU: cpu}); err != nil {
				t.Errorf("%+v", err)
			}
		})
	}
	wg.Wait()
	for off, want := range map[int]uint64{0: cpus * rounds, 8: cpus * rounds, 16: cpus * rounds} {
		if got := *vm.Word64(o.Bytes()[off:]); got != want {
			t.Errorf("word at %d is %d, want %d", off, got, want)
		}
	}
}

// testAfterFault stops a program deep in its frames and runs another.
func testAfterFault(t *testing.T, engine vm.Engine) {
	e := New(t, engine, vm.Config{})
	e.Funcs["loop"] = Loop
	bad := e.Program(t, "bad", append(returns(asm.Call.Label("f")), append(
		returns(asm.Mov.Imm(asm.R1, 5).WithSymbol("f"), LoadFunc(asm.R2, "g"), CallFunc("loop")),
		returns(asm.Mov.Imm(asm.R1, 0).WithSymbol("g"), asm.LoadMem(asm.R0, asm.R1, 0, asm.Byte))...)...))
	good := e.Program(t, "good", returns(asm.Mov.Imm(asm.R0, 1), asm.LoadMem(asm.R1, asm.R10, -512, asm.DWord), asm.Add.Reg(asm.R0, asm.R1)))
	for range 20 {
		if _, err := e.Run(bad); !errors.As(err, new(*vm.Fault)) {
			t.Fatalf("got error %v, want a fault", err)
		}
		res, err := e.Run(good)
		if err != nil || res.R0 != 1 {
			t.Fatalf("got r0 %d, error %v", res.R0, err)
		}
	}
}

// testForeignError has a helper fail with an error that is no fault: it is kept, and
// says where.
func testForeignError(t *testing.T, engine vm.Engine) {
	e := New(t, engine, vm.Config{})
	broken := errors.New("out of paper")
	e.Funcs["print"] = func(*vm.CPU, *[5]uint64) (uint64, error) { return 0, broken }
	_, err := e.Run(e.Program(t, "printer", returns(asm.Mov.Imm(asm.R1, 1), CallFunc("print"))))
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "printer at insn 1: print: out of paper") {
		t.Errorf("got error %v", err)
	}
}

// testCount holds Result.Insns against hand-counted programs.
func testCount(t *testing.T, engine vm.Engine) {
	e := New(t, engine, vm.Config{})
	e.Funcs["loop"] = Loop
	for _, tt := range []struct {
		insns asm.Instructions
		want  uint64
	}{
		{returns(asm.Mov.Imm(asm.R0, 0)), 2},
		{returns(imm64(asm.R0, 1)), 2},
		{asm.Instructions{asm.Mov.Imm(asm.R0, 10), asm.Sub.Imm(asm.R0, 1).WithSymbol("again"), asm.JNE.Imm(asm.R0, 0, "again"), asm.Return()}, 22},
		{append(returns(asm.Call.Label("f")), returns(asm.Mov.Imm(asm.R0, 1).WithSymbol("f"))...), 4},
		{append(returns(asm.Mov.Imm(asm.R1, 5), LoadFunc(asm.R2, "f"), CallFunc("loop")), returns(asm.Mov.Imm(asm.R0, 0).WithSymbol("f"))...), 14},
	} {
		res, err := e.Run(e.Program(t, "count", tt.insns))
		if err != nil || res.Insns != tt.want {
			t.Errorf("counted %d instructions, error %v, want %d, of\n%v", res.Insns, err, tt.want, tt.insns)
		}
	}
}
