package verifier

import (
	"math"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/bounds"
	"github.com/bpfct/bpfct/verifier/state"
)

// Operations of the arithmetic classes, as in an opcode's upper half.
const (
	aluAdd  = 0x00
	aluSub  = 0x10
	aluDiv  = 0x30
	aluOr   = 0x40
	aluAnd  = 0x50
	aluLsh  = 0x60
	aluRsh  = 0x70
	aluNeg  = 0x80
	aluMod  = 0x90
	aluXor  = 0xa0
	aluMov  = 0xb0
	aluArsh = 0xc0
	aluEnd  = 0xd0

	opMask = 0xf0
)

// aluOps are the operations that package bounds knows, and what the kernel's
// messages call all of them.
var (
	aluOps = [16]bounds.Op{
		aluAdd >> 4: bounds.Add, aluSub >> 4: bounds.Sub, 2: bounds.Mul, aluDiv >> 4: bounds.Div,
		aluOr >> 4: bounds.Or, aluAnd >> 4: bounds.And, aluLsh >> 4: bounds.Lsh, aluRsh >> 4: bounds.Rsh,
		aluNeg >> 4: bounds.Neg, aluMod >> 4: bounds.Div, aluXor >> 4: bounds.Xor, aluArsh >> 4: bounds.Arsh,
	}
	aluNames = [16]string{
		"+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "neg", "%=", "^=", "=", "s>>=", "endian",
	}
)

// addrSpaceCast is the offset of a move that turns a pointer into the arena into one
// of the program's own address space, or back; its immediate has the two spaces.
const (
	addrSpaceCast = 1
	castFromArena = 1
	castToArena   = 1 << 16
)

// is64 reports whether an instruction of an arithmetic class works on 64 bits.
func is64(s *slot) bool { return s.class() == uint8(asm.ALU64Class) }

// fromReg reports whether the second operand is a register.
func fromReg(s *slot) bool { return s.Op&sourceX != 0 }

// checkALU does an instruction of the arithmetic classes (check_alu_op).
func (e *env) checkALU(s *slot) error {
	var err error
	switch op := s.Op & opMask; {
	case op == aluEnd || op == aluNeg:
		err = e.checkUnary(s)
	case op == aluMov:
		err = e.checkMove(s)
	case op > aluEnd:
		err = e.reject(errno.EINVAL, "invalid BPF_ALU opcode %x", op)
	default:
		err = e.checkBinary(s)
	}
	if err != nil {
		return err
	}
	return e.checkInvariants(e.reg(s.Dst), "alu")
}

// checkUnary is negation and change of byte order.
func (e *env) checkUnary(s *slot) error {
	if s.Op&opMask == aluNeg {
		if fromReg(s) || s.Src != 0 || s.Off != 0 || s.Imm != 0 {
			return e.reject(errno.EINVAL, "BPF_NEG uses reserved fields")
		}
	} else if s.Src != 0 || s.Off != 0 || s.Imm != 16 && s.Imm != 32 && s.Imm != 64 || is64(s) && fromReg(s) {
		return e.reject(errno.EINVAL, "BPF_END uses reserved fields")
	}
	if err := e.readReg(s.Dst); err != nil {
		return err
	}
	if e.reg(s.Dst).Type != state.ScalarValue {
		return e.writeHalf(s, true)
	}
	if err := e.writeHalf(s, false); err != nil {
		return err
	}
	r := e.reg(s.Dst)
	if s.Op&opMask == aluNeg {
		r.Scalar = bounds.ALU(bounds.Neg, r.Scalar, r.Scalar, bitsOf(s))
		r.ID, r.Off = 0, 0
	} else {
		reorder(s, r)
	}
	return nil
}

// reorder changes the order of bytes. Only to the order that they have already, of all
// bytes, leaves the number what it is.
func reorder(s *slot, r *state.Reg) {
	size := int(s.Imm) / 8
	switch {
	case fromReg(s) || is64(s):
		r.Swap(size)
		r.ID = 0
	case size < state.RegSize:
		r.Truncate(size)
		r.ID = 0
	}
	r.Sync()
}

// writeHalf is writeReg for an instruction of either arithmetic class.
func (e *env) writeHalf(s *slot, unknown bool) error {
	if err := e.writeReg(s.Dst, unknown); err != nil {
		return err
	}
	if !is64(s) {
		e.setSubreg(e.reg(s.Dst))
	}
	return nil
}

