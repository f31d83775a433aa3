package verifier

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// callbackSetter gives the arguments of a call to the function that is called back.
type callbackSetter func(e *env, caller, callee *state.Frame) error

// pushCallback has the function that a call was passed walked, as if it were called
// now (push_callback_call). The call itself goes on: it may call back any number of
// times, so that it is come back to after each.
func (e *env) pushCallback(subprog int, set callbackSetter) error {
	sub := &e.subprogs[subprog]
	sub.isCallback = true
	st, err := e.push(sub.Start, e.insn)
	if err != nil {
		return err
	}
	caller := st.Cur()
	callee, err := e.enter(st, subprog, e.insn)
	if err != nil {
		return err
	}
	if err := set(e, caller, callee); err != nil {
		return err
	}
	e.touched = state.All
	st.CallbackUnroll++
	caller.CallbackDepth++
	e.cur.Cur().CallbackDepth = 0
	return nil
}

// pushAsync has a function walked that runs some time later, with nothing that the
// program holds now (push_async_cb).
func (e *env) pushAsync(subprog int, sleepable bool, set callbackSetter) error {
	sub := &e.subprogs[subprog]
	sub.isCallback, sub.isAsync = true, true
	caller := e.cur.Cur()
	st := &state.State{Branches: 1, InSleepable: sleepable}
	callee := newFrame(state.MainFunc, 0, subprog)
	callee.AsyncEntries = caller.AsyncEntries + 1
	st.Frames = []*state.Frame{callee}
	if err := set(e, caller, callee); err != nil {
		return err
	}
	e.touched = state.All
	e.stack = append(e.stack, pending{st: st, insn: sub.Start, prevInsn: e.insn, logPos: e.log.pos()})
	if len(e.stack) > maxJumpSequence {
		return e.reject(errno.EFAULT, "The sequence of %d jumps is too complex for async cb.", len(e.stack))
	}
	return nil
}

// copyTo moves an argument of the caller to one of the callee.
func copyTo(callee *state.Frame, to int, r *state.Reg) {
	frame := callee.Regs[to].Frame
	callee.Regs[to] = *r
	if r.Type != state.PtrToStack {
		callee.Regs[to].Frame = frame
	}
}

// mapArgs gives a callback the map, a key and a value.
func mapArgs(callee *state.Frame, m *state.Map, uid uint32) {
	for i, t := range map[int]state.Type{1: state.ConstPtrToMap, 2: state.PtrToMapKey, 3: state.PtrToMapValue} {
		callee.Regs[i].MarkPointer(t)
		callee.Regs[i].Map, callee.Regs[i].MapUID = m, uid
	}
}

// setMapElemCallback is for callback(map, key, value, ctx) of
// bpf_for_each_map_elem(map, callback, ctx, flags).
func setMapElemCallback(e *env, caller, callee *state.Frame) error {
	m := caller.Regs[1].Map
	if m == nil {
		return e.reject(errno.EINVAL, "callback function not allowed for map")
	}
	mapArgs(callee, m, caller.Regs[1].MapUID)
	copyTo(callee, 4, &caller.Regs[3])
	callee.InCallback = true
	callee.CallbackRet = state.RetRange{Min: 0, Max: 1}
	return nil
}

// setLoopCallback is for callback(index, ctx) of bpf_loop(n, callback, ctx, flags).
func setLoopCallback(_ *env, caller, callee *state.Frame) error {
	callee.Regs[1].MarkUnknown()
	copyTo(callee, 2, &caller.Regs[3])
	callee.InCallback = true
	callee.CallbackRet = state.RetRange{Min: 0, Max: 1}
	return nil
}

// setTimerCallback is for callback(map, key, value) of bpf_timer_set_callback(timer,
// callback).
func setTimerCallback(_ *env, caller, callee *state.Frame) error {
	mapArgs(callee, caller.Regs[1].Map, caller.Regs[1].MapUID)
	callee.InAsyncCallback = true
	callee.CallbackRet = state.RetRange{}
	return nil
}

// noteInlining finds out whether a bpf_loop can be compiled as a loop: its flags must
// be 0, which then matters, and the function must be the same on all paths
// (update_loop_inline_state).
func (e *env) noteInlining(subprog int) error {
	a := &e.aux[e.insn]
	if a.loopSeen && !a.loopInlined {
		return nil
	}
	flags := e.reg(4).IsNull()
	if flags {
		if err := e.markPrecise(4); err != nil {
			return err
		}
	}
	if !a.loopSeen {
		a.loopSeen, a.loopInlined, a.loopSubprog = true, flags, subprog
		return nil
	}
	a.loopInlined = flags && a.loopSubprog == subprog
	return nil
}
