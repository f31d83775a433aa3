package verifier_test

import (
	"math/rand/v2"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/link"
)

// pointerMaps are the maps of programs that pointers makes, by their place.
func pointerMaps() []*ebpf.MapSpec {
	inner := &ebpf.MapSpec{Name: "inner", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 2}
	return []*ebpf.MapSpec{
		{Name: "m0", Type: ebpf.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1},
		{Name: "m1", Type: ebpf.Hash, KeySize: 8, ValueSize: 32, MaxEntries: 4},
		{Name: "m2", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 2, InnerMap: inner},
		{Name: "m3", Type: ebpf.SockMap, KeySize: 4, ValueSize: 4, MaxEntries: 2},
		{Name: "m4", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 2},
	}
}

// lookup looks something up in a map; dst keeps the result.
func (g *generator) lookup(dst uint8, m int) {
	g.emit(link.Raw{Op: 0x7a, Dst: 10, Off: -72, Imm: int32(g.IntN(3))})
	g.emit(link.Raw{Op: 0x18, Dst: 1, Src: 1, Imm: int32(m)}, link.Raw{})
	g.emit(link.Raw{Op: 0xbf, Dst: 2, Src: 10}, link.Raw{Op: 0x07, Dst: 2, Imm: -72})
	g.emit(link.Raw{Op: 0x85, Imm: 1})
	g.emit(link.Raw{Op: 0xbf, Dst: dst})
	for r := uint8(1); r <= 5; r++ {
		g.fill(r)
	}
}

// point gives a register some pointer.
func (g *generator) point(dst uint8) {
	switch g.IntN(12) {
	case 0, 1:
		g.emit(link.Raw{Op: 0x61, Dst: dst, Src: ctxReg, Off: g.ctx.data})
	case 2, 3:
		g.emit(link.Raw{Op: 0x61, Dst: dst, Src: ctxReg, Off: g.ctx.end})
	case 4:
		g.emit(link.Raw{Op: 0x61, Dst: dst, Src: ctxReg, Off: g.ctx.meta})
	case 5:
		g.emit(link.Raw{Op: 0xbf, Dst: dst, Src: 10})
	case 6:
		g.emit(link.Raw{Op: 0xbf, Dst: dst, Src: ctxReg})
	case 7:
		g.emit(link.Raw{Op: 0x18, Dst: dst, Src: 1, Imm: int32(g.IntN(5))}, link.Raw{})
	case 8:
		g.emit(link.Raw{Op: 0x18, Dst: dst, Src: 2}, link.Raw{Imm: int32(g.IntN(64))})
	default:
		g.lookup(dst, g.IntN(5))
	}
}

// bounded makes a register a small number.
func (g *generator) bounded(dst uint8) {
	g.fill(dst)
	switch g.IntN(4) {
	case 0:
		g.emit(link.Raw{Op: 0xb7, Dst: dst, Imm: int32(g.IntN(40)) - 8})
	case 1:
		g.emit(link.Raw{Op: 0x57, Dst: dst, Imm: pick[int32](g, 1, 3, 7, 8, 15, 31, 63, 255, 0xffff, 0x7ffffff8)})
	case 2:
		g.emit(link.Raw{Op: 0xc7, Dst: dst, Imm: pick[int32](g, 40, 58, 60, 63)})
	}
}

// pointers is a program that computes with, compares and follows pointers.
func pointers(rnd *rand.Rand, ctx *layout, n, sloppy int) []link.Raw {
	g := &generator{Rand: rnd, ctx: ctx, sloppy: sloppy}
	g.emit(link.Raw{Op: 0xbf, Dst: ctxReg, Src: 1})
	ptrs := []uint8{7, 8, 9}
	nums := []uint8{1, 2, 3, 4, 5}
	for _, r := range ptrs {
		g.point(r)
	}
	for _, r := range nums {
		g.fill(r)
	}
	ptr := func() uint8 { return ptrs[g.IntN(len(ptrs))] }
	num := func() uint8 { return nums[g.IntN(len(nums))] }
	for range n {
		switch g.IntN(24) {
		case 0:
			g.point(ptr())
		case 1, 2:
			g.bounded(num())
		case 3, 4:
			g.emit(link.Raw{Op: 0x07, Dst: ptr(), Imm: pick[int32](g, 0, 1, 4, 8, 14, 20, 34, -4, -8, -16, 0x10000, g.imm())})
		case 5:
			g.emit(link.Raw{Op: 0x17, Dst: ptr(), Imm: pick[int32](g, 0, 1, 4, 8, -8, g.imm())})
		case 6, 7:
			g.bounded(2)
			g.emit(link.Raw{Op: pick[uint8](g, 0x0f, 0x0f, 0x1f), Dst: ptr(), Src: 2})
		case 8:
			g.bounded(3)
			g.emit(link.Raw{Op: 0x0f, Dst: 3, Src: ptr()})
		case 9:
			d := num()
			g.emit(link.Raw{Op: 0xbf, Dst: d, Src: ptr()}, link.Raw{Op: pick[uint8](g, 0x1f, 0x1f, 0x1f, 0x1c), Dst: d, Src: ptr()})
		case 10, 11, 12:
			g.jumps = append(g.jumps, len(g.insns))
			g.emit(link.Raw{Op: jumpOps[g.IntN(len(jumpOps))] | pick[uint8](g, 0x0d, 0x0d, 0x0d, 0x0e), Dst: ptr(), Src: ptr()})
		case 13, 14, 15:
			g.jumps = append(g.jumps, len(g.insns))
			g.emit(link.Raw{Op: pick[uint8](g, 0x15, 0x55, 0x15, 0x55, 0x16, 0x25, 0x65), Dst: ptr(), Imm: pick[int32](g, 0, 0, 0, 0, 1)})
		case 16:
			g.jumps = append(g.jumps, len(g.insns))
			g.emit(link.Raw{Op: jumpOps[g.IntN(len(jumpOps))] | 0x0d, Dst: ptr(), Src: num()})
		case 17, 18:
			g.emit(link.Raw{Op: pick[uint8](g, 0x71, 0x69, 0x61, 0x79), Dst: num(), Src: ptr(), Off: pick[int16](g, 0, 0, 0, 4, 8, 13, -8)})
		case 19:
			g.emit(link.Raw{Op: pick[uint8](g, 0x73, 0x6b, 0x63, 0x7b), Dst: ptr(), Src: num(), Off: pick[int16](g, 0, 0, 0, 4, 8, 13, -8)})
		case 20:
			g.emit(link.Raw{Op: 0x7b, Dst: 10, Src: ptr(), Off: g.slotOff()})
		case 21:
			g.emit(link.Raw{Op: 0x79, Dst: ptr(), Src: 10, Off: g.slotOff()})
		case 22:
			g.emit(link.Raw{Op: 0xbf, Dst: ptr(), Src: ptr()})
		default:
			if g.IntN(4) > 0 {
				g.alu(num())
			} else {
				g.alu(ptr())
			}
		}
		g.spoil()
	}
	return g.finish()
}
