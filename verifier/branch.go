package verifier

import (
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/bounds"
	"github.com/bpfct/bpfct/verifier/state"
)

// comparisons are the conditional jumps by the upper half of their opcode; 0 is none.
var comparisons = [16]bounds.Cmp{
	1: bounds.EQ, 2: bounds.GT, 3: bounds.GE, 4: bounds.SET, 5: bounds.NE, 6: bounds.SGT, 7: bounds.SGE,
	10: bounds.LT, 11: bounds.LE, 12: bounds.SLT, 13: bounds.SLE,
}

// reservedJump names a call, exit or jump that sets a field which it must leave zero;
// "" for all else.
func reservedJump(s *slot) string {
	switch s.Op {
	case opCall:
		kfunc := s.Src == pseudoKfuncCall
		if s.Dst != 0 || s.Off != 0 && !kfunc || s.Src != 0 && s.Src != pseudoCall && !kfunc {
			return "BPF_CALL"
		}
	case opExit:
		if s.Dst != 0 || s.Src != 0 || s.Imm != 0 {
			return "BPF_EXIT"
		}
	case opJump, opJumpLong:
		if s.Dst != 0 || s.Src != 0 || s.Op == opJump && s.Imm != 0 || s.Op == opJumpLong && s.Off != 0 {
			return "BPF_JA"
		}
	}
	return ""
}

// jump is a conditional jump that is looked at.
type jump struct {
	*slot
	cmp      bounds.Cmp
	width    int
	dst, src *state.Reg // of the path that goes on
	imm      state.Reg  // src where it is no register
}

// checkCondJump does a conditional jump. Where both ways are possible, the path goes
// on with the next instruction, and the jump is walked later (check_cond_jmp_op).
func (e *env) checkCondJump(s *slot) error {
	if s.Op&opMask == opMayGoto&opMask {
		return e.checkMayGoto(s)
	}
	j := jump{slot: s, cmp: comparisons[s.Op>>4], width: 64}
	if j.cmp == 0 {
		return e.reject(errno.EINVAL, "invalid BPF_JMP/JMP32 opcode %x", s.Op&opMask)
	}
	if s.class() == uint8(asm.Jump32Class) {
		j.width = 32
	}
	if err := e.operands(&j); err != nil {
		return err
	}
	switch taken := e.taken(&j); taken {
	case bounds.Maybe:
		return e.fork(&j)
	default:
		// The decision is the same only for numbers like these.
		if j.dst.Type == state.ScalarValue || j.dst.Type == state.NotInit {
			if err := e.markPrecise(int(s.Dst)); err != nil {
				return err
			}
		}
		if fromReg(s) && j.src.Type == state.ScalarValue {
			if err := e.markPrecise(int(s.Src)); err != nil {
				return err
			}
		}
		e.showBranch()
		if taken == bounds.Yes {
			e.insn = s.target
		} else {
			e.insn++
		}
	}
	return nil
}

// showBranch logs what the jump left before the path goes on.
func (e *env) showBranch() {
	if e.log.enabled() {
		e.logState()
	}
}

// operands reads what is compared.
func (e *env) operands(j *jump) error {
	if err := e.readReg(j.Dst); err != nil {
		return err
	}
	j.dst = e.reg(j.Dst)
	hist := state.Jump{Insn: e.insn, Prev: e.prevInsn, DstStack: j.dst.Type == state.PtrToStack}
	if fromReg(j.slot) {
		if j.Imm != 0 {
			return e.reject(errno.EINVAL, "BPF_JMP/JMP32 uses reserved fields")
		}
		if err := e.readReg(j.Src); err != nil {
			return err
		}
		j.src = e.reg(j.Src)
		hist.SrcStack = j.src.Type == state.PtrToStack
	} else {
		if j.Src != 0 {
			return e.reject(errno.EINVAL, "BPF_JMP/JMP32 uses reserved fields")
		}
		j.imm.MarkConst(uint64(int64(j.Imm)))
		j.src = &j.imm
	}
	if hist.DstStack || hist.SrcStack {
		e.pushHistory(hist)
	}
	return nil
}

// fork walks both ways.
func (e *env) fork(j *jump) error {
	linked := e.linked(j)
	if len(linked) > 1 {
		e.pushHistory(state.Jump{Insn: e.insn, Prev: e.prevInsn, Linked: linked})
	}
	other, err := e.push(j.target, e.insn)
	if err != nil {
		return err
	}
	otherDst, otherSrc := &other.Regs()[j.Dst], new(state.Reg)
	if fromReg(j.slot) {
		otherSrc = &other.Regs()[j.Src]
	} else {
		*otherSrc = j.imm
	}
	if err := e.refine(j, otherDst, otherSrc); err != nil {
		return err
	}
	if fromReg(j.slot) && j.src.Type == state.ScalarValue && j.src.ID != 0 {
		e.syncLinked(e.cur, j.src, linked)
		e.syncLinked(other, otherSrc, linked)
	}
	if j.dst.Type == state.ScalarValue && j.dst.ID != 0 {
		e.syncLinked(e.cur, j.dst, linked)
		e.syncLinked(other, otherDst, linked)
	}
	e.comparePointers(j, other)
	e.showBranch()
	e.insn++
	return nil
}

