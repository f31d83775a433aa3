package verifier

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// stackObject is the slot of a dynptr, iterator or saved flags that r points to, n
// slots large: the one with the lowest address. inside reports whether all of it lies
// in stack that was touched before; an error is one about where it is
// (stack_slot_obj_get_spi).
func (e *env) stackObject(r *state.Reg, what string, n int) (slot int, inside bool, err error) {
	if !r.Var.IsConst() {
		return 0, false, e.reject(errno.EINVAL, "%s has to be at a constant offset", what)
	}
	off := int(r.Off) + int(int64(r.Var.Value))
	slot, _ = state.Index(off)
	if off%state.RegSize != 0 || slot+1 < n {
		return 0, false, e.reject(errno.EINVAL, "cannot pass in %s at an offset=%d", what, off)
	}
	return slot, slot-n+1 >= 0 && slot < len(e.frameOf(r).Stack), nil
}

// wholly reports whether all bytes of a slot are of type t, hasByte whether one is.
func wholly(sl *state.Slot, t state.SlotType) bool {
	for _, b := range sl.Bytes {
		if b != t {
			return false
		}
	}
	return true
}

func hasByte(sl *state.Slot, t state.SlotType) bool {
	for _, b := range sl.Bytes {
		if b == t {
			return true
		}
	}
	return false
}

// clearSlot makes a slot one that nothing was written to.
func clearSlot(sl *state.Slot) {
	sl.Fill(state.SlotInvalid)
	sl.Spilled.MarkNotInit()
}
