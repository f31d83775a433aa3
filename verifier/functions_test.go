package verifier_test

import (
	"math/rand/v2"

	"github.com/bpfct/bpfct/link"
)

// caller makes programs of several functions, and with loops.
type caller struct {
	tamer
	calls []int // to be given their functions
}

// loop repeats a few instructions, a known or unknown number of times.
func (g *caller) loop() {
	n := pick[uint8](&g.generator, 7, 8, 9)
	g.kinds[n] = number
	switch g.IntN(3) {
	case 0: // for n = 0; n < limit; n++
		g.emit(link.Raw{Op: 0xb7, Dst: n})
		start := len(g.insns)
		g.body(n)
		g.emit(link.Raw{Op: 0x07, Dst: n, Imm: 1})
		g.emit(link.Raw{Op: pick[uint8](&g.generator, 0xa5, 0xc5, 0xa6, 0x55), Dst: n, Imm: int32(1 + g.IntN(6)), Off: int16(start - len(g.insns) - 1)})
	case 1: // for n = any & mask; n > 0; n--
		g.set(n, small)
		start := len(g.insns)
		g.body(n)
		g.emit(link.Raw{Op: 0x17, Dst: n, Imm: 1})
		g.emit(link.Raw{Op: pick[uint8](&g.generator, 0x65, 0x66), Dst: n, Off: int16(start - len(g.insns) - 1)})
		g.kinds[n] = number
	default: // while may_goto
		g.emit(link.Raw{Op: 0xb7, Dst: n, Imm: int32(g.IntN(4))})
		start := len(g.insns)
		g.emit(link.Raw{Op: 0xe5})
		g.body(n)
		g.emit(link.Raw{Op: pick[uint8](&g.generator, 0x07, 0x04, 0x47), Dst: n, Imm: int32(g.IntN(3))})
		g.emit(link.Raw{Op: 0x05, Off: int16(start - len(g.insns) - 1)})
		g.insns[start].Off = int16(len(g.insns) - start - 1)
	}
}

// body is what is repeated; it leaves register n alone.
func (g *caller) body(n uint8) {
	for range 1 + g.IntN(3) {
		r := g.of(number, small)
		if r == n {
			continue
		}
		switch g.IntN(4) {
		case 0:
			g.emit(link.Raw{Op: 0x7b, Dst: 10, Src: r, Off: g.slotOff()})
		case 1:
			at := len(g.insns)
			g.emit(link.Raw{Op: jumpOps[g.IntN(len(jumpOps))] | 5, Dst: r, Imm: g.imm()})
			g.alu(r)
			g.insns[at].Off = int16(len(g.insns) - at - 1)
		default:
			g.alu(r)
		}
		g.kinds[r] = number
	}
}

// step is one or a few instructions.
func (g *caller) step() {
	switch g.IntN(10) {
	case 0:
		g.set(g.reg(), kind(g.IntN(int(frame)+1)))
	case 1:
		d, s := g.reg(), g.reg()
		g.emit(link.Raw{Op: 0xbf, Dst: d, Src: s})
		g.kinds[d] = g.kinds[s]
	case 2:
		d, s, off := g.reg(), g.reg(), g.slotOff()
		g.emit(link.Raw{Op: 0x7b, Dst: 10, Src: s, Off: off}, link.Raw{Op: 0x79, Dst: d, Src: 10, Off: off})
		g.kinds[d] = g.kinds[s]
	case 3:
		p := g.of(frame)
		if g.IntN(2) == 0 {
			g.emit(link.Raw{Op: 0x7b, Dst: p, Src: g.of(number, small), Off: pick[int16](&g.generator, 0, 8, 16)})
			break
		}
		d := g.reg()
		g.emit(link.Raw{Op: 0x79, Dst: d, Src: p, Off: pick[int16](&g.generator, 0, 8, 16)})
		g.kinds[d] = number
	case 4, 5:
		in := link.Raw{Op: jumpOps[g.IntN(len(jumpOps))] | pick[uint8](&g.generator, 5, 6), Dst: g.of(number, small), Imm: g.imm()}
		g.branch(in)
	case 6:
		g.guarded()
	default:
		g.alu(g.of(number))
	}
}

// call calls the next function, with whatever is in the registers.
func (g *caller) call() {
	for r := uint8(1); r <= 5; r++ {
		if g.IntN(4) == 0 {
			s := pick[uint8](&g.generator, 7, 8, 9)
			g.emit(link.Raw{Op: 0xbf, Dst: r, Src: s})
			g.kinds[r] = g.kinds[s]
		}
	}
	g.calls = append(g.calls, len(g.insns))
	g.emit(link.Raw{Op: 0x85, Src: 1})
	g.emit(link.Raw{Op: 0xbf, Dst: 1})
	for r := uint8(1); r <= 5; r++ {
		g.kinds[r] = number
		if r > 1 {
			g.fill(r)
		}
	}
}

// ends gives the jumps of a function their ends.
func (g *caller) ends() {
	g.end()
	for _, j := range g.jumps {
		g.insns[j].Off = int16(len(g.insns) - j - 1)
		g.end()
	}
	g.jumps = nil
}

// functions is a program of up to three functions, each of which may call the next.
func functions(rnd *rand.Rand, ctx *layout, n int) []link.Raw {
	g := &caller{tamer: tamer{generator: generator{Rand: rnd, ctx: ctx}}}
	g.emit(link.Raw{Op: 0xbf, Dst: ctxReg, Src: 1})
	for _, r := range tameRegs {
		g.set(r, pick(&g.generator, number, small, packet, packetEnd, frame))
	}
	kinds := g.kinds
	for depth := range 3 {
		calls := len(g.calls)
		for range n {
			switch g.IntN(8) {
			case 0:
				g.loop()
			case 1:
				if depth < 2 {
					if len(g.calls) == calls {
						kinds = g.kinds
					}
					g.call()
					break
				}
				g.step()
			default:
				g.step()
			}
		}
		g.ends()
		for _, c := range g.calls[calls:] {
			g.insns[c].Imm = int32(len(g.insns) - c - 1)
		}
		if len(g.calls) == calls {
			break
		}
		// The callee has the arguments, and the context where it can find it.
		g.kinds = kinds
		for _, r := range []uint8{7, 8, 9} {
			g.set(r, pick(&g.generator, number, small, frame))
		}
		g.emit(link.Raw{Op: 0xb7, Dst: ctxReg})
		g.emit(link.Raw{Op: 0x79, Dst: ctxReg, Src: 10, Off: -64})
		for _, r := range []uint8{7, 8, 9} {
			if k := g.kinds[r]; k != number && k != small && k != frame {
				g.kinds[r] = number
			}
		}
	}
	return g.insns
}
