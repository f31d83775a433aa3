package verifier

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// explored is a state that was kept at a prune point.
type explored struct {
	st         *state.State
	hits, miss int
}

// When a state is kept: not at each prune point, which would cost more than it saves.
const (
	keepJumps, keepInsns         = 2, 8
	keepLoopJumps, keepLoopInsns = 20, 100
	longHistory                  = 40
)

// bucket is where states are kept that stand at an instruction in a function that was
// called from a place. Others may be kept there as well.
func (e *env) bucket(insn, callsite int) int {
	return int(uint32(insn^callsite)) % len(e.explored)
}

// kept are the states kept at an instruction, the newest last, among others.
func (e *env) kept(insn int) []*explored {
	return e.explored[e.bucket(insn, e.cur.Cur().Callsite)]
}

// forgetStates drops what was kept: another function is walked.
func (e *env) forgetStates() {
	clear(e.explored)
	e.scc = make(map[sccChain]*sccVisit)
	e.stateBytes = 0
}

// verdict is what a comparison with a kept state says.
type verdict uint8

const (
	different  verdict = iota
	covered            // the current state needs no walk
	comesRound         // it closes a loop, and needs none
)

// seenBefore reports whether a state kept at this instruction covers the current
// one. Otherwise it may keep the current one (is_state_visited).
func (e *env) seenBefore() (bool, error) {
	at, cur := e.insn, e.cur
	force := e.graph.ForceCheckpoint(at) || len(cur.History) > longHistory
	keep := force || e.jumps-e.prevJumps >= keepJumps && e.processed-e.prevInsns >= keepInsns

	e.cleanKept()
	b := e.bucket(at, cur.Cur().Callsite)
	count := len(e.explored[b])
	for i := count - 1; i >= 0; i-- {
		old := e.explored[b][i]
		if old.st.Insn != at {
			continue
		}
		v, err := e.compare(old, &keep, force)
		if err != nil {
			return false, err
		}
		if v != different {
			return true, e.hit(old, v)
		}
		if keep {
			old.miss++
		}
		// A state that seldom helps costs more than it is worth.
		n := 3
		if e.graph.ForceCheckpoint(at) && old.st.Branches > 0 {
			n = 64
		}
		if old.miss > old.hits*n+n {
			e.explored[b] = slices.Delete(e.explored[b], i, i+1)
			old.st.Evicted = true
			e.released(old.st)
		}
	}
	e.maxStates = max(e.maxStates, count)
	if !keep {
		return false, nil
	}
	return false, e.keep()
}

// released takes a state off the counts that nothing will be compared with, and
// whose paths are all walked.
func (e *env) released(st *state.State) {
	if st.Evicted && st.Branches == 0 {
		e.liveStates--
		e.stateBytes -= sizeOf(st)
	}
}

// compare compares the current state with a kept one.
func (e *env) compare(old *explored, keep *bool, force bool) (verdict, error) {
	if old.st.Branches > 0 {
		v, err := e.converges(old.st)
		if v == different && !force && e.jumps-e.prevJumps < keepLoopJumps && e.processed-e.prevInsns < keepLoopInsns {
			// Rounds of a loop are kept seldom: each differs from the last one.
			*keep = false
		}
		return v, err
	}
	how, v := state.NotExact, covered
	if e.incomplete(old.st) {
		how, v = state.RangeWithin, comesRound
	}
	if e.equal(old.st, e.cur, how) {
		return v, nil
	}
	return different, nil
}

// hit notes that old covers the current state: what mattered in old's walk matters
// on the way here.
func (e *env) hit(old *explored, v verdict) error {
	old.hits++
	if e.graph.JumpPoint(e.insn) {
		e.pushHistory(state.Jump{Insn: e.insn, Prev: e.prevInsn})
	}
	if err := e.propagatePrecision(old.st); err != nil {
		return err
	}
	if v == comesRound {
		e.addBackedge(old.st)
	}
	return nil
}

// converges compares the current state with one on its own path: a loop came round.
func (e *env) converges(old *state.State) (verdict, error) {
	at, cur := e.insn, e.cur
	fo, fc := old.Cur(), cur.Cur()
	round := func() bool { return e.equal(old, cur, state.RangeWithin) }
	switch {
	case fo.InAsyncCallback && fo.AsyncEntries != fc.AsyncEntries:
		// Another run of the callback, not another round of a loop.
		return different, nil
	case e.graph.IterNext(at):
		if round() && e.iterActive(cur) {
			return comesRound, nil
		}
		return different, nil
	case e.graph.CallsCallback(at):
		if round() {
			return covered, nil
		}
		return different, nil
	case e.graph.MayGoto(at) && old.MayGoto != cur.MayGoto && round():
		return comesRound, nil
	}
	if maybeLooping(old, cur) && e.equal(old, cur, state.Exact) && !iterDepthsDiffer(old, cur) &&
		old.MayGoto == cur.MayGoto && old.CallbackUnroll == cur.CallbackUnroll {
		return different, e.endlessLoop(old)
	}
	return different, nil
}

