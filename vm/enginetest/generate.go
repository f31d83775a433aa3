package enginetest

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
	"pgregory.net/rapid"
)

// generator writes random programs that compute on scalars: r0 to r7 are any
// numbers, r8 counts loops, r9 points to the buffer, 64 bytes of stack have a value.
type generator struct {
	t        *rapid.T
	insns    asm.Instructions
	labels   int
	pending  string // symbol for the next instruction
	branches int    // left to generate
	looping  bool
	// funcs and callbacks are those that are called.
	funcs, callbacks [2]bool
	calls            bool // whether functions may be called here
}

// Sizes of the buffer of a RandomProgram.
const (
	RandomData = 512
	RandomSize = RandomData + 256
)

const genStack = 64 // bytes of stack that random programs work on

// Buffer is the name of the object, or of the map with one element, that these
// programs read their operands from and leave their results in.
const Buffer = "buf"

func (g *generator) emit(ins ...asm.Instruction) {
	for _, in := range ins {
		if g.pending != "" {
			in, g.pending = in.WithSymbol(g.pending), ""
		}
		g.insns = append(g.insns, in)
	}
}

// place puts a label before the next instruction.
func (g *generator) place(label string) {
	if g.pending != "" {
		g.emit(asm.Mov.Reg(asm.R0, asm.R0))
	}
	g.pending = label
}

func (g *generator) label() string {
	g.labels++
	return fmt.Sprintf("l%d", g.labels)
}

func (g *generator) reg(name string) asm.Register {
	return asm.Register(rapid.Uint8Range(0, 7).Draw(g.t, name))
}

func (g *generator) imm() int32 {
	return rapid.OneOf(rapid.SampledFrom(edges32), rapid.Int32()).Draw(g.t, "imm")
}

var edges32 = []int32{0, 1, 2, -1, 3, 8, 31, 32, 63, 64, 255, -128, 65535, 1 << 30, 1<<31 - 1, -1 << 31}

func pick[T any](g *generator, name string, of ...T) T {
	return of[rapid.IntRange(0, len(of)-1).Draw(g.t, name)]
}

func (g *generator) size() asm.Size { return pick(g, "size", asm.Byte, asm.Half, asm.Word, asm.DWord) }

// place of a memory access: the stack or the buffer, aligned.
func (g *generator) memory(size asm.Size) (asm.Register, int16) {
	n := size.Sizeof()
	if rapid.Bool().Draw(g.t, "stack") {
		return asm.R10, int16(-genStack + n*rapid.IntRange(0, genStack/n-1).Draw(g.t, "at"))
	}
	return asm.R9, int16(n * rapid.IntRange(0, RandomData/n-1).Draw(g.t, "at"))
}

func (g *generator) statement(depth int) {
	switch rapid.IntRange(0, 16).Draw(g.t, "statement") {
	case 0, 1, 2:
		g.alu()
	case 3:
		g.emit(pick(g, "movsx",
			asm.MovSX8.Reg(g.reg("dst"), g.reg("src")), asm.MovSX16.Reg(g.reg("dst"), g.reg("src")),
			asm.MovSX32.Reg(g.reg("dst"), g.reg("src")), asm.MovSX8.Reg32(g.reg("dst"), g.reg("src")),
			asm.MovSX16.Reg32(g.reg("dst"), g.reg("src")), asm.Neg.Imm(g.reg("dst"), 0), asm.Neg.Imm32(g.reg("dst"), 0)))
	case 4:
		size := pick(g, "size", asm.Half, asm.Word, asm.DWord)
		g.emit(pick(g, "swap", asm.HostTo(asm.BE, g.reg("dst"), size), asm.HostTo(asm.LE, g.reg("dst"), size),
			asm.BSwap(g.reg("dst"), size)))
	case 5:
		g.emit(asm.LoadImm(g.reg("dst"), rapid.Int64().Draw(g.t, "imm64"), asm.DWord))
	case 6:
		size := g.size()
		base, off := g.memory(size)
		if size != asm.DWord && rapid.Bool().Draw(g.t, "sx") {
			g.emit(asm.LoadMemSX(g.reg("dst"), base, off, size))
		} else {
			g.emit(asm.LoadMem(g.reg("dst"), base, off, size))
		}
	case 7:
		size := g.size()
		base, off := g.memory(size)
		g.emit(asm.StoreMem(base, off, g.reg("src"), size))
	case 8:
		size := g.size()
		base, off := g.memory(size)
		g.emit(storeImm(base, off, g.imm(), size))
	case 9, 10:
		g.atomic()
	case 14:
		size := g.size()
		base, off := g.memory(size)
		g.emit(pick(g, "ordered", encoded(asm.LoadAcquire(g.reg("dst"), base, size, off)),
			encoded(asm.StoreRelease(base, g.reg("src"), size, off))))
	case 15: // unaligned, which the stack may not be
		size := g.size()
		off := int16(rapid.IntRange(0, RandomData-size.Sizeof()).Draw(g.t, "at"))
		g.emit(pick(g, "unaligned", asm.LoadMem(g.reg("dst"), asm.R9, off, size), asm.StoreMem(asm.R9, off, g.reg("src"), size)))
	case 16:
		if g.calls && !g.looping {
			g.callback()
		}
	case 11:
		if g.branches > 0 && depth > 0 {
			g.branch(depth)
		}
	case 12:
		if g.branches > 1 && depth > 0 && !g.looping {
			g.loop(depth)
		}
	case 13:
		if g.calls {
			g.call()
		}
	}
}

