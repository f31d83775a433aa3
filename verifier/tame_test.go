package verifier_test

import (
	"math/rand/v2"

	"github.com/bpfct/bpfct/link"
)

// kind is what a tame program's register holds, as far as its generator knows.
type kind uint8

const (
	number kind = iota
	small       // a number below 64
	packet
	packetEnd
	meta
	frame
	value
	maybeValue
	inner // maybe a map
)

// tamer makes programs that mostly do what is allowed.
type tamer struct {
	generator
	kinds [11]kind
}

var tameRegs = []uint8{1, 2, 3, 4, 5, 7, 8, 9}

// set gives a register something of a kind.
func (g *tamer) set(r uint8, k kind) {
	g.kinds[r] = k
	switch k {
	case number:
		g.fill(r)
	case small:
		g.fill(r)
		g.emit(link.Raw{Op: 0x57, Dst: r, Imm: pick[int32](&g.generator, 1, 7, 8, 14, 31, 63)})
	case packet:
		g.emit(link.Raw{Op: 0x61, Dst: r, Src: ctxReg, Off: g.ctx.data})
	case packetEnd:
		g.emit(link.Raw{Op: 0x61, Dst: r, Src: ctxReg, Off: g.ctx.end})
	case meta:
		g.emit(link.Raw{Op: 0x61, Dst: r, Src: ctxReg, Off: g.ctx.meta})
	case frame:
		g.emit(link.Raw{Op: 0xbf, Dst: r, Src: 10}, link.Raw{Op: 0x07, Dst: r, Imm: -64})
	case value:
		g.emit(link.Raw{Op: 0x18, Dst: r, Src: 2}, link.Raw{Imm: int32(g.IntN(32))})
	case maybeValue, inner:
		g.emit(link.Raw{Op: 0x7a, Dst: 10, Off: -72, Imm: int32(g.IntN(3))})
		g.emit(link.Raw{Op: 0x18, Dst: 1, Src: 1, Imm: int32(k - maybeValue + 1)}, link.Raw{})
		g.emit(link.Raw{Op: 0xbf, Dst: 2, Src: 10}, link.Raw{Op: 0x07, Dst: 2, Imm: -72})
		g.emit(link.Raw{Op: 0x85, Imm: 1})
		for _, c := range []uint8{1, 2, 3, 4, 5} {
			if c != r {
				g.set(c, pick(&g.generator, number, small, packet, packetEnd))
			}
		}
		g.emit(link.Raw{Op: 0xbf, Dst: r})
	}
}

// of is a register of one of some kinds, made where there is none.
func (g *tamer) of(kinds ...kind) uint8 {
	start := g.IntN(len(tameRegs))
	for i := range tameRegs {
		r := tameRegs[(start+i)%len(tameRegs)]
		for _, k := range kinds {
			if g.kinds[r] == k {
				return r
			}
		}
	}
	r := g.reg()
	g.set(r, kinds[g.IntN(len(kinds))])
	return r
}

func (g *tamer) branch(in link.Raw) {
	g.jumps = append(g.jumps, len(g.insns))
	g.emit(in)
}

// compare compares a pointer with its limit, in any way.
func (g *tamer) compare() {
	a, b := g.of(packet), g.of(packetEnd)
	if g.IntN(6) == 0 {
		a = g.of(meta)
		b = g.reg()
		if b == a {
			return
		}
		if g.set(b, packet); g.IntN(2) == 0 {
			// A copy is checked first: what is known of it is known of both.
			if c := g.reg(); c != a && c != b {
				g.emit(link.Raw{Op: 0xbf, Dst: c, Src: b}, link.Raw{Op: 0x07, Dst: c, Imm: 4})
				g.kinds[c] = packet
				if end := g.of(packetEnd); end != b && end != a {
					g.branch(link.Raw{Op: 0x2d, Dst: c, Src: end})
				}
			}
		}
	}
	if g.IntN(2) == 0 {
		a, b = b, a
	}
	g.branch(link.Raw{Op: pick[uint8](&g.generator, 0x2d, 0x3d, 0xad, 0xbd, 0x1d, 0x5d), Dst: a, Src: b})
}