// endlessLoop refuses a loop in which nothing changes.
func (e *env) endlessLoop(old *state.State) error {
	if line := e.newLine(e.insn); line != "" {
		e.log.printf("; %s\n", line)
	}
	err := e.reject(errno.EINVAL, "infinite loop detected at insn %d", e.insn)
	n := len(e.cur.Frames) - 1
	e.log.printf("cur state:%s\n", e.cur.Text(n, state.All))
	e.log.printf("old state:%s\n", old.Text(n, state.All))
	return err
}

// maybeLooping is a quick look at whether nothing changed (states_maybe_looping).
func maybeLooping(old, cur *state.State) bool {
	if len(old.Frames) != len(cur.Frames) {
		return false
	}
	fo, fc := old.Cur(), cur.Cur()
	for i := range fo.Regs {
		if !state.SameReg(&fo.Regs[i], &fc.Regs[i]) {
			return false
		}
	}
	return true
}

// equal compares with fresh IDs, looking only at what later instructions read.
func (e *env) equal(old, cur *state.State, how state.Exactness) bool {
	if e.ids == nil {
		e.ids = &state.IDs{AllPrecise: e.opts.Record}
	}
	e.ids.Reset(e.nextID)
	return state.Equal(old, cur, how, e.ids, e.graph.Live())
}

// cleanKept takes out of the states kept here what no later instruction reads, once
// that is known (clean_live_states).
func (e *env) cleanKept() {
	for _, x := range e.kept(e.insn) {
		if st := x.st; st.Branches == 0 && !st.Cleaned && st.Insn == e.insn && sameCalls(st, e.cur) && !e.incomplete(st) {
			e.clean(st)
		}
	}
}

func (e *env) clean(st *state.State) {
	st.Cleaned = true
	q := e.live.Query(st)
	for n, f := range st.Frames {
		live := e.graph.LiveRegs(st.InsnOf(n))
		for i := range f.Regs[:10] {
			if live&(1<<i) == 0 {
				f.Regs[i].MarkNotInit()
			}
		}
		for i := range f.Stack {
			if !q.Live(n, i) {
				f.Stack[i] = state.Slot{}
			}
		}
	}
}

// keep remembers the current state, which becomes the parent of what follows.
func (e *env) keep() error {
	e.states++
	e.liveStates++
	e.countStates()
	e.prevJumps, e.prevInsns = e.jumps, e.processed
	forgetPrecision(e.cur)
	kept := e.cur.Clone()
	kept.Insn = e.insn
	e.stateBytes += sizeOf(kept)
	if e.stateBytes > e.opts.MaxStateBytes {
		return fmt.Errorf("program %s: the states of the verification need more than %d bytes at instruction %d, after %d processed: %w",
			e.prog.Name, e.opts.MaxStateBytes, e.insn, e.processed, errno.ENOMEM)
	}
	e.enterSCC(kept)
	b := e.bucket(e.insn, kept.Cur().Callsite)
	e.explored[b] = append(e.explored[b], &explored{st: kept})
	e.cur.Parent = kept
	e.cur.FirstInsn = e.insn
	e.cur.History = e.cur.History[:0]
	return nil
}

// countStates notes how many states there are at most.
func (e *env) countStates() { e.peakStates = max(e.peakStates, e.liveStates+e.backedges) }

// sizeOf is the memory of a state.
func sizeOf(st *state.State) int64 {
	n := int64(unsafe.Sizeof(*st))
	for _, f := range st.Frames {
		n += int64(unsafe.Sizeof(*f)) + int64(len(f.Stack))*int64(unsafe.Sizeof(state.Slot{}))
	}
	return n + int64(len(st.History))*int64(unsafe.Sizeof(state.Jump{}))
}

// iterDepthsDiffer reports whether an iterator stepped between two states.
func iterDepthsDiffer(old, cur *state.State) bool {
	for n, f := range old.Frames {
		for i := range f.Stack {
			if f.Stack[i].Bytes[state.RegSize-1] != state.SlotIter || f.Stack[i].Spilled.Iter != state.IterActive {
				continue
			}
			if n < len(cur.Frames) && i < len(cur.Frames[n].Stack) &&
				cur.Frames[n].Stack[i].Spilled.IterDepth != f.Stack[i].Spilled.IterDepth {
				return true
			}
		}
	}
	return false
}

// iterActive reports whether the iterator that the next call steps is active. The
// call's first argument points to its slot.
func (e *env) iterActive(st *state.State) bool {
	r := &st.Regs()[1]
	if r.Type != state.PtrToStack || int(r.Frame) >= len(st.Frames) {
		return false
	}
	i, _ := state.Index(int(r.Off) + int(int64(r.Var.Value)))
	f := st.Frames[r.Frame]
	return i >= 0 && i < len(f.Stack) && f.Stack[i].Spilled.Iter == state.IterActive
}

// forgetPrecision makes all numbers of a state unimportant until something shows
// that they matter.
func forgetPrecision(st *state.State) {
	for _, f := range st.Frames {
		for i := range f.Regs {
			if r := &f.Regs[i]; r.Type == state.ScalarValue {
				r.Precise = false
			}
		}
		for i := range f.Stack {
			if sl := &f.Stack[i]; sl.IsSpilledScalar() {
				sl.Spilled.Precise = false
			}
		}
	}
}