// checkMove is a copy, with or without a change of width.
func (e *env) checkMove(s *slot) error {
	if err := e.checkMoveFields(s); err != nil {
		return err
	}
	if fromReg(s) {
		if err := e.readReg(s.Src); err != nil {
			return err
		}
	}
	if err := e.writeReg(s.Dst, false); err != nil {
		return err
	}
	dst := e.reg(s.Dst)
	switch {
	case !fromReg(s):
		v := uint64(int64(s.Imm))
		if !is64(s) {
			v = uint64(uint32(s.Imm))
		}
		dst.MarkConst(v)
		dst.SubregDef = 0
	case !is64(s):
		return e.moveHalf(s, dst, e.reg(s.Src))
	case s.Imm != 0:
		dst.MarkUnknown()
		if s.Imm == castFromArena {
			dst.Type = state.PtrToArena
			e.setSubreg(dst)
		}
		return nil
	default:
		e.moveWhole(s, dst, e.reg(s.Src))
	}
	if !is64(s) {
		e.setSubreg(dst)
	}
	return nil
}

// checkMoveFields checks what a move must leave zero.
func (e *env) checkMoveFields(s *slot) error {
	reserved := s.Src != 0 || s.Off != 0
	if fromReg(s) {
		switch s.Off {
		case 0, 8, 16:
			reserved = s.Imm != 0
		case 32:
			reserved = s.Imm != 0 || !is64(s)
		case addrSpaceCast:
			if is64(s) {
				return e.checkCast(s)
			}
			reserved = true
		default:
			reserved = true
		}
	}
	if reserved {
		return e.reject(errno.EINVAL, "BPF_MOV uses reserved fields")
	}
	return nil
}

// checkCast checks a change of address space.
func (e *env) checkCast(s *slot) error {
	if s.Imm != castFromArena && s.Imm != castToArena {
		return e.reject(errno.EINVAL, "addr_space_cast insn can only convert between address space 1 and 0")
	}
	if !e.usesArena() {
		return e.reject(errno.EINVAL, "addr_space_cast insn can only be used in a program that has an associated arena")
	}
	return nil
}

// moveWhole copies a register, or the low bytes of a number with their sign.
func (e *env) moveWhole(s *slot, dst, src *state.Reg) {
	if s.Off == 0 {
		e.shareID(src)
		*dst = *src
		dst.SubregDef = 0
		return
	}
	if src.Type != state.ScalarValue {
		dst.MarkUnknown() // the loader may leak pointers
		return
	}
	e.copySigned(s, dst, src, 64)
	dst.SubregDef = 0
}

// moveHalf copies the lower half of a number, the upper one becoming zero.
func (e *env) moveHalf(s *slot, dst, src *state.Reg) error {
	switch {
	case src.Type != state.ScalarValue:
		dst.MarkUnknown()
	case s.Off != 0:
		e.copySigned(s, dst, src, 32)
	default:
		whole := width(src) <= 32
		if whole {
			e.shareID(src)
		}
		*dst = *src
		if !whole {
			dst.ID = 0 // the other half is lost: it is another number
		}
	}
	e.setSubreg(dst)
	dst.Zext()
	return nil
}

// copySigned copies a number cut to s.Off bits, which its sign then extends. It stays
// the same number where no bit is lost and the sign is plus.
func (e *env) copySigned(s *slot, dst, src *state.Reg, width int) {
	same := src.UMax < 1<<(s.Off-1)
	if same {
		e.shareID(src)
	}
	*dst = *src
	if !same {
		dst.ID = 0
	}
	dst.SignExtend(int(s.Off)/8, width)
}

// checkBinary is arithmetic of two operands.
func (e *env) checkBinary(s *slot) error {
	op := s.Op & opMask
	divides := op == aluDiv || op == aluMod
	if s.Off != 0 && (s.Off != 1 || !divides) || fromReg(s) && s.Imm != 0 || !fromReg(s) && s.Src != 0 {
		return e.reject(errno.EINVAL, "BPF_ALU uses reserved fields")
	}
	if fromReg(s) {
		if err := e.readReg(s.Src); err != nil {
			return err
		}
	}
	if err := e.readReg(s.Dst); err != nil {
		return err
	}
	if divides && !fromReg(s) && s.Imm == 0 {
		return e.reject(errno.EINVAL, "div by zero")
	}
	if (op == aluLsh || op == aluRsh || op == aluArsh) && !fromReg(s) {
		if s.Imm < 0 || int(s.Imm) >= bitsOf(s) {
			return e.reject(errno.EINVAL, "invalid shift %d", s.Imm)
		}
	}
	if err := e.writeHalf(s, false); err != nil {
		return err
	}
	return e.arithmetic(s)
}