func (g *generator) alu() {
	op := pick(g, "alu", asm.Add, asm.Sub, asm.Mul, asm.Div, asm.SDiv, asm.Or, asm.And, asm.LSh, asm.RSh, asm.Mod, asm.SMod,
		asm.Xor, asm.Mov, asm.ArSh)
	wide, dst := rapid.Bool().Draw(g.t, "wide"), g.reg("dst")
	if rapid.Bool().Draw(g.t, "register") {
		if wide {
			g.emit(op.Reg(dst, g.reg("src")))
		} else {
			g.emit(op.Reg32(dst, g.reg("src")))
		}
		return
	}
	imm := g.imm()
	switch op {
	case asm.LSh, asm.RSh, asm.ArSh:
		imm &= 31
		if wide {
			imm &= 63
		}
	case asm.Div, asm.SDiv, asm.Mod, asm.SMod:
		if imm == 0 {
			imm = 7
		}
	}
	if wide {
		g.emit(op.Imm(dst, imm))
	} else {
		g.emit(op.Imm32(dst, imm))
	}
}

func (g *generator) atomic() {
	op := pick(g, "atomic", asm.AddAtomic, asm.AndAtomic, asm.OrAtomic, asm.XorAtomic, asm.FetchAdd, asm.FetchAnd, asm.FetchOr,
		asm.FetchXor, asm.Xchg, asm.CmpXchg)
	size := pick(g, "size", asm.Word, asm.DWord)
	base, off := g.memory(size)
	g.emit(encoded(op.Mem(base, g.reg("src"), size, off)))
}

func (g *generator) jump(label string) asm.Instruction {
	op := pick(g, "jump", asm.JEq, asm.JGT, asm.JGE, asm.JSet, asm.JNE, asm.JSGT, asm.JSGE, asm.JLT, asm.JLE, asm.JSLT, asm.JSLE)
	switch rapid.IntRange(0, 3).Draw(g.t, "form") {
	case 0:
		return op.Reg(g.reg("dst"), g.reg("src"), label)
	case 1:
		return op.Reg32(g.reg("dst"), g.reg("src"), label)
	case 2:
		return op.Imm(g.reg("dst"), g.imm(), label)
	}
	return op.Imm32(g.reg("dst"), g.imm(), label)
}

func (g *generator) block(depth, most int) {
	g.emit(asm.Add.Imm(asm.R0, 1)) // a block is not empty
	for range rapid.IntRange(most/3, most).Draw(g.t, "statements") {
		g.statement(depth)
	}
}

func (g *generator) branch(depth int) {
	g.branches--
	no, end := g.label(), g.label()
	g.emit(g.jump(no))
	g.block(depth-1, 5)
	if rapid.Bool().Draw(g.t, "else") {
		if rapid.Bool().Draw(g.t, "long") {
			g.emit(asm.LongJump(end))
		} else {
			g.emit(asm.Ja.Label(end))
		}
		g.place(no)
		g.block(depth-1, 5)
		g.place(end)
		return
	}
	g.place(no)
}

// loop runs a block a constant number of times.
func (g *generator) loop(depth int) {
	g.branches -= 2
	g.looping = true
	again := g.label()
	g.emit(asm.Mov.Imm(asm.R8, rapid.Int32Range(1, 5).Draw(g.t, "rounds")))
	g.place(again)
	g.block(min(depth-1, 1), 4)
	g.emit(asm.Sub.Imm(asm.R8, 1), asm.JNE.Imm(asm.R8, 0, again))
	g.looping = false
}

// call runs one of the program's functions and makes numbers of the registers that
// it spoils.
func (g *generator) call() {
	f := rapid.IntRange(0, 1).Draw(g.t, "function")
	g.funcs[f] = true
	g.emit(asm.Call.Label(fmt.Sprintf("f%d", f)))
	for r := asm.R1; r <= asm.R5; r++ {
		g.emit(asm.Mov.Reg(r, pick(g, "from", asm.R0, asm.R6, asm.R7)), asm.Xor.Imm(r, int32(r)*0x1234567))
	}
}

