package bounds_test

import (
	"fmt"

	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier/bounds"
	"github.com/bpfct/bpfct/verifier/state"
)

var aluOps = [16]bounds.Op{
	bounds.Add, bounds.Sub, bounds.Mul, bounds.Div, bounds.Or, bounds.And, bounds.Lsh, bounds.Rsh,
	bounds.Neg, bounds.Div, bounds.Xor, 0, bounds.Arsh, 0,
}

var cmps = [16]bounds.Cmp{
	1: bounds.EQ, 2: bounds.GT, 3: bounds.GE, 4: bounds.SET, 5: bounds.NE, 6: bounds.SGT, 7: bounds.SGE,
	10: bounds.LT, 11: bounds.LE, 12: bounds.SLT, 13: bounds.SLE,
}

// machine walks a generated program with package bounds.
type machine struct {
	regs [10]bounds.Scalar
	pc   int
	// other has the registers of the ways not gone, by the jump.
	other map[int][10]bounds.Scalar
}

// sane forgets contradicting bounds, as the verifier does after each instruction.
func sane(s *bounds.Scalar) {
	if s.Violation() != "" {
		v := s.Var
		*s = bounds.Unknown()
		s.Var = v
	}
}

// step does the instruction at pc, and reports whether the program goes on.
func (m *machine) step(insns []link.Raw) bool {
	in := insns[m.pc]
	dst, class := &m.regs[in.Dst], in.Op&7
	src := bounds.Const(uint64(int64(in.Imm)))
	if in.Op&8 != 0 {
		src = m.regs[in.Src]
	}
	m.pc++
	switch class {
	case 0:
		*dst = bounds.Const(uint64(uint32(in.Imm)) | uint64(insns[m.pc].Imm)<<32)
		m.pc++
	case 1:
		*dst = load(in.Op)
	case 4, 7:
		m.alu(in, dst, src, map[uint8]int{4: 32, 7: 64}[class])
		sane(dst)
	case 5, 6:
		if in.Op == 0x95 {
			return false
		}
		m.jump(in, map[uint8]int{5: 64, 6: 32}[class])
	}
	return true
}

// load is a number from memory, extended with its sign for the opcodes above 0x80.
func load(op uint8) bounds.Scalar {
	s := bounds.Unknown()
	size := map[uint8]int{0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}[op&0x18]
	switch {
	case size == 8:
	case op&0xe0 == 0x80:
		s.SignExtend(size, 64)
	default:
		s.Truncate(size)
	}
	return s
}

func (m *machine) alu(in link.Raw, dst *bounds.Scalar, src bounds.Scalar, width int) {
	switch in.Op & 0xf0 {
	case 0xd0:
		switch {
		case in.Op&8 != 0 || width == 64:
			dst.Swap(int(in.Imm) / 8)
		case in.Imm < 64:
			dst.Truncate(int(in.Imm) / 8)
		}
	case 0xb0:
		switch {
		case in.Op&8 == 0:
			*dst = src
		case in.Off != 0:
			*dst = src
			dst.SignExtend(int(in.Off)/8, width)
		default:
			*dst = src
		}
		if width == 32 {
			dst.Zext()
		}
	default:
		if ones, zero, ok := bounds.Split(aluOps[in.Op>>4], dst, &src); ok {
			*dst = zero
			m.other[m.pc-1] = m.regs
			*dst = ones
		}
		*dst = bounds.ALU(aluOps[in.Op>>4], *dst, src, width)
	}
}

func (m *machine) jump(in link.Raw, width int) {
	at, cmp := m.pc-1, cmps[in.Op>>4]
	imm := bounds.Const(uint64(int64(in.Imm)))
	src := &imm
	if in.Op&8 != 0 {
		src = &m.regs[in.Src]
	}
	switch bounds.Taken(cmp, &m.regs[in.Dst], src, width) {
	case bounds.Yes:
		m.pc += int(in.Off)
		return
	case bounds.No:
		return
	}
	other := m.regs
	imm2 := imm
	osrc := &imm2
	if in.Op&8 != 0 {
		osrc = &other[in.Src]
	}
	bounds.Refine(cmp.Opposite(), &m.regs[in.Dst], src, width)
	bounds.Refine(cmp, &other[in.Dst], osrc, width)
	sane(&m.regs[in.Dst])
	sane(src)
	sane(&other[in.Dst])
	sane(osrc)
	m.other[at] = other
}

// text is a register as the verifier's log shows it.
func text(s bounds.Scalar) string {
	return (&state.Reg{Type: state.ScalarValue, Scalar: s}).Text(0)
}

func disasm(in link.Raw) string {
	return fmt.Sprintf("(%02x) dst=r%d src=r%d off=%d imm=%d", in.Op, in.Dst, in.Src, in.Off, in.Imm)
}
