package bounds_test

import (
	"math"
	"math/rand/v2"

	"github.com/bpfct/bpfct/link"
)

// A generated program is a line of loads, arithmetic and conditional jumps on r1 to
// r6. Each jump leads to an end of its own, so that the verifier shows what is known
// on either way and never finds that it was there before.
type generator struct {
	rnd   *rand.Rand
	insns []link.Raw
	jumps []int // to be given their ends
}

const (
	workRegs = 6
	baseReg  = 9 // points to 64 bytes of a map's value
)

func (g *generator) reg() uint8 { return uint8(1 + g.rnd.IntN(workRegs)) }

func (g *generator) emit(in ...link.Raw) { g.insns = append(g.insns, in...) }

var corners = []int64{
	0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000,
	math.MaxInt32, -math.MaxInt32, math.MinInt32, -1, -2, -3, -8, -16, -128, -129, -256, -0x8000, -0x10000,
}

func (g *generator) imm() int32 {
	switch g.rnd.IntN(4) {
	case 0:
		return int32(g.rnd.Uint32())
	case 1:
		return int32(g.rnd.Uint32()) >> g.rnd.IntN(32)
	}
	return int32(corners[g.rnd.IntN(len(corners))])
}

func (g *generator) imm64() uint64 {
	switch g.rnd.IntN(4) {
	case 0:
		return g.rnd.Uint64()
	case 1:
		return uint64(int64(g.rnd.Uint64()) >> g.rnd.IntN(64))
	case 2:
		return uint64(g.imm())<<32 | uint64(uint32(g.imm()))
	}
	v := corners[g.rnd.IntN(len(corners))]
	return uint64(v) + uint64(g.rnd.IntN(2))*math.MaxInt64
}

// fill gives a register some value.
func (g *generator) fill(dst uint8) {
	off := int16(8 * g.rnd.IntN(8))
	switch g.rnd.IntN(10) {
	case 0:
		g.emit(link.Raw{Op: 0xb7, Dst: dst, Imm: g.imm()})
	case 1:
		g.emit(link.Raw{Op: 0xb4, Dst: dst, Imm: g.imm()})
	case 2:
		v := g.imm64()
		g.emit(link.Raw{Op: 0x18, Dst: dst, Imm: int32(v)}, link.Raw{Imm: int32(v >> 32)})
	case 3, 4:
		g.emit(link.Raw{Op: []uint8{0x71, 0x69, 0x61}[g.rnd.IntN(3)], Dst: dst, Src: baseReg, Off: off})
	case 5:
		g.emit(link.Raw{Op: []uint8{0x91, 0x89, 0x81}[g.rnd.IntN(3)], Dst: dst, Src: baseReg, Off: off})
	default:
		g.emit(link.Raw{Op: 0x79, Dst: dst, Src: baseReg, Off: off})
	}
}

// alu is one instruction of arithmetic.
func (g *generator) alu(dst uint8) {
	class := []uint8{4, 7}[g.rnd.IntN(2)]
	switch op := uint8(g.rnd.IntN(14)) << 4; op {
	case 0x80:
		g.emit(link.Raw{Op: op | class, Dst: dst})
	case 0xd0:
		src := uint8(g.rnd.IntN(2)) * 8
		if class == 7 {
			src = 0
		}
		g.emit(link.Raw{Op: op | class | src, Dst: dst, Imm: []int32{16, 32, 64}[g.rnd.IntN(3)]})
	case 0xb0:
		g.move(class, dst)
	default:
		shift := op == 0x60 || op == 0x70 || op == 0xc0
		divides := op == 0x30 || op == 0x90
		in := link.Raw{Op: op | class, Dst: dst}
		if divides {
			in.Off = int16(g.rnd.IntN(2))
		}
		switch {
		case g.rnd.IntN(2) == 0 && !(shift && g.rnd.IntN(4) > 0):
			in.Op |= 8
			in.Src = g.reg()
		case shift:
			in.Imm = int32(g.rnd.IntN(32))
			if class == 7 && g.rnd.IntN(2) == 0 {
				in.Imm = []int32{32, 32, 33, 48, 56, 63}[g.rnd.IntN(6)]
			}
		default:
			in.Imm = g.imm()
			if divides && in.Imm == 0 {
				in.Imm = 7
			}
		}
		g.emit(in)
	}
}

// move copies a register. Copies share an ID, by which jumps would change both: they
// give it up, the second time that a constant is added.
func (g *generator) move(class, dst uint8) {
	src := g.reg()
	sizes := []int16{0, 8, 16}
	if class == 7 {
		sizes = []int16{8, 16, 32}
	}
	g.emit(link.Raw{Op: 0xb8 | class, Dst: dst, Src: src, Off: sizes[g.rnd.IntN(3)]})
	for _, r := range []uint8{src, dst} {
		g.emit(link.Raw{Op: 0x07, Dst: r}, link.Raw{Op: 0x07, Dst: r})
	}
}

func (g *generator) jump() {
	ops := []uint8{0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0}
	in := link.Raw{Op: ops[g.rnd.IntN(len(ops))] | []uint8{5, 6}[g.rnd.IntN(2)], Dst: g.reg()}
	if g.rnd.IntN(2) == 0 {
		in.Op |= 8
		in.Src = g.reg()
	} else {
		in.Imm = g.imm()
	}
	g.jumps = append(g.jumps, len(g.insns))
	g.emit(in)
}

// generate makes a program of about n instructions; mapFD is a map with one value of
// 64 bytes.
func generate(rnd *rand.Rand, n, mapFD int) []link.Raw {
	g := &generator{rnd: rnd}
	g.emit(link.Raw{Op: 0x18, Dst: baseReg, Src: 2, Imm: int32(mapFD)}, link.Raw{})
	for r := uint8(1); r <= workRegs; r++ {
		g.fill(r)
	}
	for range n {
		switch g.rnd.IntN(10) {
		case 0:
			g.fill(g.reg())
		case 1, 2, 3, 4:
			g.jump()
		default:
			g.alu(g.reg())
		}
	}
	g.emit(link.Raw{Op: 0xb7}, link.Raw{Op: 0x95})
	for _, j := range g.jumps {
		g.insns[j].Off = int16(len(g.insns) - j - 1)
		g.emit(link.Raw{Op: 0xb7}, link.Raw{Op: 0x95})
	}
	return g.insns
}
