package verifier

import "github.com/bpfct/bpfct/verifier/state"

// maxLinked is how many registers and slots learn of each other (LINKED_REGS_MAX).
const maxLinked = 6

// linked lists the registers that are still read, and the slots, which hold the
// numbers that a jump compares, or numbers that differ from those by a constant. Those
// beyond maxLinked lose the link.
func (e *env) linked(j *jump) []state.LinkedReg {
	var list []state.LinkedReg
	if fromReg(j.slot) && j.src.Type == state.ScalarValue && j.src.ID != 0 {
		list = e.collectLinked(list, j.src.ID)
	}
	if j.dst.Type == state.ScalarValue && j.dst.ID != 0 {
		list = e.collectLinked(list, j.dst.ID)
	}
	return list
}

func (e *env) collectLinked(list []state.LinkedReg, id uint32) []state.LinkedReg {
	id &^= state.AddConst
	collect := func(r *state.Reg, l state.LinkedReg) {
		switch {
		case r.Type != state.ScalarValue || r.ID&^state.AddConst != id:
		case len(list) < maxLinked:
			list = append(list, l)
		default:
			r.ID = 0
		}
	}
	for n := len(e.cur.Frames) - 1; n >= 0; n-- {
		f := e.cur.Frames[n]
		live := e.graph.LiveRegs(e.at(n))
		for i := range regFP {
			if live&(1<<i) != 0 {
				collect(&f.Regs[i], state.LinkedReg{Frame: n, IsReg: true, Number: i})
			}
		}
		for i := range f.Stack {
			if f.Stack[i].IsSpilled() {
				collect(&f.Stack[i].Spilled, state.LinkedReg{Frame: n, Number: i})
			}
		}
	}
	return list
}

// at is where frame n stands: at a call, unless it is the executing one.
func (e *env) at(n int) int {
	if n+1 < len(e.cur.Frames) {
		return e.cur.Frames[n+1].Callsite
	}
	return e.insn
}

// syncLinked gives what is known of one number to those that are linked with it
// (sync_linked_regs).
func (e *env) syncLinked(st *state.State, known *state.Reg, linked []state.LinkedReg) {
	for _, l := range linked {
		f := st.Frames[l.Frame]
		var r *state.Reg
		if l.IsReg {
			r = &f.Regs[l.Number]
		} else {
			r = &f.Stack[l.Number].Spilled
		}
		if r.Type != state.ScalarValue || r == known || r.ID&^state.AddConst != known.ID&^state.AddConst {
			continue
		}
		if (r.ID^known.ID)&state.AddConst == state.AddConst {
			continue // a sum of 32 bits and one of 64 do not differ by a constant
		}
		old := *r
		*r = *known
		r.SubregDef = old.SubregDef
		if old.ID&state.AddConst == 0 && known.ID&state.AddConst == 0 || old.Off == known.Off {
			continue
		}
		r.Off, r.ID = old.Off, old.ID
		r.Move(int64(old.Off) - int64(known.Off))
		if (old.ID|known.ID)&state.AddConst32 != 0 {
			r.Zext()
		}
		r.Sync()
	}
}
