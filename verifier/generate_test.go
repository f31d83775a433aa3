package verifier_test

import (
	"math"
	"math/rand/v2"

	"github.com/bpfct/bpfct/link"
)

// layout is where a context has its packet and some numbers.
type layout struct {
	data, end, meta int16
	numbers         []int16
}

var (
	skbLayout = &layout{76, 80, 140, []int16{0, 4, 8}}
	xdpLayout = &layout{0, 4, 8, []int16{12, 16}}
)

// generator makes programs instruction by instruction. r6 keeps the context.
type generator struct {
	*rand.Rand
	ctx   *layout
	insns []link.Raw
	jumps []int // whose ends come last
	// sloppy makes one instruction in that many a wrong one; 0 for none.
	sloppy int
}

func (g *generator) emit(in ...link.Raw) { g.insns = append(g.insns, in...) }

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

const ctxReg = 6

// reg is a register to work with.
func (g *generator) reg() uint8 { return pick[uint8](g, 1, 2, 3, 4, 5, 7, 8, 9) }

var corners = []int64{
	0, 1, 2, 3, 4, 5, 7, 8, 14, 15, 16, 20, 31, 32, 63, 64, 100, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000,
	math.MaxInt32, -math.MaxInt32, math.MinInt32, -1, -2, -4, -8, -14, -16, -128, -129, -256, -0x8000, -0x10000,
}

func (g *generator) imm() int32 {
	switch g.IntN(5) {
	case 0:
		return int32(g.Uint32()) >> g.IntN(32)
	case 1, 2:
		return int32(g.IntN(40)) - 8
	}
	return int32(corners[g.IntN(len(corners))])
}

// slotOff is one of the slots of stack that programs use.
func (g *generator) slotOff() int16 { return int16(-8 * (1 + g.IntN(6))) }

// fill gives a register a number. Stack that was never written is any number.
func (g *generator) fill(dst uint8) {
	switch g.IntN(7) {
	case 0:
		g.emit(link.Raw{Op: pick[uint8](g, 0xb7, 0xb4), Dst: dst, Imm: g.imm()})
	case 1:
		v := uint64(g.imm())<<32 | uint64(uint32(g.imm()))
		g.emit(link.Raw{Op: 0x18, Dst: dst, Imm: int32(v)}, link.Raw{Imm: int32(v >> 32)})
	case 2:
		g.emit(link.Raw{Op: 0x61, Dst: dst, Src: ctxReg, Off: pick(g, g.ctx.numbers...)})
	case 3:
		g.emit(link.Raw{Op: pick[uint8](g, 0x71, 0x69, 0x61, 0x91, 0x89, 0x81), Dst: dst, Src: 10, Off: -56})
	default:
		g.emit(link.Raw{Op: 0x79, Dst: dst, Src: 10, Off: -64})
	}
}

// copies moves registers about, to the stack and back too.
func (g *generator) copies() {
	switch g.IntN(6) {
	case 0:
		g.emit(link.Raw{Op: 0x7b, Dst: 10, Src: g.reg(), Off: g.slotOff()})
	case 1:
		g.emit(link.Raw{Op: 0x79, Dst: g.reg(), Src: 10, Off: g.slotOff()})
	case 2:
		g.emit(link.Raw{Op: pick[uint8](g, 0x63, 0x61, 0x81), Dst: 10, Src: g.reg(), Off: g.slotOff()})
		if in := &g.insns[len(g.insns)-1]; in.Op != 0x63 {
			in.Dst, in.Src = in.Src, in.Dst
		}
	case 3:
		g.emit(link.Raw{Op: 0xbc, Dst: g.reg(), Src: g.reg(), Off: pick[int16](g, 0, 0, 8, 16)})
	case 4:
		g.emit(link.Raw{Op: 0xbf, Dst: g.reg(), Src: g.reg(), Off: pick[int16](g, 8, 16, 32)})
	default:
		g.emit(link.Raw{Op: 0xbf, Dst: g.reg(), Src: g.reg()})
	}
}

// alu is one instruction of arithmetic.
func (g *generator) alu(dst uint8) {
	class := pick[uint8](g, 4, 7)
	op := pick[uint8](g, 0, 0, 0, 0x10, 0x10, 0x20, 0x30, 0x40, 0x50, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0, 0xc0, 0xd0)
	in := link.Raw{Op: op | class, Dst: dst}
	switch shift, divides := op == 0x60 || op == 0x70 || op == 0xc0, op == 0x30 || op == 0x90; {
	case op == 0x80:
	case op == 0xd0:
		if class == 4 {
			in.Op |= pick[uint8](g, 0, 8)
		}
		in.Imm = pick[int32](g, 16, 32, 64)
	case g.IntN(3) == 0:
		in.Op |= 8
		in.Src = g.reg()
	case shift:
		in.Imm = int32(g.IntN(32))
		if class == 7 {
			in.Imm = pick[int32](g, in.Imm, 32, 48, 56, 63)
		}
	default:
		in.Imm = g.imm()
		if divides {
			in.Off = int16(g.IntN(2))
			in.Imm |= 1
		}
	}
	g.emit(in)
}

var jumpOps = []uint8{0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0}

func (g *generator) jump() {
	in := link.Raw{Op: jumpOps[g.IntN(len(jumpOps))] | pick[uint8](g, 5, 5, 6), Dst: g.reg()}
	if g.IntN(2) == 0 {
		in.Op |= 8
		in.Src = g.reg()
	} else {
		in.Imm = g.imm()
	}
	g.jumps = append(g.jumps, len(g.insns))
	g.emit(in)
}

// spoil makes one field of the last instruction wrong, perhaps.
func (g *generator) spoil() {
	if g.sloppy == 0 || g.IntN(g.sloppy) > 0 {
		return
	}
	in := &g.insns[len(g.insns)-1]
	if in.Op == 0 {
		return
	}
	switch g.IntN(6) {
	case 0:
		in.Off ^= 1 << g.IntN(6)
	case 1:
		in.Imm = g.imm()
	case 2:
		in.Dst = uint8(g.IntN(11))
	case 3:
		in.Src = uint8(g.IntN(12))
	default:
		in.Op ^= 1 << g.IntN(8)
	}
}

// end makes the ends of the program: they read some registers.
func (g *generator) end() {
	for range g.IntN(4) {
		g.emit(link.Raw{Op: 0xbf, Src: g.reg()})
	}
	g.emit(link.Raw{Op: 0xb7}, link.Raw{Op: 0x95})
}

func (g *generator) finish() []link.Raw {
	g.end()
	for _, j := range g.jumps {
		g.insns[j].Off = int16(len(g.insns) - j - 1)
		g.end()
	}
	return g.insns
}

// scalars is a program that computes with numbers.
func scalars(rnd *rand.Rand, ctx *layout, n, sloppy int) []link.Raw {
	g := &generator{Rand: rnd, ctx: ctx, sloppy: sloppy}
	g.emit(link.Raw{Op: 0xbf, Dst: ctxReg, Src: 1})
	for _, r := range []uint8{1, 2, 3, 4, 5, 7, 8, 9} {
		if sloppy == 0 || g.IntN(20) > 0 {
			g.fill(r)
		}
	}
	for range n {
		switch g.IntN(10) {
		case 0:
			g.fill(g.reg())
		case 1, 2, 3:
			g.copies()
		case 4, 5:
			g.jump()
		default:
			g.alu(g.reg())
		}
		g.spoil()
	}
	return g.finish()
}
