package verifier

import "github.com/bpfct/bpfct/verifier/state"

// walkMain walks the program from its first instruction on (do_check_main).
func (e *env) walkMain() error { return e.walkFunc(0) }

// walkGlobals walks the global functions that are called, each on its own, with any
// arguments that their prototypes allow (do_check_subprogs). A function that is
// called from one of these only is not known to be called before.
func (e *env) walkGlobals() error {
	if len(e.prog.Subprogs) == 0 || e.prog.Subprogs[0].Func == nil {
		return nil
	}
	if i := e.exceptionSubprog(); i > 0 {
		e.subprogs[i].called = true
	}
	for more := true; more; {
		more = false
		for i := 1; i < len(e.subprogs); i++ {
			sub := &e.subprogs[i]
			if !sub.global || !sub.called || sub.verified {
				continue
			}
			if err := e.walkFunc(i); err != nil {
				return err
			}
			e.log.printf("Func#%d ('%s') is safe for any args that match its prototype\n", i, sub.Name)
			sub.verified, more = true, true
		}
	}
	return nil
}

// exceptionSubprog is the function that bpf_throw ends in, 0 for none.
func (e *env) exceptionSubprog() int {
	for i := range e.subprogs {
		if e.subprogs[i].isException {
			return i
		}
	}
	return 0
}

// walkFunc walks the program (0) or a global function (do_check_common).
func (e *env) walkFunc(n int) error {
	sub := &e.subprogs[n]
	e.lastLine = nil
	e.forgetStates()
	f := newFrame(state.MainFunc, 0, n)
	e.cur = &state.State{
		Frames: []*state.Frame{f}, Branches: 1, InSleepable: e.sleepable(),
		FirstInsn: sub.Start, LastInsn: -1,
	}
	e.insn = sub.Start
	e.touched = state.All
	if n == 0 {
		e.describeMain()
		f.Regs[1].MarkPointer(state.PtrToCtx)
	} else {
		e.log.printf("Validating %s() func#%d...\n", sub.Name, n)
		if err := e.prepareArgs(n); err != nil {
			return err
		}
		e.setArgs(n, f)
	}
	if err := e.walk(); err != nil {
		return err
	}
	if !e.log.verbose() {
		e.log.reset(0) // what is left at level 1 is that of a refusal
	}
	return nil
}

// describeMain says what is odd about the program's own prototype, which is no reason
// to refuse it.
func (e *env) describeMain() {
	lines, pos := len(e.log.lines), e.log.pos()
	if e.prepareArgs(0) != nil {
		e.log.lines = e.log.lines[:lines]
		if !e.log.enabled() {
			e.log.reset(pos)
		}
	}
}

// sleepable reports whether the program may sleep.
func (e *env) sleepable() bool { return e.prog.Flags&sleepableFlag != 0 }

// sleepableFlag is BPF_F_SLEEPABLE.
const sleepableFlag = 1 << 4
