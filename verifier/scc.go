package verifier

import (
	"slices"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// A state inside a loop that was walked to its end knows what mattered on the ways
// that left the loop, but not what matters in rounds that were pruned because they
// looked like an earlier one. So each visit to a loop is noted: the ways on which it
// came round (the back edges) are kept, and when the visit is over, what mattered is
// carried along them until nothing changes.

// sccChain names a loop by the calls that lead to it.
type sccChain struct {
	calls [state.MaxFrames]int32
	scc   int32
}

// sccVisit is one visit to a loop.
type sccVisit struct {
	entry     *state.State // that the loop was entered with, nil when the visit is over
	backedges []*backedge
}

// backedge is a state that an earlier one, to, stands for.
type backedge struct {
	st *state.State
	to *state.State
}

// maxBackedgeRounds bounds how often back edges are followed.
const maxBackedgeRounds = 64

// chainOf finds the outermost loop that a state is in (compute_scc_callchain).
func (e *env) chainOf(st *state.State) (c sccChain, in bool) {
	for i := range st.Frames {
		at := st.InsnOf(i)
		if scc := e.graph.SCC(at); scc != 0 {
			c.scc = int32(scc)
			return c, true
		}
		if i+1 < len(st.Frames) {
			c.calls[i] = int32(at)
		}
	}
	return c, false
}

// incomplete reports whether more may matter to a state than it knows
// (incomplete_read_marks).
func (e *env) incomplete(st *state.State) bool {
	c, in := e.chainOf(st)
	if !in {
		return false
	}
	v := e.scc[c]
	return v != nil && len(v.backedges) > 0
}

// enterSCC notes a state that is kept, and may be the first in its loop
// (maybe_enter_scc).
func (e *env) enterSCC(st *state.State) {
	c, in := e.chainOf(st)
	if !in {
		return
	}
	v := e.scc[c]
	if v == nil {
		v = new(sccVisit)
		e.scc[c] = v
	}
	if v.entry == nil {
		v.entry = st
		e.logSCC("enter", c)
	}
}

// leaveSCC ends the visit to a loop when all ways from the state that entered it are
// walked (maybe_exit_scc).
func (e *env) leaveSCC(st *state.State) error {
	c, in := e.chainOf(st)
	if !in {
		return nil
	}
	v := e.scc[c]
	if v == nil {
		// Linux' own mistake: a way may end in a loop before a state of it was kept,
		// where an exception or an exit is in the middle.
		return e.reject(errno.EFAULT, "verifier bug: scc exit: no visit info for call chain %s", c)
	}
	if v.entry != st {
		return nil
	}
	e.logSCC("exit", c)
	v.entry = nil
	e.backedges -= len(v.backedges)
	return e.followBackedges(v)
}

// addBackedge notes that the current state came round to an earlier one
// (add_scc_backedge).
func (e *env) addBackedge(to *state.State) {
	c, in := e.chainOf(to)
	v := e.scc[c]
	if !in || v == nil {
		return
	}
	e.logSCC("backedge", c)
	st := e.cur.Clone()
	st.Insn = e.insn
	v.backedges = append(v.backedges, &backedge{st: st, to: to})
	e.backedges++
	e.countStates()
}

// followBackedges carries what mattered along the back edges (propagate_backedges).
func (e *env) followBackedges(v *sccVisit) error {
	for round := 0; ; round++ {
		if round > maxBackedgeRounds {
			if e.log.verbose() {
				e.log.printf("propagate_backedges: too many iterations\n")
			}
			for _, b := range slices.Backward(v.backedges) {
				e.forcePrecise(b.st)
			}
			break
		}
		changed := false
		for _, b := range slices.Backward(v.backedges) {
			c, err := e.propagate(b.to, b.st)
			if err != nil {
				return err
			}
			changed = changed || c
		}
		if !changed {
			break
		}
	}
	v.backedges = nil
	return nil
}

func (e *env) logSCC(what string, c sccChain) {
	if e.log.verbose() {
		e.log.printf("SCC %s %s\n", what, c)
	}
}

// String is the chain as the kernel's log shows it: the calls, then the loop.
func (c sccChain) String() string {
	s := "("
	for _, call := range c.calls {
		if call == 0 {
			break
		}
		s += decimal(int64(call)) + ","
	}
	return s + decimal(int64(c.scc)) + ")"
}
