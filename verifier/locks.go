package verifier

import (
	"slices"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// lockOp is what a call does to a lock.
type lockOp struct {
	take bool
	kind state.RefKind // RefLock, RefResLock, RefResLockIRQ
}

// allLocks are the kinds of lock.
var allLocks = []state.RefKind{state.RefLock, state.RefResLock, state.RefResLockIRQ}

// allowedUnderLock reports whether a call may be made while a lock is held: that of
// bpf_spin_unlock, and of kfuncs that need the lock or take no time.
func (e *env) allowedUnderLock(s *slot) bool {
	if s.isHelperCall() {
		return s.name() == "bpf_spin_unlock"
	}
	if !s.isKfuncCall() {
		return true // functions of the program are looked at themselves
	}
	switch s.name() {
	case "bpf_list_push_front_impl", "bpf_list_push_back_impl", "bpf_list_pop_front", "bpf_list_pop_back",
		"bpf_list_front", "bpf_list_back", "bpf_rbtree_add_impl", "bpf_rbtree_remove", "bpf_rbtree_first",
		"bpf_rbtree_root", "bpf_rbtree_left", "bpf_rbtree_right", "bpf_refcount_acquire_impl",
		"bpf_iter_num_new", "bpf_iter_num_next", "bpf_iter_num_destroy",
		"bpf_res_spin_lock", "bpf_res_spin_unlock", "bpf_res_spin_lock_irqsave", "bpf_res_spin_unlock_irqrestore":
		return true
	}
	return false
}

// processLock is the argument of bpf_spin_lock and bpf_spin_unlock.
func (e *env) processLock(c *call, regno uint8, r *state.Reg) error {
	if e.inTreeCallback() {
		return e.reject(errno.EACCES, "can't spin_{lock,unlock} in rbtree cb")
	}
	return e.lock(lockOp{take: c.name == "bpf_spin_lock", kind: state.RefLock}, regno, r)
}

// allocation identifies what a lock lies in: a map, or the program's objects, which
// are told apart by the register's ID.
func (e *env) allocation(r *state.Reg) any {
	if r.Type.Base() == state.PtrToMapValue {
		return r.Map
	}
	return e.prog.Types
}

// lock takes or leaves a lock (process_spin_lock).
func (e *env) lock(op lockOp, regno uint8, r *state.Reg) error {
	name, field := "bpf_spin", record.SpinLock
	if op.kind != state.RefLock {
		name, field = "bpf_res_spin", record.ResSpinLock
	}
	if !r.Var.IsConst() {
		return e.reject(errno.EINVAL, "R%d doesn't have constant offset. %s_lock has to be at the constant offset", regno, name)
	}
	what, of := "local", "kptr"
	if r.Type.Base() == state.PtrToMapValue {
		what, of = "map", r.Map.Name
		if !hasBTF(r.Map) {
			return e.reject(errno.EINVAL, "map '%s' has to have BTF in order to use %s_lock", of, name)
		}
	}
	f := findField(e.fieldsOf(r), field)
	if f == nil {
		return e.reject(errno.EINVAL, "%s '%s' has no valid %s_lock", what, of, name)
	}
	if off := int64(r.Var.Value) + int64(r.Off); off != int64(f.Offset) {
		return e.reject(errno.EINVAL, "off %d doesn't point to 'struct %s_lock' that is at %d", off, name, f.Offset)
	}
	ptr := e.allocation(r)
	if op.take {
		if op.kind != state.RefLock && e.heldLock(r.ID, ptr, state.RefResLock, state.RefResLockIRQ) {
			return e.reject(errno.EINVAL, "Acquiring the same lock again, AA deadlock detected")
		}
		e.cur.Refs = append(e.cur.Refs, state.Ref{Kind: op.kind, ID: r.ID, Insn: e.insn, Ptr: ptr})
		e.cur.ActiveLocks++
		e.cur.LockID, e.cur.LockPtr = r.ID, ptr
		return nil
	}
	switch {
	case e.cur.ActiveLocks == 0:
		return e.reject(errno.EINVAL, "%s_unlock without taking a lock", name)
	case !e.heldLock(r.ID, ptr, op.kind):
		return e.reject(errno.EINVAL, "%s_unlock of different lock", name)
	case r.ID != e.cur.LockID || ptr != e.cur.LockPtr:
		return e.reject(errno.EINVAL, "%s_unlock cannot be out of order", name)
	}
	e.unlock(op.kind, r.ID, ptr)
	e.dropNonOwning()
	return nil
}

// heldLock reports whether a lock of one of the kinds is held.
func (e *env) heldLock(id uint32, ptr any, kinds ...state.RefKind) bool {
	return slices.ContainsFunc(e.cur.Refs, func(r state.Ref) bool {
		return slices.Contains(kinds, r.Kind) && r.ID == id && r.Ptr == ptr
	})
}

// unlock forgets the newest such lock; the one before it is then the one to leave
// next (release_lock_state).
func (e *env) unlock(kind state.RefKind, id uint32, ptr any) {
	var prev state.Ref
	for i, r := range e.cur.Refs {
		if r.Kind == kind && r.ID == id && r.Ptr == ptr {
			e.cur.Refs = slices.Delete(e.cur.Refs, i, i+1)
			e.cur.ActiveLocks--
			e.cur.LockID, e.cur.LockPtr = prev.ID, prev.Ptr
			return
		}
		if slices.Contains(allLocks, r.Kind) {
			prev = r
		}
	}
}

// dropNonOwning makes references to what lists and trees own numbers: who holds no
// lock cannot know whether it is still there (invalidate_non_owning_refs).
func (e *env) dropNonOwning() {
	e.cur.EachReg(func(_ *state.Frame, r *state.Reg, _ *state.Slot) {
		if r.Type.Base() == state.PtrToBTFID && r.Type.Has(state.Alloc|state.NonOwnRef) {
			r.MarkUnknown()
		}
	})
}

// inTreeCallback reports whether the function that runs compares nodes for
// bpf_rbtree_add, which holds the tree's lock (in_rbtree_lock_required_cb).
func (e *env) inTreeCallback() bool {
	f := e.cur.Cur()
	return len(e.cur.Frames) > 1 && f.InCallback && e.slots[f.Callsite].name() == "bpf_rbtree_add_impl"
}

// fieldsOf are the special fields of what a register points to (reg_btf_record).
func (e *env) fieldsOf(r *state.Reg) []record.Field {
	switch r.Type.Base() {
	case state.PtrToMapValue:
		if r.Map.Record == nil {
			return nil
		}
		return r.Map.Record.Fields
	case state.PtrToBTFID:
		if r.Type.Has(state.Alloc) {
			return e.recordOf(r.BTF)
		}
	}
	return nil
}

// findField is the first field of a kind, nil for none.
func findField(fields []record.Field, kind record.Kind) *record.Field {
	for i := range fields {
		if fields[i].Kind == kind {
			return &fields[i]
		}
	}
	return nil
}

// fieldAt is the field of a kind that starts at an offset, nil for none.
func fieldAt(fields []record.Field, off uint32, kind record.Kind) *record.Field {
	for i := range fields {
		if fields[i].Kind == kind && fields[i].Offset == off {
			return &fields[i]
		}
	}
	return nil
}

// section opens or closes what a kfunc without arguments opens or closes: an RCU
// read-side section, or one that is not preempted.
func (e *env) section(c *kcall) error {
	st := e.cur
	sleeps := c.mightSleep()
	rcuLock, rcuUnlock := c.name == "bpf_rcu_read_lock", c.name == "bpf_rcu_read_unlock"
	switch inside := st.RCULocks > 0; {
	case inside && (rcuLock || rcuUnlock) && e.inTreeCallback():
		return e.reject(errno.EACCES, "Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback")
	case inside && rcuLock:
		return e.reject(errno.EINVAL, "nested rcu read lock (kernel function %s)", c.name)
	case rcuLock:
		st.RCULocks++
	case !inside && rcuUnlock:
		return e.reject(errno.EINVAL, "unmatched rcu read unlock (kernel function %s)", c.name)
	case rcuUnlock:
		st.RCULocks--
		e.leaveRCU()
	case inside && sleeps:
		return e.reject(errno.EACCES, "kernel func %s is sleepable within rcu_read_lock region", c.name)
	}
	switch {
	case c.name == "bpf_preempt_disable":
		st.PreemptLocks++
	case c.name == "bpf_preempt_enable":
		if st.PreemptLocks == 0 {
			return e.reject(errno.EINVAL, "unmatched attempt to enable preemption (kernel function %s)", c.name)
		}
		st.PreemptLocks--
	case sleeps && st.PreemptLocks > 0:
		return e.reject(errno.EACCES, "kernel func %s is sleepable within non-preemptible region", c.name)
	}
	if sleeps && st.IRQ != 0 {
		return e.reject(errno.EACCES, "kernel func %s is sleepable within IRQ-disabled region", c.name)
	}
	return nil
}

// leaveRCU takes the trust off pointers that were good for the section that ends.
func (e *env) leaveRCU() {
	distrust := func(r *state.Reg) {
		if r.Type.Has(state.RCU) {
			r.Type = r.Type&^(state.RCU|state.MaybeNull) | state.Untrusted
		}
	}
	e.cur.EachReg(func(_ *state.Frame, r *state.Reg, _ *state.Slot) { distrust(r) })
	for _, f := range e.cur.Frames {
		for i := range f.Stack {
			if f.Stack[i].Bytes[state.RegSize-1] == state.SlotIter {
				distrust(&f.Stack[i].Spilled)
			}
		}
	}
}

// irqFlag is the argument of a kfunc that saves interrupt flags on the stack, or
// restores them (process_irq_flag).
func (e *env) irqFlag(c *kcall, regno uint8, r *state.Reg) error {
	class := state.IRQNative
	if c.name == "bpf_res_spin_lock_irqsave" || c.name == "bpf_res_spin_unlock_irqrestore" {
		class = state.IRQLock
	}
	i, inside, err := e.stackObject(r, "irq_flag", 1)
	if c.name == "bpf_local_irq_save" || c.name == "bpf_res_spin_lock_irqsave" {
		return e.saveIRQ(regno, r, class, i, inside, err)
	}
	var sl *state.Slot
	if inside {
		sl = &e.frameOf(r).Stack[i]
	}
	if sl == nil || sl.Spilled.RefObjID == 0 || !wholly(sl, state.SlotIRQFlag) {
		const text = "expected an initialized irq flag as arg#%d"
		if err != nil {
			return e.explainMore(err, text, regno-1)
		}
		return e.reject(errno.EINVAL, text, regno-1)
	}
	f := e.frameOf(r)
	e.readsObject(f, i)
	if sl.Spilled.IRQ != class {
		names := map[state.IRQClass]string{state.IRQNative: "native", state.IRQLock: "lock"}
		return e.reject(errno.EINVAL, "irq flag acquired by %s kfuncs cannot be restored with %s kfuncs",
			names[sl.Spilled.IRQ], names[class])
	}
	if err := e.restoreIRQ(sl.Spilled.RefObjID); err != nil {
		return err
	}
	clearSlot(sl)
	e.writesSlot(f, i)
	e.touchSlot(f, i)
	return nil
}

// saveIRQ notes saved flags in a slot.
func (e *env) saveIRQ(regno uint8, r *state.Reg, class state.IRQClass, i int, inside bool, err error) error {
	const text = "expected uninitialized irq flag as arg#%d"
	if err != nil {
		return e.explainMore(err, text, regno-1)
	}
	if inside && hasByte(&e.frameOf(r).Stack[i], state.SlotIRQFlag) {
		return e.reject(errno.EINVAL, text, regno-1)
	}
	if err := e.accessMem(memOp{regno: regno, size: state.RegSize, how: write, value: noRegister}); err != nil {
		return err
	}
	if i, _, err = e.stackObject(r, "irq_flag", 1); err != nil {
		return err
	}
	f := e.frameOf(r)
	sl := &f.Stack[i]
	id := e.newID()
	e.cur.Refs = append(e.cur.Refs, state.Ref{Kind: state.RefIRQ, ID: id, Insn: e.insn})
	e.cur.IRQ = id
	sl.Spilled.MarkPointer(state.PtrToStack)
	sl.Spilled.RefObjID, sl.Spilled.IRQ = id, class
	sl.Fill(state.SlotIRQFlag)
	e.writesSlot(f, i)
	e.touchSlot(f, i)
	return nil
}

// restoreIRQ gives saved flags back, newest first (release_irq_state).
func (e *env) restoreIRQ(id uint32) error {
	if id != e.cur.IRQ {
		at := 0
		for _, r := range e.cur.Refs {
			if r.ID == e.cur.IRQ {
				at = r.Insn
				break
			}
		}
		return e.reject(errno.EACCES, "cannot restore irq state out of order, expected id=%d acquired at insn_idx=%d", e.cur.IRQ, at)
	}
	prev := uint32(0)
	for i, r := range e.cur.Refs {
		if r.Kind != state.RefIRQ {
			continue
		}
		if r.ID == id {
			e.cur.Refs = slices.Delete(e.cur.Refs, i, i+1)
			break
		}
		prev = r.ID
	}
	e.cur.IRQ = prev
	return nil
}
