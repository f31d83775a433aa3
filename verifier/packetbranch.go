package verifier

import (
	"github.com/bpfct/bpfct/verifier/bounds"
	"github.com/bpfct/bpfct/verifier/state"
)

// maxPacketOff bounds offsets from which a packet's length is learned
// (MAX_PACKET_OFF).
const maxPacketOff = 0xffff

// Values of Range that say how a pointer into the packet compares to its end.
const (
	atPacketEnd     = -1 // it is at the end or beyond
	beyondPacketEnd = -2
)

func inPacketOrEnd(r *state.Reg) bool { return r.Type.IsPacket() || r.Type == state.PtrToPacketEnd }

// packetTaken decides a comparison with the packet's end that one before decided
// already (is_pkt_ptr_branch_taken).
func packetTaken(a, b *state.Reg, cmp bounds.Cmp) bounds.Tri {
	switch {
	case b.Type == state.PtrToPacketEnd:
	case a.Type == state.PtrToPacketEnd:
		a, cmp = b, cmp.Flip()
	default:
		return bounds.Maybe
	}
	if a.Range >= 0 {
		return bounds.Maybe
	}
	switch cmp {
	case bounds.GT, bounds.LE:
		if a.Range != beyondPacketEnd {
			return bounds.Maybe
		}
	case bounds.GE, bounds.LT:
	default:
		return bounds.Maybe
	}
	if cmp == bounds.GT || cmp == bounds.GE {
		return bounds.Yes
	}
	return bounds.No
}

// comparePackets learns how long the packet is, from a comparison of a pointer into
// it with its end, or of one into the metadata with the packet's start
// (try_match_pkt_pointers).
func (e *env) comparePackets(j *jump, other *state.State) {
	n, p, cmp := j.Dst, j.dst, j.cmp
	switch {
	case comparesToEnd(j.dst, j.src):
	case comparesToEnd(j.src, j.dst):
		n, p, cmp = j.Src, j.src, cmp.Flip()
	default:
		return
	}
	// The pointer is beyond the end on one way; on the other one all before it is
	// there. strict comparisons leave the end itself to that other way.
	inside, outside := e.cur, other
	switch cmp {
	case bounds.GT, bounds.GE:
	case bounds.LT, bounds.LE:
		inside, outside = other, e.cur
	default:
		return
	}
	mayBeAt := cmp == bounds.GT || cmp == bounds.LE
	pointer := *p
	markPacketRange(inside, &pointer, !mayBeAt)
	if r := &outside.Regs()[n]; r.Type == state.PtrToPacket {
		r.Range = atPacketEnd
		if mayBeAt {
			r.Range = beyondPacketEnd
		}
	}
}

// comparesToEnd reports whether r is a pointer of which end is the limit.
func comparesToEnd(r, end *state.Reg) bool {
	return r.Type == state.PtrToPacket && end.Type == state.PtrToPacketEnd ||
		r.Type == state.PtrToPacketMeta && isPacketStart(end)
}

// isPacketStart reports whether r is the packet's start as it was loaded
// (reg_is_init_pkt_pointer).
func isPacketStart(r *state.Reg) bool {
	return r.Type == state.PtrToPacket && r.ID == 0 && r.Off == 0 && r.Var == bounds.TnumConst(0)
}

// markPacketRange gives all copies of p, wherever they have moved to since, the bytes
// that are known to be there: those before p, and with open one more
// (find_good_pkt_pointers).
func markPacketRange(st *state.State, p *state.Reg, open bool) {
	if p.Off < 0 || p.Off == 0 && open {
		return
	}
	if p.UMax > maxPacketOff || p.UMax+uint64(p.Off) > maxPacketOff {
		return // the pointer may have wrapped
	}
	n := p.Off
	if open {
		n++
	}
	st.EachReg(func(_ *state.Frame, r *state.Reg, _ *state.Slot) {
		if r.Type == p.Type && r.ID == p.ID {
			r.Range = max(r.Range, n)
		}
	})
}
