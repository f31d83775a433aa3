package verifier

import (
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// checkExit is BPF_EXIT, and a bpf_throw when exception is set.
func (e *env) checkExit(exception bool) error {
	what := "BPF_EXIT instruction in main prog"
	if exception {
		what = "bpf_throw"
	}
	if err := e.checkLeaks(exception, exception || len(e.cur.Frames) == 1, what); err != nil {
		return err
	}
	if exception {
		return errPathEnd
	}
	if len(e.cur.Frames) > 1 {
		return e.returnToCaller()
	}
	if err := e.checkReturnCode(0); err != nil {
		return err
	}
	return errPathEnd
}

// returnToCaller leaves a function, or a callback (prepare_func_exit).
func (e *env) returnToCaller() error {
	e.live.Update(e.cur)
	n := len(e.cur.Frames) - 1
	callee, caller := e.cur.Frames[n], e.cur.Frames[n-1]
	r0 := &callee.Regs[0]
	if r0.Type == state.PtrToStack {
		return e.reject(errno.EINVAL, "cannot return stack pointer to the caller")
	}
	if callee.InCallback {
		if r0.Type != state.ScalarValue {
			return e.reject(errno.EACCES, "R0 not a scalar value")
		}
		if err := e.markPrecise(0); err != nil {
			return err
		}
		if !within(r0, callee.CallbackRet) {
			return e.invalidReturn(0, callee.CallbackRet, "At callback return")
		}
		e.insn = callee.Callsite // which decides whether there is another round
	} else {
		caller.Regs[0] = *r0
		e.insn = callee.Callsite + 1
	}
	if e.log.enabled() {
		e.log.printf("returning from callee:\n%s\nto caller at %d:\n%s\n",
			e.cur.Text(n, state.All), e.insn, e.cur.Text(n-1, state.All))
	}
	e.cur.Frames[n] = nil
	e.cur.Frames = e.cur.Frames[:n]
	if callee.InCallback {
		if prev := e.prevEntry(e.insn); prev != nil {
			e.widen(prev, e.cur)
		}
	}
	return nil
}

// tailCallReturns is what a tail call out of a function does that succeeds: the other
// program returns to the caller. One that fails goes on, which is walked later.
func (e *env) tailCallReturns() error {
	if _, err := e.push(e.insn+1, e.insn); err != nil {
		return err
	}
	e.clearPacketPointers()
	e.reg(0).MarkUnknown()
	return e.returnToCaller()
}

// within reports whether a return value lies in its range.
func within(r *state.Reg, want state.RetRange) bool {
	if want.Exact32 {
		return r.S32Min >= want.Min && r.S32Max <= want.Max
	}
	return r.SMin >= int64(want.Min) && r.SMax <= int64(want.Max)
}

// invalidReturn says what a return value may be and is (verbose_invalid_scalar).
func (e *env) invalidReturn(regno uint8, want state.RetRange, when string) error {
	r := e.reg(regno)
	var b strings.Builder
	if r.SMin > -1<<63 {
		b.WriteString(" smin=")
		b.WriteString(decimal(r.SMin))
	}
	if r.SMax < 1<<63-1 {
		b.WriteString(" smax=")
		b.WriteString(decimal(r.SMax))
	}
	if b.Len() == 0 {
		b.WriteString(" unknown scalar value")
	}
	return e.reject(errno.EINVAL, "%s the register R%d has%s should have been in [%d, %d]", when, regno, b.String(), want.Min, want.Max)
}

// checkReturnCode checks what the program, or an async callback, returns in a register
// (check_return_code).
func (e *env) checkReturnCode(regno uint8) error {
	f := e.cur.Cur()
	if err := e.readReg(regno); err != nil {
		return err
	}
	r := e.reg(regno)
	when, want := "At program exit", state.RetRange{}
	switch {
	case f.InAsyncCallback:
		when, want = "At async callback return", f.CallbackRet
	case f.Subprog != 0 && !f.InExceptionCallback:
		if r.Type != state.ScalarValue {
			return e.reject(errno.EINVAL, "At subprogram exit the register R%d is not a scalar value (%s)", regno, r.Type)
		}
		return nil
	case e.prog.Type == ebpf.CGroupSKB:
		want = state.RetRange{Min: 0, Max: 1}
		if e.prog.AttachType == ebpf.AttachCGroupInetEgress {
			want.Max = 3
		}
	default:
		return nil
	}
	if r.Type != state.ScalarValue {
		return e.reject(errno.EINVAL, "%s the register R%d is not a known value (%s)", when, regno, r.Type)
	}
	if err := e.markPrecise(int(regno)); err != nil {
		return err
	}
	if !within(r, want) {
		return e.invalidReturn(regno, want, when)
	}
	return nil
}
