package verifier

import (
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// Operations of an atomic instruction, as its immediate.
const (
	atomicFetch    = 0x01
	atomicXchg     = 0xe0 | atomicFetch
	atomicCmpXchg  = 0xf0 | atomicFetch
	atomicLoadAcq  = 0x100
	atomicStoreRel = 0x110
)

// checkAtomic is BPF_STX with BPF_ATOMIC.
func (e *env) checkAtomic(s *slot) error {
	switch s.Imm {
	case int32(asm.Add), int32(asm.Add) | atomicFetch, int32(asm.And), int32(asm.And) | atomicFetch,
		int32(asm.Or), int32(asm.Or) | atomicFetch, int32(asm.Xor), int32(asm.Xor) | atomicFetch,
		atomicXchg, atomicCmpXchg:
		return e.checkAtomicRMW(s)
	case atomicLoadAcq:
		if !e.atomicAllowed(s.Src) {
			if err := e.readReg(s.Src); err != nil {
				return err
			}
			return e.reject(errno.EACCES, "BPF_ATOMIC loads from R%d %s is not allowed", s.Src, e.reg(s.Src).Type)
		}
		return e.checkLoad(s)
	case atomicStoreRel:
		if err := e.readReg(s.Src); err != nil {
			return err
		}
		if err := e.readReg(s.Dst); err != nil {
			return err
		}
		if !e.atomicAllowed(s.Dst) {
			return e.reject(errno.EACCES, "BPF_ATOMIC stores into R%d %s is not allowed", s.Dst, e.reg(s.Dst).Type)
		}
		t := e.reg(s.Dst).Type
		if err := e.accessMem(memOp{regno: s.Dst, off: int(s.Off), size: asm.OpCode(s.Op).Size().Sizeof(), how: write,
			value: int(s.Src), strict: true}); err != nil {
			return err
		}
		return e.notePointer(t, false)
	}
	return e.reject(errno.EINVAL, "BPF_ATOMIC uses invalid atomic opcode %02x", uint32(s.Imm))
}

// atomicAllowed reports whether register n points to memory that can be accessed
// atomically (atomic_ptr_type_ok).
func (e *env) atomicAllowed(n uint8) bool {
	r := e.reg(n)
	return r.Type != state.PtrToCtx && !r.Type.IsPacket() && r.Type != state.PtrToFlowKeys && !r.Type.IsSocket()
}

// checkAtomicRMW is an operation that reads, changes and writes.
func (e *env) checkAtomicRMW(s *slot) error {
	size := asm.OpCode(s.Op).Size().Sizeof()
	if size != 4 && size != 8 {
		return e.reject(errno.EINVAL, "invalid atomic operand size")
	}
	if err := e.readReg(s.Src); err != nil {
		return err
	}
	if err := e.readReg(s.Dst); err != nil {
		return err
	}
	if s.Imm == atomicCmpXchg {
		if err := e.readReg(0); err != nil {
			return err
		}
	}
	if !e.atomicAllowed(s.Dst) {
		return e.reject(errno.EACCES, "BPF_ATOMIC stores into R%d %s is not allowed", s.Dst, e.reg(s.Dst).Type)
	}
	load := noRegister
	if s.Imm&atomicFetch != 0 {
		load = int(s.Src)
		if s.Imm == atomicCmpXchg {
			load = 0
		}
		if err := e.writeReg(uint8(load), true); err != nil {
			return err
		}
	}
	t := e.reg(s.Dst).Type
	op := memOp{regno: s.Dst, off: int(s.Off), size: size, how: read, value: noRegister, strict: true}
	if err := e.accessMem(op); err != nil {
		return err
	}
	if load != noRegister {
		op.value = load
		if err := e.accessMem(op); err != nil {
			return err
		}
	}
	op.how, op.value = write, noRegister
	if err := e.accessMem(op); err != nil {
		return err
	}
	return e.notePointer(t, false)
}
