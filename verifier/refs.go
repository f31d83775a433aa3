package verifier

import (
	"slices"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// acquire notes that the program now owes an object, and returns its ID.
func (e *env) acquire() uint32 {
	id := e.newID()
	e.cur.Refs = append(e.cur.Refs, state.Ref{Kind: state.RefPtr, ID: id, Insn: e.insn})
	return id
}

// dropRef takes a reference off what the program owes, and reports whether it was
// there.
func (e *env) dropRef(id uint32) bool {
	for i, r := range e.cur.Refs {
		if r.Kind == state.RefPtr && r.ID == id {
			e.cur.Refs = slices.Delete(e.cur.Refs, i, i+1)
			return true
		}
	}
	return false
}

// releaseRef gives a reference up: what held it is but a number from now on
// (release_reference).
func (e *env) releaseRef(id uint32) bool {
	if !e.dropRef(id) {
		return false
	}
	e.cur.EachReg(func(_ *state.Frame, r *state.Reg, _ *state.Slot) {
		if r.RefObjID == id {
			r.MarkUnknown()
		}
	})
	return true
}

// releaseArg gives up the reference in the argument that the call releases.
func (e *env) releaseArg(c *call) error {
	if c.release == 0 {
		return nil
	}
	arg := &c.proto.Args[c.release-1]
	r := e.reg(c.release)
	ok := false
	switch {
	case isDynptrArg(arg.Type) && r.Type != state.ConstPtrToDynptr:
		return e.releaseDynptr(c, r)
	case c.name == "bpf_kptr_xchg" && c.refObj != 0:
		ok = e.dropRef(c.refObj)
		rcu := e.inRCU()
		e.cur.EachReg(func(_ *state.Frame, r *state.Reg, _ *state.Slot) {
			if r.RefObjID != c.refObj {
				return
			}
			if rcu && r.Type.Has(state.Alloc|state.Percpu) {
				// The map holds it now; who is in the RCU section may go on looking at it.
				r.RefObjID = 0
				r.Type = r.Type&^state.Alloc | state.RCU
				return
			}
			r.MarkUnknown()
		})
	case c.refObj != 0:
		ok = e.releaseRef(c.refObj)
	default:
		ok = r.IsNull()
	}
	if !ok {
		return e.reject(errno.EINVAL, "func %s#%d reference has not been acquired before", c.name, c.id)
	}
	return nil
}

// checkLeaks refuses to leave while the program owes something (check_resource_leak).
// exception says that all frames are left; lock also looks at open sections.
func (e *env) checkLeaks(exception, lock bool, what string) error {
	if lock && e.cur.ActiveLocks > 0 {
		return e.reject(errno.EINVAL, "%s cannot be used inside bpf_spin_lock-ed region", what)
	}
	if exception || e.cur.Cur().No == 0 {
		var err error
		for _, r := range e.cur.Refs {
			if r.Kind == state.RefPtr {
				more := e.reject(errno.EINVAL, "Unreleased reference id=%d alloc_insn=%d", r.ID, r.Insn)
				if err == nil {
					err = more
				}
			}
		}
		if err != nil {
			return e.explainMore(err, "%s would lead to reference leak", what)
		}
	}
	switch {
	case !lock:
	case e.cur.IRQ != 0:
		return e.reject(errno.EINVAL, "%s cannot be used inside bpf_local_irq_save-ed region", what)
	case e.cur.RCULocks > 0:
		return e.reject(errno.EINVAL, "%s cannot be used inside bpf_rcu_read_lock-ed region", what)
	case e.cur.PreemptLocks > 0:
		return e.reject(errno.EINVAL, "%s cannot be used inside bpf_preempt_disable-ed region", what)
	}
	return nil
}

// clearPacketPointers makes pointers into the packet numbers: its data may have moved
// (clear_all_pkt_pointers).
func (e *env) clearPacketPointers() {
	e.cur.EachReg(func(_ *state.Frame, r *state.Reg, _ *state.Slot) {
		if r.Type.IsPacket() || r.Type == state.PtrToPacketEnd || isPacketSlice(r) {
			r.MarkUnknown()
		}
	})
}

// isPacketSlice reports whether r points into memory that a dynptr of a packet gave.
func isPacketSlice(r *state.Reg) bool {
	if r.Type.Base() != state.PtrToMem {
		return false
	}
	return r.Dynptr == state.DynptrSkb || r.Dynptr == state.DynptrXDP || r.Dynptr == state.DynptrSkbMeta
}