// callback runs one of the program's callbacks some times, on the caller's stack.
func (g *generator) callback() {
	f := rapid.IntRange(0, 1).Draw(g.t, "callback")
	g.callbacks[f] = true
	g.emit(asm.Mov.Imm(asm.R1, rapid.Int32Range(0, 20).Draw(g.t, "rounds")), LoadFunc(asm.R2, fmt.Sprintf("cb%d", f)),
		asm.Mov.Reg(asm.R3, asm.R10), asm.Add.Imm(asm.R3, -genStack), asm.Mov.Imm(asm.R4, 0), asm.FnLoop.Call())
	for r := asm.R1; r <= asm.R5; r++ {
		g.emit(asm.Mov.Reg(r, pick(g, "from", asm.R0, asm.R6, asm.R7)), asm.Xor.Imm(r, int32(r)*0x7654321))
	}
}

// callbackFunc is a callback: it changes the caller's stack and ends the loop early,
// sometimes.
func (g *generator) callbackFunc(name string) asm.Instructions {
	g.emit(asm.Mov.Reg(asm.R9, asm.R2)) // the caller's stack
	g.emit(asm.Mov.Reg(asm.R6, asm.R1))
	for _, r := range []asm.Register{asm.R0, asm.R1, asm.R2, asm.R3, asm.R4, asm.R5, asm.R7} {
		g.emit(asm.LoadMem(r, asm.R9, int16(8*(r%(genStack/8))), asm.DWord))
	}
	for range rapid.IntRange(2, 8).Draw(g.t, "statements") {
		g.alu()
	}
	g.emit(asm.StoreMem(asm.R9, int16(8*rapid.IntRange(0, genStack/8-1).Draw(g.t, "at")), g.reg("src"), asm.DWord),
		asm.And.Imm(asm.R0, 7), asm.JGT.Imm(asm.R0, 0, name+"_on"), asm.Mov.Imm(asm.R0, 1), asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol(name+"_on"), asm.Return())
	return g.insns
}

// start gives all registers and the stack a value. A function has its arguments.
func (g *generator) start(function bool) {
	g.emit(LoadValue(asm.R9, Buffer, 0))
	first := asm.R0
	if function {
		g.emit(asm.Mov.Reg(asm.R0, asm.R1), asm.Mov.Reg(asm.R6, asm.R2), asm.Mov.Reg(asm.R7, asm.R3))
	} else {
		for r := first; r <= asm.R7; r++ {
			g.emit(asm.LoadMem(r, asm.R9, int16(8*r), asm.DWord))
		}
	}
	g.emit(asm.Mov.Imm(asm.R8, 0))
	for at := 0; at < genStack; at += 8 {
		g.emit(asm.StoreMem(asm.R10, int16(at-genStack), asm.Register(at/8), asm.DWord))
	}
}

// program is a whole program; its results are in the buffer from RandomData on.
func (g *generator) program() asm.Instructions {
	g.branches, g.calls = 8, true
	g.start(false)
	g.block(3, 40)
	for r := asm.R0; r <= asm.R8; r++ {
		g.emit(asm.StoreMem(asm.R9, RandomData+8*int16(r), r, asm.DWord))
	}
	for at := 0; at < genStack; at += 8 {
		g.emit(asm.LoadMem(asm.R1, asm.R10, int16(at-genStack), asm.DWord),
			asm.StoreMem(asm.R9, int16(RandomData+128+at), asm.R1, asm.DWord))
	}
	g.emit(asm.Return())
	all := Func("main", g.insns)
	for f, called := range g.callbacks {
		if called {
			name := fmt.Sprintf("cb%d", f)
			all = append(all, Func(name, (&generator{t: g.t}).callbackFunc(name))...)
		}
	}
	for f, called := range g.funcs {
		if !called {
			continue
		}
		h := &generator{t: g.t, labels: 1000 * (f + 1), branches: 2}
		h.start(true)
		h.block(2, 12)
		h.emit(asm.Return())
		all = append(all, Func(fmt.Sprintf("f%d", f), h.insns)...)
	}
	return all
}

// RandomProgram draws a program that computes on the buffer's RandomSize bytes and
// that the kernel accepts: it reads the first RandomData of them and writes its
// registers and stack behind these.
func RandomProgram(t *rapid.T) asm.Instructions { return (&generator{t: t}).program() }

// encoded gives the immediate to an atomic instruction, which cilium/ebpf keeps in
// its opcode and forgets to write.
func encoded(ins asm.Instruction) asm.Instruction {
	ins.Constant = int64(ins.OpCode.AtomicOp() >> 8)
	return ins
}
