package verifier

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/cfg"
	"github.com/bpfct/bpfct/verifier/state"
)

// frameAlign is what a compiled function's stack is a multiple of.
const frameAlign = 16

// noteStackDepth notes that a function uses n bytes of its stack.
func (e *env) noteStackDepth(f *state.Frame, n int) {
	n = (n + state.RegSize - 1) / state.RegSize * state.RegSize
	sub := &e.subprogs[f.Subprog]
	sub.stackDepth = max(sub.stackDepth, n)
}

// checkStackDepth bounds the stack of all chains of calls, from the program and from
// each async callback, which runs on a stack of its own (check_max_stack_depth).
func (e *env) checkStackDepth() error {
	for i := len(e.subprogs) - 1; i >= 0; i-- {
		if i != 0 && !e.subprogs[i].isAsync {
			continue
		}
		if err := e.checkChains(i); err != nil {
			return err
		}
	}
	return nil
}

// level is a function on the chain of calls.
type level struct {
	sub, at int
}

// checkChains follows all calls from a function on.
func (e *env) checkChains(root int) error {
	depth := 0
	var chain []level
	enter := func(sub int) error {
		s := &e.subprogs[sub]
		if sub != 0 && s.hasTailCall && depth >= e.prof.Limits.TailCallStack {
			return e.reject(errno.EACCES, "tail_calls are not allowed when call stack of previous frames is %d bytes. Too large", depth)
		}
		depth += e.frameSize(sub)
		chain = append(chain, level{sub, s.Start})
		if depth > maxStack {
			return e.reject(errno.EACCES, "combined stack size of %d calls is %d. Too large", len(chain), depth)
		}
		return nil
	}
	if err := enter(root); err != nil {
		return err
	}
	tailCalls := false
	for {
		top := &chain[len(chain)-1]
		callee, err := e.nextCallee(chain)
		if err != nil {
			return err
		}
		if callee >= 0 {
			tailCalls = tailCalls || e.subprogs[callee].hasTailCall
			if len(chain) >= state.MaxFrames {
				return e.reject(errno.E2BIG, "the call stack of %d frames is too deep !", len(chain))
			}
			if err := enter(callee); err != nil {
				return err
			}
			continue
		}
		if tailCalls {
			for _, l := range chain[:len(chain)-1] {
				if e.subprogs[l.sub].isException {
					return e.reject(errno.EINVAL, "cannot tail call within exception cb")
				}
			}
		}
		if len(chain) == 1 {
			return nil
		}
		depth -= e.frameSize(top.sub)
		chain = chain[:len(chain)-1]
	}
}

// nextCallee moves the innermost function to after its next call, and returns what is
// called, -1 at the function's end.
func (e *env) nextCallee(chain []level) (int, error) {
	top := &chain[len(chain)-1]
	end := e.subprogs[top.sub].End
	for top.at < end {
		s := &e.slots[top.at]
		at := top.at
		top.at++
		if s.isKfuncCall() && s.insn.Call != nil && throws(s) {
			for _, l := range chain {
				if e.subprogs[l.sub].isCallback {
					return -1, e.reject(errno.EINVAL, "bpf_throw kfunc (insn %d) cannot be called from callback subprog %d", at, top.sub)
				}
			}
			continue
		}
		if !s.isPseudoCall() && !s.isFuncAddr() {
			continue
		}
		callee := cfg.Find(e.subs, at+int(s.Imm)+1)
		sub := &e.subprogs[callee]
		if sub.isAsync || sub.isException {
			// It runs on a stack of its own unless it is called directly.
			if !s.isPseudoCall() {
				continue
			}
			if sub.isException {
				err := e.reject(errno.EINVAL, "insn %d cannot call exception cb directly", at)
				e.log.unended()
				return -1, err
			}
		}
		return callee, nil
	}
	return -1, nil
}

// frameSize is the stack that a function takes.
func (e *env) frameSize(sub int) int {
	return (e.subprogs[sub].stackDepth + frameAlign - 1) / frameAlign * frameAlign
}

// What the kernel adds to the stack of a function when it compiles it: room for the
// counters of may_goto, and for the registers of a loop that a bpf_loop became.
const (
	mayGotoStack = 16
	loopStack    = 24
)

// finalDepths are the stack depths of the functions as they are compiled: without
// those that are never reached, and with one more where the kernel adds a function
// for exceptions to end in.
func (e *env) finalDepths() []int {
	var out []int
	throwing := false
	for i := range e.subprogs {
		s := &e.subprogs[i]
		seen, mayGotos, loops := false, false, false
		for at := s.Start; at < s.End; at++ {
			if !e.aux[at].seen {
				continue
			}
			in := &e.slots[at]
			seen = true
			mayGotos = mayGotos || in.Op == opMayGoto && in.Off != 0
			loops = loops || e.aux[at].loopInlined
			throwing = throwing || in.isKfuncCall() && throws(in)
		}
		if !seen {
			continue
		}
		depth := s.stackDepth
		if loops {
			depth += loopStack
		}
		if mayGotos {
			depth += mayGotoStack
		}
		out = append(out, depth)
	}
	if throwing && e.exceptionAt == 0 {
		out = append(out, 0)
	}
	return out
}

// throws reports whether a call of a kfunc is that of bpf_throw, which no caller
// survives.
func throws(s *slot) bool { return s.insn.Call.Name == "bpf_throw" }
