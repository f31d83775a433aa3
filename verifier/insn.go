package verifier

import (
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/link"
)

// slot is one instruction slot of the program, numbered as the kernel does. The
// second slot of a 64-bit load is the zero slot with Second set.
type slot struct {
	link.Raw
	// insn is what the linker knows; nil for a second half.
	insn *link.Insn
	// imm64 is the immediate of a 64-bit load.
	imm64 uint64
	// target is the slot that a jump, call or function address leads to; -1 for none.
	target int
}

// Opcode bytes and masks that several files look at.
const (
	opLoadImm64 = uint8(asm.LdClass) | uint8(asm.DWord)
	opCall      = uint8(asm.JumpClass) | uint8(asm.Call)
	opExit      = uint8(asm.JumpClass) | uint8(asm.Exit)
	opJump      = uint8(asm.JumpClass) | uint8(asm.Ja)
	opJumpLong  = uint8(asm.Jump32Class) | uint8(asm.Ja)
	opMayGoto   = uint8(asm.JumpClass) | 0xe0

	classMask = 0x07
	sourceX   = 0x08 // BPF_X: the source is a register

	pseudoCall      = 1 // src of a call of a function of the program
	pseudoKfuncCall = 2 // src of a call of a kfunc
	pseudoFunc      = 4 // src of a load of a function's address
	pseudoMapFD     = 1 // src of a load of a map
	pseudoMapValue  = 2 // src of a load of a map value's address
	pseudoBTFID     = 3 // src of a load of a kernel symbol's address
)

// class is the instruction class.
func (s *slot) class() uint8 { return s.Op & classMask }

// isSecond reports whether the slot is the second half of a 64-bit load.
func (s *slot) isSecond() bool { return s.insn == nil }

// isPseudoCall reports whether s calls a function of the program.
func (s *slot) isPseudoCall() bool { return s.Op == opCall && s.Src == pseudoCall }

// isKfuncCall reports whether s calls a kfunc.
func (s *slot) isKfuncCall() bool { return s.Op == opCall && s.Src == pseudoKfuncCall }

// isHelperCall reports whether s calls a helper.
func (s *slot) isHelperCall() bool { return s.Op == opCall && s.Src == 0 }

// isFuncAddr reports whether s loads the address of a function of the program.
func (s *slot) isFuncAddr() bool { return s.Op == opLoadImm64 && s.Src == pseudoFunc }

// name is the helper or kfunc that s calls, "" for none.
func (s *slot) name() string {
	if s.insn == nil || s.insn.Call == nil {
		return ""
	}
	return s.insn.Call.Name
}

// newSlots lays a linked program out in slots.
func newSlots(p *link.Program) ([]slot, error) {
	slots := make([]slot, p.Slots())
	for i := range slots {
		slots[i].target = -1
	}
	for i := range p.Insns {
		in := &p.Insns[i]
		raw, err := link.Encode(&in.Instruction)
		if err != nil {
			return nil, &link.Error{Program: p.Name, Insn: in.Slot, Source: in.Line, Err: err}
		}
		s := &slots[in.Slot]
		s.Raw, s.insn = raw, in
		if raw.Op == opLoadImm64 {
			s.imm64 = uint64(in.Constant)
		}
		if in.Target >= 0 {
			s.target = p.Insns[in.Target].Slot
		}
	}
	return slots, nil
}
