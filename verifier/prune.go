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

// seenBefore reports whether a state kept at this instruction covers the current
// one. Otherwise it may keep the current one (is_state_visited).
func (e *env) seenBefore() (bool, error) {
	at, cur := e.insn, e.cur
	force := e.graph.ForceCheckpoint(at) || len(cur.History) > longHistory
	keep := force || e.jumps-e.prevJumps >= keepJumps && e.processed-e.prevInsns >= keepInsns

	list := e.explored[at]
	for i := 0; i < len(list); i++ {
		old := list[i]
		if old.st.Branches > 0 {
			hit, err := e.converges(old, &keep, force)
			if err != nil {
				return false, err
			}
			if hit {
				return true, e.hit(old)
			}
		} else {
			how := state.NotExact
			loop := topLoop(old.st)
			if loop != nil && loop.Branches > 0 {
				how = state.RangeWithin
			}
			if e.equal(old.st, cur, how) {
				if how == state.RangeWithin {
					e.joinLoop(loop)
				}
				return true, e.hit(old)
			}
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
			list = slices.Delete(list, i, i+1)
			e.explored[at] = list
			e.liveStates--
			i--
		}
	}
	if !keep {
		return false, nil
	}
	return false, e.keep()
}

// hit notes that old covers the current state: what mattered in old's walk matters
// on the way here.
func (e *env) hit(old *explored) error {
	old.hits++
	if e.graph.JumpPoint(e.insn) {
		e.pushHistory(state.Jump{Insn: e.insn, Prev: e.prevInsn})
		e.histOpen = false
	}
	return e.propagatePrecision(old.st)
}

// converges compares the current state with one on its own path: a loop came round.
func (e *env) converges(old *explored, keep *bool, force bool) (bool, error) {
	at, cur := e.insn, e.cur
	fo, fc := old.st.Cur(), cur.Cur()
	sameEntry := !fo.InAsyncCallback || len(old.st.Frames) != len(cur.Frames) || fo.AsyncEntries == fc.AsyncEntries
	switch {
	case !sameEntry:
		// Another run of the callback, not another round of a loop.
	case e.graph.IterNext(at):
		if e.equal(old.st, cur, state.RangeWithin) && e.iterActive(cur) {
			e.joinLoop(old.st)
			return true, nil
		}
	case e.graph.MayGoto(at):
		if old.st.MayGoto != cur.MayGoto && e.equal(old.st, cur, state.RangeWithin) {
			e.joinLoop(old.st)
			return true, nil
		}
	case e.graph.CallsCallback(at):
		if e.equal(old.st, cur, state.RangeWithin) {
			e.joinLoop(old.st)
			return true, nil
		}
	default:
		if e.equal(old.st, cur, state.Exact) && !iterDepthsDiffer(old.st, cur) &&
			old.st.MayGoto == cur.MayGoto && old.st.CallbackUnroll == cur.CallbackUnroll {
			if line := e.newLine(at); line != "" {
				e.log.printf("; %s\n", line)
			}
			err := e.reject(errno.EINVAL, "infinite loop detected at insn %d", at)
			e.log.printf("cur state:%s\n", cur.Text(len(cur.Frames)-1, state.All))
			e.log.printf("old state:%s\n", old.st.Text(len(old.st.Frames)-1, state.All))
			return false, err
		}
		// Rounds of a loop are kept seldom: each differs from the last one.
		if !force && e.jumps-e.prevJumps < keepLoopJumps && e.processed-e.prevInsns < keepLoopInsns {
			*keep = false
		}
		return false, nil
	}
	if !force && e.jumps-e.prevJumps < keepLoopJumps && e.processed-e.prevInsns < keepLoopInsns {
		*keep = false
	}
	return false, nil
}

// equal compares with fresh IDs, looking only at what later instructions read.
func (e *env) equal(old, cur *state.State, how state.Exactness) bool {
	return state.Equal(old, cur, how, state.NewIDs(e.nextID), state.Liveness{Regs: e.graph.LiveRegs, Slot: e.graph.SlotLive})
}

// keep remembers the current state, which becomes the parent of what follows.
func (e *env) keep() error {
	e.states++
	e.liveStates++
	e.peakStates = max(e.peakStates, e.liveStates)
	e.prevJumps, e.prevInsns = e.jumps, e.processed
	forgetPrecision(e.cur)
	kept := e.cur.Clone()
	kept.Insn = e.insn
	e.stateBytes += sizeOf(kept)
	if e.stateBytes > e.opts.MaxStateBytes {
		return fmt.Errorf("program %s: the states of the verification need more than %d bytes at instruction %d, after %d processed: %w",
			e.prog.Name, e.opts.MaxStateBytes, e.insn, e.processed, errno.ENOMEM)
	}
	e.explored[e.insn] = slices.Insert(e.explored[e.insn], 0, &explored{st: kept})
	e.cur.Parent = kept
	e.cur.FirstInsn = e.insn
	e.cur.History = nil
	return nil
}

// sizeOf is the memory of a state.
func sizeOf(st *state.State) int64 {
	n := int64(unsafe.Sizeof(*st))
	for _, f := range st.Frames {
		n += int64(unsafe.Sizeof(*f)) + int64(len(f.Stack))*int64(unsafe.Sizeof(state.Slot{}))
	}
	return n + int64(len(st.History))*int64(unsafe.Sizeof(state.Jump{}))
}

// topLoop is the entry of the outermost loop that st is part of, nil for none.
func topLoop(st *state.State) *state.State {
	top := st.Loop
	for top != nil && top.Loop != nil {
		top = top.Loop
	}
	return top
}

// joinLoop notes that the states from the loop's entry to the current one form a
// loop: what is known of them is not complete before the entry's walk is.
func (e *env) joinLoop(entry *state.State) {
	if top := topLoop(entry); top != nil && top.Branches > 0 {
		entry = top
	}
	for st := e.cur.Parent; st != nil && st != entry; st = st.Parent {
		if topLoop(st) != entry {
			st.Loop = entry
		}
	}
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
	st.EachReg(func(_ *state.Frame, r *state.Reg, _ *state.Slot) {
		if r.Type == state.ScalarValue {
			r.Precise = false
		}
	})
}
