package verifier

import (
	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// markNullOrNot makes all copies of register n of st the number 0, or pointers that
// need no check any more (mark_ptr_or_null_regs).
func (e *env) markNullOrNot(st *state.State, n uint8, null bool) {
	id, ref := st.Regs()[n].ID, st.Regs()[n].RefObjID
	if ref != 0 && ref == id && null {
		// Nothing was acquired.
		st.DropRef(id)
	}
	st.EachReg(func(_ *state.Frame, r *state.Reg, _ *state.Slot) {
		if !r.MayBeNull() || r.ID != id || id == 0 && !e.isRCU(r) {
			return
		}
		if null {
			def := r.SubregDef
			r.MarkConst(0)
			r.SubregDef = def
			return
		}
		markNotNull(r)
		if !e.holdsLock(r) {
			r.ID = 0 // it told the copies; locks are told apart by it
		}
	})
}

// markNotNull takes "or null" off a pointer. What a look-up in a map of maps or of
// sockets found is then no value of the map but what the value stands for; sockets of
// different maps stay different (mark_ptr_not_null_reg).
func markNotNull(r *state.Reg) {
	if r.Type.Base() != state.PtrToMapValue || r.Map == nil {
		r.Type &^= state.MaybeNull
		return
	}
	switch m := r.Map; {
	case m.Inner != nil:
		r.Type, r.Map = state.ConstPtrToMap, m.Inner
		if rec := m.Inner.Record; rec.Find(record.Timer) != nil || rec.Find(record.Workqueue) != nil || rec.Find(record.TaskWork) != nil {
			r.MapUID = r.ID
		}
	case m.Spec.Type == ebpf.XSKMap:
		r.Type = state.PtrToXDPSock
	case m.Spec.Type == ebpf.SockMap || m.Spec.Type == ebpf.SockHash:
		r.Type = state.PtrToSocket
	default:
		r.Type = state.PtrToMapValue
	}
}

// holdsLock reports whether what r points to has a lock in it.
func (e *env) holdsLock(r *state.Reg) bool {
	switch r.Type.Base() {
	case state.PtrToMapValue:
		return r.Map != nil && (r.Map.Record.Find(record.SpinLock) != nil || r.Map.Record.Find(record.ResSpinLock) != nil)
	case state.PtrToBTFID:
		if !ownObject(r.Type) {
			return false
		}
		for _, f := range e.recordOf(r.BTF) {
			if f.Kind == record.SpinLock || f.Kind == record.ResSpinLock {
				return true
			}
		}
	}
	return false
}