// guarded reads behind a check of the length.
func (g *tamer) guarded() {
	p, end := g.of(packet), g.of(packetEnd)
	t := g.reg()
	if t == p || t == end {
		return
	}
	n := pick[int32](&g.generator, 1, 4, 8, 14, 20, 34)
	g.kinds[t] = packet
	g.emit(link.Raw{Op: 0xbf, Dst: t, Src: p}, link.Raw{Op: 0x07, Dst: t, Imm: n})
	g.branch(link.Raw{Op: 0x2d, Dst: t, Src: end})
	d := g.reg()
	if d != t && d != end && d != p {
		g.emit(link.Raw{Op: 0x71, Dst: d, Src: p, Off: int16(n) - 1})
		g.kinds[d] = small
		if g.IntN(2) == 0 {
			g.emit(link.Raw{Op: 0x67, Dst: d, Imm: 2})
		}
	}
}

// move adds to or takes from a pointer.
func (g *tamer) move() {
	p := g.of(packet, packet, meta, value, frame)
	switch g.IntN(5) {
	case 0:
		g.emit(link.Raw{Op: 0x07, Dst: p, Imm: pick[int32](&g.generator, 1, 2, 4, 8, 14, -4, -2)})
	case 1:
		g.emit(link.Raw{Op: 0x17, Dst: p, Imm: pick[int32](&g.generator, 1, 2, 4, -4)})
	case 2:
		if n := g.of(small); n != p {
			g.emit(link.Raw{Op: 0x0f, Dst: p, Src: n})
		}
	case 3:
		if n := g.of(small); g.kinds[p] != frame && n != p {
			g.emit(link.Raw{Op: 0x1f, Dst: p, Src: n})
		}
	default:
		n := g.of(small)
		g.emit(link.Raw{Op: 0x0f, Dst: n, Src: p})
		g.kinds[n] = g.kinds[p]
	}
}

// tame is a program that mostly is accepted, or gets far.
func tame(rnd *rand.Rand, ctx *layout, n int) []link.Raw {
	g := &tamer{generator: generator{Rand: rnd, ctx: ctx}}
	g.emit(link.Raw{Op: 0xbf, Dst: ctxReg, Src: 1})
	for _, r := range tameRegs {
		g.set(r, pick(&g.generator, number, small, packet, packetEnd, meta, value, frame))
	}
	for range n {
		switch g.IntN(14) {
		case 0:
			g.set(g.reg(), kind(g.IntN(int(inner)+1)))
		case 1, 2:
			g.compare()
		case 3, 4:
			g.guarded()
		case 5, 6:
			g.move()
		case 7: // copies
			d, s := g.reg(), g.reg()
			g.emit(link.Raw{Op: 0xbf, Dst: d, Src: s})
			g.kinds[d] = g.kinds[s]
		case 8: // through the stack
			d, s, off := g.reg(), g.reg(), g.slotOff()
			g.emit(link.Raw{Op: 0x7b, Dst: 10, Src: s, Off: off}, link.Raw{Op: 0x79, Dst: d, Src: 10, Off: off})
			g.kinds[d] = g.kinds[s]
		case 9: // kept there
			g.emit(link.Raw{Op: 0x7b, Dst: 10, Src: g.reg(), Off: g.slotOff()})
		case 10: // NULL, or compared with another pointer
			p := g.of(maybeValue, maybeValue, inner)
			op := pick[uint8](&g.generator, 0x15, 0x55)
			if g.IntN(4) == 0 {
				g.branch(link.Raw{Op: op | 8, Dst: p, Src: g.of(value, frame)})
				break
			}
			if g.branch(link.Raw{Op: op, Dst: p}); op == 0x15 && g.kinds[p] == maybeValue {
				g.kinds[p] = value
			} else {
				g.kinds[p] = number
				g.fill(p)
			}
		case 11: // numbers compared
			in := link.Raw{Op: jumpOps[g.IntN(len(jumpOps))] | pick[uint8](&g.generator, 5, 6), Dst: g.of(number, small), Imm: g.imm()}
			g.branch(in)
		case 12:
			g.emit(link.Raw{Op: pick[uint8](&g.generator, 0x71, 0x73), Dst: 0, Src: g.of(value, value, frame, packet)})
			if in := &g.insns[len(g.insns)-1]; in.Op == 0x73 {
				in.Dst, in.Src = in.Src, g.of(number, small)
			}
		default:
			r := g.of(number)
			g.alu(r)
		}
	}
	return g.finish()
}