// refine narrows the numbers that are compared on either way.
func (e *env) refine(j *jump, otherDst, otherSrc *state.Reg) error {
	if j.dst.Type != state.ScalarValue || j.src.Type != state.ScalarValue {
		return nil
	}
	bounds.Refine(j.cmp.Opposite(), &j.dst.Scalar, &j.src.Scalar, j.width)
	bounds.Refine(j.cmp, &otherDst.Scalar, &otherSrc.Scalar, j.width)
	for _, x := range []struct {
		r     *state.Reg
		where string
	}{{otherDst, "true_reg1"}, {otherSrc, "true_reg2"}, {j.dst, "false_reg1"}, {j.src, "false_reg2"}} {
		if err := e.checkInvariants(x.r, x.where); err != nil {
			return err
		}
	}
	return nil
}

// comparePointers learns from comparisons with NULL, of two pointers, and with the
// end of the packet.
func (e *env) comparePointers(j *jump, other *state.State) {
	dst, src := j.dst, j.src
	// A pointer that equals one that is not NULL is not NULL.
	if j.width == 64 && fromReg(j.slot) && src.Type.IsPointer() && dst.Type.IsPointer() && src.MayBeNull() != dst.MayBeNull() &&
		src.Type.Base() != state.PtrToBTFID && dst.Type.Base() != state.PtrToBTFID {
		n := j.Dst
		if src.MayBeNull() {
			n = j.Src
		}
		switch j.cmp {
		case bounds.EQ:
			markNotNull(&other.Regs()[n])
		case bounds.NE:
			markNotNull(e.reg(n))
		}
	}
	switch {
	case j.width == 64 && (j.cmp == bounds.EQ || j.cmp == bounds.NE) && dst.MayBeNull() && !fromReg(j.slot) && j.Imm == 0:
		e.markNullOrNot(e.cur, j.Dst, j.cmp == bounds.NE)
		e.markNullOrNot(other, j.Dst, j.cmp == bounds.EQ)
	case fromReg(j.slot) && j.width == 64:
		e.comparePackets(j, other)
	}
}

// taken says which way a jump goes (is_branch_taken).
func (e *env) taken(j *jump) bounds.Tri {
	a, b, cmp := j.dst, j.src, j.cmp
	if inPacketOrEnd(a) && inPacketOrEnd(b) && j.width == 64 {
		return packetTaken(a, b, cmp)
	}
	isConst := func(r *state.Reg) bool {
		return r.Type == state.ScalarValue && (r.Var.IsConst() || j.width == 32 && r.IsConst32())
	}
	if a.Type.IsPointer() || b.Type.IsPointer() {
		if !isConst(b) {
			a, b = b, a
		}
		v := b.Var
		if j.width == 32 {
			v = v.Subreg()
		}
		if !isConst(b) || v.Value != 0 || !e.notNull(a) {
			return bounds.Maybe
		}
		switch cmp {
		case bounds.EQ:
			return bounds.No
		case bounds.NE:
			return bounds.Yes
		}
		return bounds.Maybe
	}
	return bounds.Taken(cmp, &a.Scalar, &b.Scalar, j.width)
}

// notNull reports whether a pointer surely is not NULL. There are such without
// MaybeNull: of kernel objects only trusted ones are sure (reg_not_null).
func (e *env) notNull(r *state.Reg) bool {
	if r.MayBeNull() {
		return false
	}
	switch r.Type.Base() {
	case state.PtrToSocket, state.PtrToTCPSock, state.PtrToMapValue, state.PtrToMapKey, state.PtrToSockCommon,
		state.ConstPtrToMap:
		return true
	case state.PtrToBTFID:
		return e.isTrusted(r)
	case state.PtrToMem:
		return !r.Type.Has(state.Untrusted)
	}
	return false
}

// checkMayGoto is a jump that the kernel takes when the program has run for too long:
// the path that is walked first is the one out of the loop.
func (e *env) checkMayGoto(s *slot) error {
	if s.Op != opMayGoto || s.Src != 0 || s.Dst != 0 || s.Imm != 0 {
		return e.reject(errno.EINVAL, "invalid may_goto imm %d", s.Imm)
	}
	prev := e.roundBefore(e.insn)
	queued, err := e.pushOr(errno.ENOMEM, e.insn+1, e.insn)
	if err != nil {
		return err
	}
	queued.MayGoto++
	if prev != nil {
		e.widen(prev, queued)
	}
	e.insn = s.target
	return nil
}
