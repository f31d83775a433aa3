package verifier

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/verifier/state"
)

// dynptrSlots is the size of a dynptr on the stack.
const dynptrSlots = 2

// isDynptrArg reports whether an argument is a dynptr.
func isDynptrArg(t kernel.ArgType) bool { return t.Base() == kernel.ArgDynptr }

// dynptrKind is the kind of memory that an argument's modifiers ask for.
func dynptrKind(t kernel.ArgType) state.DynptrType {
	switch {
	case t.Has(kernel.ArgDynptrLocal):
		return state.DynptrLocal
	case t.Has(kernel.ArgDynptrRing):
		return state.DynptrRingbuf
	case t.Has(kernel.ArgDynptrSkb):
		return state.DynptrSkb
	case t.Has(kernel.ArgDynptrXDP):
		return state.DynptrXDP
	}
	return state.DynptrInvalid
}

// dynptrReg is the register that has what is known of a dynptr: r itself, or the slot
// that it points to. It is nil where there is none.
func (e *env) dynptrReg(r *state.Reg) *state.Reg {
	if r.Type == state.ConstPtrToDynptr {
		return r
	}
	i, _ := state.Index(int(r.Off) + int(int64(r.Var.Value)))
	if f := e.frameOf(r); i >= 0 && i < len(f.Stack) {
		return &f.Stack[i].Spilled
	}
	return nil
}

// processDynptr checks the dynptr that a helper is passed.
func (e *env) processDynptr(c *call, i int, regno uint8, r *state.Reg) error {
	t := c.proto.Args[i].Type
	if t.Has(kernel.ArgUninit) {
		return e.makeDynptr(regno, r, dynptrKind(t), 0)
	}
	return e.useDynptr(regno, r, dynptrKind(t), t.Has(kernel.ArgReadOnly))
}

// isDynptrPointer refuses what cannot point to a dynptr.
func (e *env) isDynptrPointer(regno uint8, r *state.Reg) error {
	if r.Type != state.PtrToStack && r.Type != state.ConstPtrToDynptr {
		return e.reject(errno.EINVAL, "arg#%d expected pointer to stack or const struct bpf_dynptr", regno-1)
	}
	return nil
}

// makeDynptr has the call write a new dynptr. clone is the reference that it shares
// with the one that it is a copy of, 0 for none.
func (e *env) makeDynptr(regno uint8, r *state.Reg, kind state.DynptrType, clone uint32) error {
	if err := e.isDynptrPointer(regno, r); err != nil {
		return err
	}
	const text = "Dynptr has to be an uninitialized dynptr"
	if r.Type == state.ConstPtrToDynptr {
		return e.reject(errno.EINVAL, text)
	}
	if _, _, err := e.stackObject(r, "dynptr", dynptrSlots); err != nil {
		return e.explainMore(err, text)
	}
	for off := 0; off < dynptrSlots*state.RegSize; off += state.RegSize {
		if err := e.accessMem(memOp{regno: regno, off: off, size: state.RegSize, how: write, value: noRegister}); err != nil {
			return err
		}
	}
	i, _, err := e.stackObject(r, "dynptr", dynptrSlots)
	if err != nil {
		return err
	}
	f := e.frameOf(r)
	// Each of the slots may have been part of another dynptr.
	for _, n := range []int{i, i - 1} {
		if err := e.destroyDynptr(f, n); err != nil {
			return err
		}
	}
	if kind == state.DynptrInvalid {
		return &refusal{errno: errno.EINVAL, insn: e.insn}
	}
	id, ref := e.newID(), uint32(0)
	if kind.Refcounted() {
		if ref = clone; ref == 0 {
			ref = e.acquire()
		}
	}
	for _, n := range []int{i, i - 1} {
		sl := &f.Stack[n]
		sl.Fill(state.SlotDynptr)
		sl.Spilled.MarkPointer(state.ConstPtrToDynptr)
		sl.Spilled.ID, sl.Spilled.RefObjID, sl.Spilled.Dynptr, sl.Spilled.First = id, ref, kind, n == i
		e.writesSlot(f, n)
		e.touchSlot(f, n)
	}
	return nil
}

