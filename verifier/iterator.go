package verifier

import (
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/verifier/state"
)

// iterRef says where the iterator is that a call steps.
type iterRef struct {
	frame int32
	slot  int
}

// slotOf is the iterator's slot in a state.
func (i iterRef) slotOf(st *state.State) *state.Reg { return &st.Frames[i.frame].Stack[i.slot].Spilled }

// iterArg is the iterator that a kfunc is passed (process_iter_arg).
func (e *env) iterArg(c *kcall, i int, r *state.Reg) error {
	regno := uint8(i + 1)
	if c.name == "bpf_iter_css_task_new" && e.prog.Type != ebpf.LSM && !e.cur.InSleepable {
		// It takes a lock that interrupts take, too.
		return e.reject(errno.EINVAL, "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs")
	}
	if r.Type != state.PtrToStack {
		return e.reject(errno.EINVAL, "arg#%d expected pointer to an iterator on stack", i)
	}
	t := c.params[i].target
	_, size, _, ok := membersOf(t)
	if !ok {
		return e.reject(errno.EINVAL, "expected valid iter pointer as arg #%d", i)
	}
	n := int(size) / state.RegSize
	name := strings.TrimPrefix(t.TypeName(), "bpf_iter_")
	if c.proto.Flags.Has(kernel.IterNew) {
		return e.makeIter(c, regno, r, t, name, n)
	}
	text := "expected an initialized iter_" + name + " as arg #%d"
	slot, inside, err := e.stackObject(r, "iter", n)
	if err != nil {
		return e.explainMore(err, text, i)
	}
	f := e.frameOf(r)
	if !inside {
		return e.reject(errno.EINVAL, text, i)
	}
	for k := range n {
		sl := &f.Stack[slot-k]
		if sl.Spilled.Type.Has(state.Untrusted) {
			return e.reject(errno.EPROTO, "expected an RCU CS when using %s", c.name)
		}
		if (k == 0) != (sl.Spilled.RefObjID != 0) || sl.Spilled.BTF != t || !wholly(sl, state.SlotIter) {
			return e.reject(errno.EINVAL, text, i)
		}
	}
	for k := range n {
		e.readsObject(f, slot-k)
	}
	c.iter = iterRef{frame: r.Frame, slot: slot}
	c.refObj = f.Stack[slot].Spilled.RefObjID
	if !c.proto.Flags.Has(kernel.IterDestroy) {
		return nil
	}
	e.releaseRef(c.refObj)
	for k := range n {
		clearSlot(&f.Stack[slot-k])
		e.writesSlot(f, slot-k)
		e.touchSlot(f, slot-k)
	}
	return nil
}

// makeIter has a constructor make an iterator of n slots.
func (e *env) makeIter(c *kcall, regno uint8, r *state.Reg, t btf.Type, name string, n int) error {
	text := "expected uninitialized iter_" + name + " as arg #%d"
	slot, inside, err := e.stackObject(r, "iter", n)
	if err != nil {
		return e.explainMore(err, text, regno-1)
	}
	f := e.frameOf(r)
	if inside {
		for k := range n {
			if hasByte(&f.Stack[slot-k], state.SlotIter) {
				return e.reject(errno.EINVAL, text, regno-1)
			}
		}
	}
	for off := 0; off < n*state.RegSize; off += state.RegSize {
		if err := e.accessMem(memOp{regno: regno, off: off, size: state.RegSize, how: write, value: noRegister}); err != nil {
			return err
		}
	}
	id := e.acquire()
	for k := range n {
		sl := &f.Stack[slot-k]
		it := &sl.Spilled
		it.MarkPointer(state.PtrToStack)
		if c.proto.Flags.Has(kernel.RCUProtected) {
			if e.inRCU() {
				it.Type |= state.RCU
			} else {
				it.Type |= state.Untrusted
			}
		}
		if k == 0 {
			it.RefObjID = id
		}
		it.BTF, it.Iter = t, state.IterActive
		sl.Fill(state.SlotIter)
		e.writesSlot(f, slot-k)
		e.touchSlot(f, slot-k)
	}
	return nil
}

// iterNext is what the step of an iterator does: there is one more element, and the
// loop goes on, which is walked later; or there is none, which the result says
// (process_iter_next_call).
func (e *env) iterNext(c *kcall) error {
	it := c.iter.slotOf(e.cur)
	if it.Iter == state.IterActive {
		more, err := e.pushOr(errno.ENOMEM, e.insn+1, e.insn)
		if err != nil {
			return err
		}
		next := c.iter.slotOf(more)
		next.Iter = state.IterActive
		next.IterDepth++
		if prev := e.roundBefore(e.insn); prev != nil {
			e.widen(prev, more)
		}
		markNotNull(&more.Regs()[0])
	}
	it.Iter = state.IterDrained
	r := e.reg(0)
	def := r.SubregDef
	r.MarkConst(0)
	r.SubregDef = def
	return nil
}

// roundBefore is the state kept in the last round of a loop, not that of this one.
func (e *env) roundBefore(insn int) *state.State {
	for _, x := range slices.Backward(e.kept(insn)) {
		if x.st != e.cur.Parent && x.st.Branches > 0 && x.st.Insn == insn && sameCalls(x.st, e.cur) {
			return x.st
		}
	}
	return nil
}
