package verifier

import (
	"errors"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/disasm"
	"github.com/bpfct/bpfct/verifier/state"
)

// errPathEnd is what step returns when the path is at its end.
var errPathEnd = errors.New("end of path")

// push saves the state as it is now, to be walked from insn on later (push_stack).
func (e *env) push(insn, prevInsn int) (*state.State, error) {
	return e.pushOr(errno.EFAULT, insn, prevInsn)
}

// pushOr is push with the errno of a program that has too many paths, which is not
// the same for all.
func (e *env) pushOr(no errno.Errno, insn, prevInsn int) (*state.State, error) {
	st := e.cur.Clone()
	e.stack = append(e.stack, pending{st: st, insn: insn, prevInsn: prevInsn, logPos: e.log.pos()})
	if len(e.stack) > maxJumpSequence {
		return nil, e.reject(no, "The sequence of %d jumps is too complex.", len(e.stack))
	}
	if st.Parent != nil {
		st.Parent.Branches++
	}
	return st, nil
}

// pop makes the newest saved state the current one, and reports whether there was
// one (pop_stack).
func (e *env) pop() bool {
	n := len(e.stack)
	if n == 0 {
		return false
	}
	p := e.stack[n-1]
	e.stack[n-1] = pending{}
	e.stack = e.stack[:n-1]
	if !e.log.verbose() {
		e.log.reset(p.logPos)
	}
	e.cur, e.insn, e.prevInsn = p.st, p.insn, p.prevInsn
	e.live.Forget()
	return true
}

// endPath takes the path that ends here off the counts of the states that it came
// from (update_branch_counts).
func (e *env) endPath() error {
	for st := e.cur; st != nil; st = st.Parent {
		if st.Branches--; st.Branches > 0 {
			break
		}
		if err := e.leaveSCC(st); err != nil {
			return err
		}
		e.released(st)
	}
	e.live.Update(e.cur)
	return nil
}

// walk explores all paths from the current state on (do_check). e.insn is where it
// stands.
func (e *env) walk() error {
	e.fresh = false
	e.live.Forget()
	prev := -1
	for {
		e.prevInsn = prev
		err := e.look()
		if err == nil {
			prev = e.insn
			err = e.stepNoted()
		}
		switch {
		case err == nil:
			continue
		case !errors.Is(err, errPathEnd):
			return err
		}
		e.touched = state.All
		if err := e.endPath(); err != nil {
			return err
		}
		if !e.pop() {
			return nil
		}
		prev = e.prevInsn
		e.fresh = true
	}
}

// stepNoted does the instruction, and notes the stack slots that it reads and writes.
func (e *env) stepNoted() error {
	st := e.cur
	depth := len(st.Frames)
	e.live.Begin(e.insn)
	err := e.step()
	if err != nil && err != errPathEnd {
		return err
	}
	if len(st.Frames) != depth {
		e.live.Forget() // another function: the slots of the call are those of the whole
		return err
	}
	e.live.Commit(st)
	return err
}

// look prepares the instruction at e.insn: it counts, prunes and logs. The error is
// errPathEnd for a state that was seen before.
func (e *env) look() error {
	e.histOpen = false
	if e.insn < 0 || e.insn >= len(e.slots) || e.slots[e.insn].isSecond() {
		return e.reject(errno.EFAULT, "invalid insn idx %d insn_cnt %d", e.insn, len(e.slots))
	}
	if e.processed++; e.processed > e.prof.Limits.Processed {
		return e.reject(errno.E2BIG, "BPF program is too large. Processed %d insn", e.processed)
	}
	e.cur.LastInsn, e.cur.Insn = e.prevInsn, e.insn
	if e.seen != nil {
		e.record()
	}
	if e.graph.PrunePoint(e.insn) {
		seen, err := e.seenBefore()
		if err != nil {
			return err
		}
		if seen {
			if e.fresh {
				e.log.printf("\nfrom %d to %d: safe\n", e.prevInsn, e.insn)
			} else {
				e.log.printf("%d: safe\n", e.insn)
			}
			return errPathEnd
		}
	}
	if e.graph.JumpPoint(e.insn) {
		e.pushHistory(state.Jump{Insn: e.insn, Prev: e.prevInsn})
	}
	if e.log.enabled() {
		e.logInsn()
	} else {
		e.touched = state.Touched{}
	}
	e.aux[e.insn].seen = true
	return nil
}