// useDynptr checks that there is a dynptr; readOnly says that the call does not change
// what it is.
func (e *env) useDynptr(regno uint8, r *state.Reg, kind state.DynptrType, readOnly bool) error {
	if err := e.isDynptrPointer(regno, r); err != nil {
		return err
	}
	if r.Type == state.ConstPtrToDynptr {
		if !readOnly {
			return e.reject(errno.EINVAL, "cannot pass pointer to const bpf_dynptr, the helper mutates it")
		}
	} else {
		const text = "Expected an initialized dynptr as arg #%d"
		i, inside, err := e.stackObject(r, "dynptr", dynptrSlots)
		if err != nil {
			return e.explainMore(err, text, regno-1)
		}
		f := e.frameOf(r)
		if !inside || !f.Stack[i].Spilled.First || !wholly(&f.Stack[i], state.SlotDynptr) || !wholly(&f.Stack[i-1], state.SlotDynptr) {
			return e.reject(errno.EINVAL, text, regno-1)
		}
		defer func() {
			e.readsObject(f, i)
			e.readsObject(f, i-1)
		}()
	}
	if d := e.dynptrReg(r); kind != state.DynptrInvalid && d.Dynptr != kind {
		return e.reject(errno.EINVAL, "Expected a dynptr of type %s as arg #%d", kind, regno-1)
	}
	return nil
}

// destroyDynptr makes a dynptr that slot i is part of unusable, since the slot is
// written to (destroy_if_dynptr_stack_slot).
func (e *env) destroyDynptr(f *state.Frame, i int) error {
	if f.Stack[i].Bytes[0] != state.SlotDynptr {
		return nil
	}
	if !f.Stack[i].Spilled.First {
		i++
	}
	d := &f.Stack[i].Spilled
	if d.Dynptr.Refcounted() {
		return e.reject(errno.EINVAL, "cannot overwrite referenced dynptr")
	}
	id := d.ID
	e.touchSlot(f, i)
	e.touchSlot(f, i-1)
	e.cur.EachReg(func(_ *state.Frame, r *state.Reg, _ *state.Slot) {
		// Slices of a kind of their own are not looked at: those of a packet are good as
		// long as the packet is.
		if (r.Type == state.PtrToMem || r.Type == state.PtrToMem|state.MaybeNull) &&
			r.Dynptr == state.DynptrInvalid && r.DynptrID == id {
			r.MarkUnknown()
		}
	})
	clearSlot(&f.Stack[i])
	clearSlot(&f.Stack[i-1])
	e.writesSlot(f, i)
	e.writesSlot(f, i-1)
	return nil
}

// checkDynptrRelease checks what a helper that gives a dynptr up is passed.
func (e *env) checkDynptrRelease(_ *call, regno uint8, r *state.Reg) error {
	if r.Type != state.PtrToStack {
		return e.reject(errno.EINVAL, "cannot release unowned const bpf_dynptr")
	}
	const text = "arg %d is an unacquired reference"
	i, inside, err := e.stackObject(r, "dynptr", dynptrSlots)
	if err != nil {
		return e.explainMore(err, text, regno)
	}
	if !inside || e.frameOf(r).Stack[i].Spilled.RefObjID == 0 {
		return e.reject(errno.EINVAL, text, regno)
	}
	return nil
}

// releaseDynptr gives a dynptr up, and its clones and slices with it
// (unmark_stack_slots_dynptr).
func (e *env) releaseDynptr(_ *call, r *state.Reg) error {
	i, _, err := e.stackObject(r, "dynptr", dynptrSlots)
	if err != nil {
		return err
	}
	f := e.frameOf(r)
	d := f.Stack[i].Spilled
	if !d.Dynptr.Refcounted() {
		e.invalidateDynptr(f, i)
		return nil
	}
	e.releaseRef(d.RefObjID)
	for n := 1; n < len(f.Stack); n++ {
		sl := &f.Stack[n]
		if sl.Spilled.RefObjID == d.RefObjID && sl.Bytes[0] == state.SlotDynptr && sl.Spilled.First {
			e.invalidateDynptr(f, n)
		}
	}
	return nil
}

func (e *env) invalidateDynptr(f *state.Frame, i int) {
	for _, n := range []int{i, i - 1} {
		clearSlot(&f.Stack[n])
		e.writesSlot(f, n)
		e.touchSlot(f, n)
	}
}

// dynptrHelperRules are those of bpf_dynptr_data, whose result is tied to the dynptr,
// and of bpf_dynptr_write, which may move the packet's data.
func (e *env) dynptrHelperRules(c *call) error {
	if c.name != "bpf_dynptr_data" && c.name != "bpf_dynptr_write" {
		return nil
	}
	for i := range c.proto.Args {
		if !isDynptrArg(c.proto.Args[i].Type) {
			continue
		}
		d := e.dynptrReg(e.reg(uint8(i + 1)))
		if c.name == "bpf_dynptr_data" {
			c.dynptrID, c.refObj = d.ID, d.RefObjID
		} else {
			c.movesPacket = d.Dynptr == state.DynptrSkb || d.Dynptr == state.DynptrSkbMeta
		}
	}
	return nil
}
