package verifier

import (
	"slices"

	"github.com/bpfct/bpfct/verifier/state"
)

// prevEntry is the state kept at an instruction on the current path: the last round
// of a loop that comes by there (find_prev_entry).
func (e *env) prevEntry(insn int) *state.State {
	for _, x := range slices.Backward(e.kept(insn)) {
		if x.st.Branches > 0 && x.st.Insn == insn && sameCalls(x.st, e.cur) {
			return x.st
		}
	}
	return nil
}

// sameCalls reports whether two states are in the same functions, called from the
// same places.
func sameCalls(a, b *state.State) bool {
	if len(a.Frames) != len(b.Frames) {
		return false
	}
	for i := range a.Frames {
		if a.Frames[i].Callsite != b.Frames[i].Callsite {
			return false
		}
	}
	return true
}

// widen forgets what a loop's last round knew of numbers that it changes and that
// have not mattered so far, so that the rounds converge
// (widen_imprecise_scalars).
func (e *env) widen(old, cur *state.State) {
	var ids state.IDs
	for n := range old.Frames {
		fo, fc := old.Frames[n], cur.Frames[n]
		for i := range fo.Regs {
			widenReg(&ids, &fo.Regs[i], &fc.Regs[i])
		}
		for i := range min(len(fo.Stack), len(fc.Stack)) {
			if fo.Stack[i].IsSpilled() && fc.Stack[i].IsSpilled() {
				widenReg(&ids, &fo.Stack[i].Spilled, &fc.Stack[i].Spilled)
			}
		}
	}
}

func widenReg(ids *state.IDs, old, cur *state.Reg) {
	if old.Type == state.ScalarValue && cur.Type == state.ScalarValue && !old.Precise && !cur.Precise && !ids.Same(old, cur) {
		cur.MarkUnknown()
	}
}