// logInsn writes the state that the last instruction left, and the instruction.
func (e *env) logInsn() {
	if e.log.verbose() && e.fresh {
		e.log.printf("\nfrom %d to %d:%s\n", e.prevInsn, e.insn, e.cur.Text(len(e.cur.Frames)-1, state.All))
		e.fresh = false
	}
	if e.touched.Any() {
		e.logState()
	}
	s := &e.slots[e.insn]
	if line := e.newLine(e.insn); line != "" {
		e.log.printf("; %s\n", line)
	}
	start := e.log.pos()
	e.log.printf("%d: %s\n", e.insn, disasm.Text(s.Raw, s.imm64, e.callText(s)))
	e.log.insnEnd, e.log.column = e.log.pos(), e.log.pos()-start
}

// logState writes what the instruction changed: behind it where nothing was logged
// since, else on a line of its own (print_insn_state).
func (e *env) logState() {
	text := e.cur.Text(len(e.cur.Frames)-1, e.touched)
	if e.log.insnEnd > 0 && e.log.pos() == e.log.insnEnd {
		e.log.reset(e.log.pos() - 1)
		e.log.printf("%*c;%s\n", padding(e.log.column), ' ', text)
	} else {
		e.log.printf("%d:%s\n", e.insn, text)
	}
	e.touched = state.Touched{}
}

// pushHistory adds a step to the history that a backtrack follows. A step to the
// instruction that the last entry is for adds to that entry.
func (e *env) pushHistory(j state.Jump) {
	h := e.cur.History
	if n := len(h); n > 0 && h[n-1].Insn == j.Insn && e.histOpen {
		last := &h[n-1]
		if j.StackAccess {
			last.StackAccess, last.StackFrame, last.StackSlot = true, j.StackFrame, j.StackSlot
		}
		last.DstStack, last.SrcStack = last.DstStack || j.DstStack, last.SrcStack || j.SrcStack
		last.Linked = append(last.Linked, j.Linked...)
		return
	}
	e.cur.History = append(h, j)
	e.histOpen = true
}

// step does the instruction at e.insn and moves on, e.insn then being the next one.
func (e *env) step() error {
	s := &e.slots[e.insn]
	switch asm.Class(s.class()) {
	case asm.ALUClass, asm.ALU64Class:
		if err := e.checkALU(s); err != nil {
			return err
		}
	case asm.LdXClass:
		if err := e.checkLoad(s); err != nil {
			return err
		}
	case asm.StXClass:
		if err := e.checkStoreX(s); err != nil {
			return err
		}
	case asm.StClass:
		if err := e.checkStoreImm(s); err != nil {
			return err
		}
	case asm.LdClass:
		if s.Op == opLoadImm64 {
			if err := e.checkLoadImm(s); err != nil {
				return err
			}
			e.insn += 2
			return nil
		}
		return e.checkLoadAbs(s)
	case asm.JumpClass, asm.Jump32Class:
		e.jumps++
		return e.stepJump(s)
	}
	e.insn++
	return nil
}

// stepJump does an instruction of the jump classes, and moves on.
func (e *env) stepJump(s *slot) error {
	if name := reservedJump(s); name != "" {
		return e.reject(errno.EINVAL, "%s uses reserved fields", name)
	}
	switch s.Op {
	case opCall:
		return e.stepCall(s)
	case opJump, opJumpLong:
		e.insn = s.target
		return nil
	case opExit:
		err := e.checkExit(false)
		e.fresh = e.fresh || err == nil
		return err
	}
	return e.checkCondJump(s)
}

// stepCall does a call, and moves on.
func (e *env) stepCall(s *slot) error {
	if e.cur.ActiveLocks > 0 && !e.allowedUnderLock(s) {
		return e.reject(errno.EINVAL, "function calls are not allowed while holding a lock")
	}
	switch {
	case s.isPseudoCall():
		return e.checkFuncCall(s)
	case s.isKfuncCall():
		if err := e.checkKfuncCall(s); err != nil {
			return err
		}
	default:
		if err := e.checkHelperCall(s); err != nil {
			return err
		}
	}
	return nil
}
