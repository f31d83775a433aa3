package verifier

import (
	"strconv"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// checkFuncCall is a call of a function of the program (check_func_call).
func (e *env) checkFuncCall(s *slot) error {
	n := e.subprogAt(s.target)
	if n < 0 {
		return e.reject(errno.EFAULT, "verifier bug. No program starts at insn %d", s.target)
	}
	caller := e.cur.Cur()
	if e.subprogs[n].global {
		return e.callGlobal(n)
	}
	if sub := &e.subprogs[n]; sub.Func != nil && !sub.unreliable {
		// The compiler may have changed what a static function takes.
		err := e.log.aside(func() error { return e.checkGlobalArgs(n) })
		sub.unreliable = err != nil
	}
	callee, err := e.enter(e.cur, n, e.insn)
	if err != nil {
		return err
	}
	for i := 1; i <= 5; i++ {
		callee.Regs[i] = caller.Regs[i]
	}
	for i := range 6 {
		caller.Regs[i].MarkNotInit()
	}
	e.insn = e.subprogs[n].Start
	if e.log.enabled() {
		last := len(e.cur.Frames) - 1
		e.log.printf("caller:\n%s\ncallee:\n%s\n", e.cur.Text(last-1, state.All), e.cur.Text(last, state.All))
	}
	e.touched = state.All
	return nil
}

// enter adds the frame of a function that is called from site (setup_func_entry).
func (e *env) enter(st *state.State, n, site int) (*state.Frame, error) {
	if len(st.Frames) >= state.MaxFrames {
		return nil, e.reject(errno.E2BIG, "the call stack of %d frames is too deep", len(st.Frames)+1)
	}
	f := newFrame(site, len(st.Frames), n)
	st.Frames = append(st.Frames, f)
	return f, nil
}

// newFrame is a function's frame with nothing but a frame pointer.
func newFrame(site, no, subprog int) *state.Frame {
	f := &state.Frame{Callsite: site, No: int32(no), Subprog: subprog}
	for i := range f.Regs {
		f.Regs[i].MarkNotInit()
	}
	f.Regs[10].MarkPointer(state.PtrToStack)
	f.Regs[10].Frame = int32(no)
	return f
}

// callGlobal is a call of a function that is verified on its own: only its prototype
// counts.
func (e *env) callGlobal(n int) error {
	sub := &e.subprogs[n]
	if e.cur.ActiveLocks > 0 {
		err := e.reject(errno.EINVAL, "global function calls are not allowed while holding a lock,")
		return e.explainMore(err, "use static function instead")
	}
	if sub.mightSleep && (e.cur.PreemptLocks > 0 || e.cur.IRQ != 0 || e.cur.RCULocks > 0 || !e.cur.InSleepable) {
		err := e.reject(errno.EINVAL, "global functions that may sleep are not allowed in non-sleepable context,")
		err = e.explainMore(err, "i.e., in a RCU/IRQ/preempt-disabled section, or in")
		return e.explainMore(err, "a non-sleepable BPF program context")
	}
	if err := e.checkGlobalArgs(n); err != nil {
		return e.explainMore(err, "Caller passes invalid args into func#%d ('%s')", n, sub.Name)
	}
	e.log.printf("Func#%d ('%s') is global and assumed valid.\n", n, sub.Name)
	if sub.changesPkt {
		e.clearPacketPointers()
	}
	sub.called = true
	e.clobber()
	e.reg(0).MarkUnknown()
	e.touched.Reg(0)
	e.insn++
	return nil
}
