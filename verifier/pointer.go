package verifier

import (
	"math"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/bounds"
	"github.com/bpfct/bpfct/verifier/state"
)

// pointerArithmetic makes dst the sum or difference of a pointer and a number; dst is
// one of the two (adjust_ptr_min_max_vals).
func (e *env) pointerArithmetic(s *slot, dst, ptr, num *state.Reg) error {
	op := s.Op & opMask
	known := num.Var.IsConst()
	if known && (num.SMin != num.SMax || num.UMin != num.UMax) || num.SMin > num.SMax || num.UMin > num.UMax {
		// No number is like that: the path is dead, and anything may be said of it.
		e.forget(dst)
		return nil
	}
	if !is64(s) {
		if op == aluSub {
			e.forget(dst)
			return nil
		}
		return e.reject(errno.EACCES, "R%d 32-bit pointer arithmetic prohibited", s.Dst)
	}
	if ptr.MayBeNull() {
		return e.reject(errno.EACCES, "R%d pointer arithmetic on %s prohibited, null-check it first", s.Dst, ptr.Type)
	}
	if ptr.Type.Base() == state.PtrToMem && ptr.Type.Has(state.Untrusted) {
		return nil // reads through it are probed, wherever it points to
	}
	if !movable(ptr, known && num.SMin == 0 && op == aluAdd, known) {
		return e.reject(errno.EACCES, "R%d pointer arithmetic on %s prohibited", s.Dst, ptr.Type)
	}
	// dst may be either operand: from here on they are values.
	p, n := *ptr, *num
	if err := e.checkOffset(&n, p.Type); err != nil {
		return err
	}
	if err := e.checkOffset(&p, p.Type); err != nil {
		return err
	}
	into := *dst
	into.Type, into.ID = p.Type, p.ID
	switch op {
	case aluAdd:
		e.movePointer(&into, &p, &n, false)
	case aluSub:
		if dst == num {
			return e.reject(errno.EACCES, "R%d tried to subtract pointer from scalar", s.Dst)
		}
		if p.Type == state.PtrToStack {
			return e.reject(errno.EACCES, "R%d subtraction from stack pointer prohibited", s.Dst)
		}
		e.movePointer(&into, &p, &n, true)
	case aluAnd, aluOr, aluXor:
		return e.reject(errno.EACCES, "R%d bitwise operator %s on pointer prohibited", s.Dst, aluNames[op>>4])
	default:
		return e.reject(errno.EACCES, "R%d pointer arithmetic with %s operator prohibited", s.Dst, aluNames[op>>4])
	}
	if err := e.checkOffset(&into, p.Type); err != nil {
		return err
	}
	into.Sync()
	*dst = into
	return nil
}

// movable reports whether a pointer may be moved: all of some types, others only
// where that does nothing (zero), and flow keys by a known number.
func movable(ptr *state.Reg, zero, known bool) bool {
	switch ptr.Type.Base() {
	case state.PtrToCtx, state.PtrToMapValue, state.PtrToMapKey, state.PtrToStack, state.PtrToPacketMeta,
		state.PtrToPacket, state.PtrToTPBuffer, state.PtrToBTFID, state.PtrToMem, state.PtrToBuf, state.PtrToFunc,
		state.ConstPtrToDynptr:
		return true
	case state.PtrToFlowKeys:
		return known
	case state.ConstPtrToMap:
		return zero
	}
	return false
}

// movePointer is p plus or minus n. A known number goes to the fixed offset if it
// fits; any other makes the variable one.
func (e *env) movePointer(dst, p, n *state.Reg, minus bool) {
	copyTarget(dst, p)
	dst.S32Min, dst.S32Max, dst.U32Min, dst.U32Max = math.MinInt32, math.MaxInt32, 0, math.MaxUint32
	delta := n.SMin
	if minus {
		delta = -delta
	}
	if off := int64(p.Off) + delta; n.Var.IsConst() && off == int64(int32(off)) {
		dst.Var, dst.Off = p.Var, int32(off)
		dst.SMin, dst.SMax, dst.UMin, dst.UMax = p.SMin, p.SMax, p.UMin, p.UMax
		return
	}
	sum := p.Scalar
	if minus {
		sum.Sub64(&n.Scalar)
	} else {
		sum.Add64(&n.Scalar)
	}
	dst.SMin, dst.SMax, dst.UMin, dst.UMax = sum.SMin, sum.SMax, sum.UMin, sum.UMax
	dst.Var, dst.Off = sum.Var, p.Off
	if p.Type.IsPacket() {
		// It now is at a place of its own, which no check has reached yet, unless it moved
		// to where one has.
		dst.ID = e.newID()
		if !minus || n.SMin < 0 {
			dst.Range = 0
		}
	}
}

// copyTarget copies what a pointer points to.
func copyTarget(dst, p *state.Reg) {
	dst.Range, dst.MemSize, dst.Map, dst.MapUID, dst.BTF = p.Range, p.MemSize, p.Map, p.MapUID, p.BTF
	dst.Dynptr, dst.First, dst.DynptrID, dst.Subprog = p.Dynptr, p.First, p.DynptrID, p.Subprog
}

// checkOffset refuses offsets that are too large to compute with
// (check_reg_sane_offset).
func (e *env) checkOffset(r *state.Reg, t state.Type) error {
	if v := int64(r.Var.Value); r.Var.IsConst() && (v >= maxVarOff || v <= -maxVarOff) {
		return e.reject(errno.EINVAL, "math between %s pointer and %d is not allowed", t, v)
	}
	if r.Off >= maxVarOff || r.Off <= -maxVarOff {
		return e.reject(errno.EINVAL, "%s pointer offset %d is not allowed", t, r.Off)
	}
	if r.SMin == math.MinInt64 {
		return e.reject(errno.EINVAL, "math between %s pointer and register with unbounded min value is not allowed", t)
	}
	if r.SMin >= maxVarOff || r.SMin <= -maxVarOff {
		return e.reject(errno.EINVAL, "value %d makes %s pointer be out of bounds", r.SMin, t)
	}
	return nil
}

// checkInvariants forgets bounds that contradict each other or the bits, which only
// happens on paths that cannot be taken (reg_bounds_sanity_check).
func (e *env) checkInvariants(r *state.Reg, where string) error {
	what := r.Scalar.Violation()
	if what == "" {
		return nil
	}
	e.log.printf("verifier bug: REG INVARIANTS VIOLATION (%s): %s u64=[%#x, %#x] s64=[%#x, %#x] u32=[%#x, %#x] s32=[%#x, %#x] var_off=(%#x, %#x)\n",
		where, what, r.UMin, r.UMax, uint64(r.SMin), uint64(r.SMax), r.U32Min, r.U32Max, uint32(r.S32Min), uint32(r.S32Max), r.Var.Value, r.Var.Mask)
	bits := r.Var
	r.Scalar = bounds.Unknown()
	r.Var = bits
	return nil
}