// arithmetic computes dst op= src for any kinds of operand
// (adjust_reg_min_max_vals).
func (e *env) arithmetic(s *slot) error {
	dst := e.reg(s.Dst)
	if dst.Type == state.PtrToArena {
		return nil // it stays one, wherever it points to
	}
	var imm state.Reg
	src := &imm
	if !fromReg(s) {
		imm.MarkConst(uint64(int64(s.Imm)))
		if dst.Type != state.ScalarValue {
			return e.pointerArithmetic(s, dst, dst, src)
		}
	} else {
		src = e.reg(s.Src)
		switch srcPtr, dstPtr := src.Type != state.ScalarValue, dst.Type != state.ScalarValue; {
		case srcPtr && dstPtr:
			if s.Op&opMask == aluSub {
				e.forget(dst)
				return nil
			}
			return e.reject(errno.EACCES, "R%d pointer %s pointer prohibited", s.Dst, aluNames[s.Op>>4])
		case srcPtr:
			if err := e.markPrecise(int(s.Dst)); err != nil {
				return err
			}
			return e.pointerArithmetic(s, dst, src, dst)
		case dstPtr:
			if err := e.markPrecise(int(s.Src)); err != nil {
				return err
			}
			return e.pointerArithmetic(s, dst, dst, src)
		case dst.Precise:
			// The result matters, and so does what it is made of.
			if err := e.markPrecise(int(s.Src)); err != nil {
				return err
			}
		}
	}
	// A sum of 32 bits is linked only to a number that has no more.
	linkable := is64(s) || width(dst) <= 32
	if err := e.compute(s, dst, src); err != nil {
		return err
	}
	if linkable {
		relink(s, dst, src)
	} else {
		dst.ID, dst.Off = 0, 0
	}
	return nil
}

// forget makes r a number of which nothing is known, and keeps how it was defined.
func (e *env) forget(r *state.Reg) {
	def := r.SubregDef
	r.MarkUnknown()
	r.SubregDef = def
}

// compute is arithmetic on two numbers (adjust_scalar_min_max_vals).
func (e *env) compute(s *slot, dst, src *state.Reg) error {
	op, w := aluOps[s.Op>>4], bitsOf(s)
	if !bounds.Computable(op, &src.Scalar, w) {
		e.forget(dst)
		return nil
	}
	if ones, zero, ok := bounds.Split(op, &dst.Scalar, &src.Scalar); ok {
		// What a mask leaves is one of two numbers: each is walked on its own, the
		// instruction being looked at anew for zero.
		other, err := e.push(e.insn, e.insn)
		if err != nil {
			return err
		}
		r := &other.Regs()[s.Dst]
		r.Scalar = zero
		if zero.IsConst() {
			r.ID = 0
		}
		dst.Scalar = ones
	}
	dst.Scalar = bounds.ALU(op, dst.Scalar, src.Scalar, w)
	return nil
}

// relink keeps the link between a number and one that a constant was added to: what
// is learned of one then holds for the other.
func relink(s *slot, dst, src *state.Reg) {
	op := s.Op & opMask
	delta, ok := constOf(src, bitsOf(s))
	same := fromReg(s) && s.Src == s.Dst // then it is no constant that is added
	if op != aluAdd && op != aluSub || dst.ID == 0 || !ok || same {
		dst.ID, dst.Off = 0, 0
		return
	}
	lo := int64(math.MinInt32)
	if op == aluSub {
		lo++ // its opposite has no place
	}
	if dst.ID&state.AddConst != 0 || delta < lo || delta > math.MaxInt32 {
		dst.ID, dst.Off = 0, 0
		return
	}
	if op == aluSub {
		delta = -delta
	}
	if is64(s) {
		dst.ID |= state.AddConst64
	} else {
		dst.ID |= state.AddConst32
	}
	dst.Off = int32(delta)
}

// constOf is the number of the given width that r is known to be, as a signed one.
func constOf(r *state.Reg, width int) (int64, bool) {
	if width == 32 {
		return int64(int32(r.Var.Value)), r.IsConst32()
	}
	return int64(r.Var.Value), r.Var.IsConst()
}

// usesArena reports whether the program refers to an arena.
func (e *env) usesArena() bool {
	for _, m := range e.maps {
		if m.Spec != nil && m.Spec.Type == ebpf.Arena {
			return true
		}
	}
	return false
}

// bitsOf is the width that an instruction computes in.
func bitsOf(s *slot) int {
	if is64(s) {
		return 64
	}
	return 32
}
