package verifier

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/bounds"
	"github.com/bpfct/bpfct/verifier/state"
)

// memOp is one access to memory through a register.
type memOp struct {
	regno uint8 // the pointer
	off   int   // fixed offset from it
	size  int   // bytes
	how   access
	// value is the register that is loaded or stored, -1 for none; imm is what is
	// stored in place of a register.
	value int
	imm   *int32
	// signed is set for a load that extends the sign.
	signed bool
	// strict demands alignment, as atomic operations do.
	strict bool
}

// noRegister is the value of an access that moves no register.
const noRegister = -1

// accessMem checks an access and does to the registers what it does
// (check_mem_access).
func (e *env) accessMem(op memOp) error {
	r := e.reg(op.regno)
	if err := e.checkAlignment(r, &op); err != nil {
		return err
	}
	op.off += int(r.Off)
	if err := e.accessKind(r, &op); err != nil {
		return err
	}
	if op.how == read && op.value >= 0 && op.size < state.RegSize {
		if d := e.reg(uint8(op.value)); d.Type == state.ScalarValue {
			if op.signed {
				d.SignExtend(op.size, 64)
			} else {
				d.Truncate(op.size)
			}
		}
	}
	return nil
}

// accessKind checks an access by what the register points to.
func (e *env) accessKind(r *state.Reg, op *memOp) error {
	switch base := r.Type.Base(); {
	case r.Type == state.PtrToMapKey:
		if op.how == write {
			return e.reject(errno.EACCES, "write to change key R%d not allowed", op.regno)
		}
		return e.accessRegion(r, op, int(r.Map.Spec.KeySize))
	case r.Type == state.PtrToMapValue:
		return e.accessMapValue(r, op)
	case base == state.PtrToMem:
		return e.accessPlainMem(r, op)
	case r.Type == state.PtrToCtx:
		return e.accessCtx(r, op)
	case r.Type == state.PtrToStack:
		if op.how == read {
			return e.readStack(op.regno, r, op.off, op.size, op.value)
		}
		return e.writeStack(op.regno, r, op.off, op.size, op.value, op.imm)
	case r.Type.IsPacket():
		if op.how == write && !e.mayWritePacket() {
			return e.reject(errno.EACCES, "cannot write into packet")
		}
		if err := e.checkPacket(op.regno, r, op.off, op.size, false); err != nil {
			return err
		}
		e.loadUnknown(op)
		return nil
	case r.Type.IsSocket():
		if op.how == write {
			return e.reject(errno.EACCES, "R%d cannot write into %s", op.regno, r.Type)
		}
		return e.accessSocket(r, op)
	case base == state.PtrToBTFID && !r.MayBeNull():
		return e.accessBTF(r, op)
	case r.Type == state.ConstPtrToMap:
		return e.accessMapPtr(r, op)
	}
	return e.reject(errno.EACCES, "R%d invalid mem access '%s'", op.regno, r.Type)
}

// loadUnknown makes the register that an access loads some number.
func (e *env) loadUnknown(op *memOp) {
	if op.how == read && op.value >= 0 {
		d := e.reg(uint8(op.value))
		def := d.SubregDef
		d.MarkUnknown()
		d.SubregDef = def
	}
}

// alignedNames are the pointers whose accesses must be aligned where alignment is
// demanded, as messages call them.
var alignedNames = map[state.Type]string{
	state.PtrToFlowKeys: "flow keys ", state.PtrToMapKey: "key ", state.PtrToMapValue: "value ",
	state.PtrToCtx: "context ", state.PtrToStack: "stack ", state.PtrToSocket: "sock ",
	state.PtrToSockCommon: "sock_common ", state.PtrToTCPSock: "tcp_sock ", state.PtrToXDPSock: "xdp_sock ",
}

// netIPAlign is what the start of a packet is off a multiple of 4 (NET_IP_ALIGN) where
// alignment matters.
const netIPAlign = 2

// checkAlignment demands alignment of stack accesses, whose bytes are tracked, and of
// atomic ones (check_ptr_alignment).
func (e *env) checkAlignment(r *state.Reg, op *memOp) error {
	strict := op.strict || e.opts.StrictAlignment || r.Type == state.PtrToStack
	if !strict || op.size == 1 || r.Type == state.PtrToArena {
		return nil
	}
	base := int64(r.Off) + int64(op.off)
	if r.Type.IsPacket() {
		if r.Var.Add(bounds.TnumConst(uint64(netIPAlign + base))).IsAligned(uint64(op.size)) {
			return nil
		}
		return e.reject(errno.EACCES, "misaligned packet access off %d+%s+%d+%d size %d", netIPAlign, r.Var, r.Off, op.off, op.size)
	}
	if r.Var.Add(bounds.TnumConst(uint64(base))).IsAligned(uint64(op.size)) {
		return nil
	}
	return e.reject(errno.EACCES, "misaligned %saccess off %s+%d+%d size %d", alignedNames[r.Type], r.Var, r.Off, op.off, op.size)
}

// checkBounds checks that size bytes at off lie in a region, and says otherwise what
// r points to (__check_mem_access).
func (e *env) checkBounds(regno uint8, r *state.Reg, off int64, size, region int, zeroAllowed bool) error {
	if off >= 0 && (size > 0 || size == 0 && zeroAllowed) && uint64(off)+uint64(size) <= uint64(uint32(region)) {
		return nil
	}
	o := int32(off)
	switch r.Type {
	case state.PtrToMapKey:
		return e.reject(errno.EACCES, "invalid access to map key, key_size=%d off=%d size=%d", region, o, size)
	case state.PtrToMapValue:
		return e.reject(errno.EACCES, "invalid access to map value, value_size=%d off=%d size=%d", region, o, size)
	case state.PtrToPacket, state.PtrToPacketMeta, state.PtrToPacketEnd:
		return e.reject(errno.EACCES, "invalid access to packet, off=%d size=%d, R%d(id=%d,off=%d,r=%d)",
			o, size, regno, r.ID, o, region)
	}
	return e.reject(errno.EACCES, "invalid access to memory, mem_size=%d off=%d size=%d", uint32(region), o, size)
}

// checkRegion checks an access whose pointer may have a variable offset, at both ends
// (check_mem_region_access).
func (e *env) checkRegion(regno uint8, r *state.Reg, off, size, region int, zeroAllowed bool) error {
	lowest := int64(off) + r.SMin
	if r.SMin < 0 && (r.SMin == -1<<63 || lowest != int64(int32(lowest)) || lowest < 0) {
		return e.reject(errno.EACCES,
			"R%d min value is negative, either use unsigned index or do a if (index >=0) check.", regno)
	}
	if err := e.checkBounds(regno, r, lowest, size, region, zeroAllowed); err != nil {
		return e.explainMore(err, "R%d min value is outside of the allowed memory range", regno)
	}
	if r.UMax >= maxVarOff {
		return e.reject(errno.EACCES, "R%d unbounded memory access, make sure to bounds check any such access", regno)
	}
	if err := e.checkBounds(regno, r, int64(r.UMax)+int64(off), size, region, zeroAllowed); err != nil {
		return e.explainMore(err, "R%d max value is outside of the allowed memory range", regno)
	}
	return nil
}

// accessRegion is an access to memory of a known size with nothing special in it.
func (e *env) accessRegion(r *state.Reg, op *memOp, region int) error {
	if err := e.checkRegion(op.regno, r, op.off, op.size, region, false); err != nil {
		return err
	}
	e.loadUnknown(op)
	return nil
}

// accessPlainMem is an access to a PtrToMem.
func (e *env) accessPlainMem(r *state.Reg, op *memOp) error {
	readOnly := r.Type.Has(state.ReadOnly)
	if r.MayBeNull() {
		return e.reject(errno.EACCES, "R%d invalid mem access '%s'", op.regno, r.Type)
	}
	if op.how == write && readOnly {
		return e.reject(errno.EACCES, "R%d cannot write into %s", op.regno, r.Type)
	}
	// Untrusted memory is read with a net below.
	if !readOnly || !r.Type.Has(state.Untrusted) {
		if err := e.checkRegion(op.regno, r, op.off, op.size, int(r.MemSize), false); err != nil {
			return err
		}
	}
	e.loadUnknown(op)
	return nil
}

// checkPacket checks an access to a packet against what the program compared with
// its end (check_packet_access).
func (e *env) checkPacket(regno uint8, r *state.Reg, off, size int, zeroAllowed bool) error {
	if r.SMin < 0 {
		return e.reject(errno.EACCES,
			"R%d min value is negative, either use unsigned index or do a if (index >=0) check.", regno)
	}
	if r.Range < 0 {
		return e.reject(errno.EINVAL, "R%d offset is outside of the packet", regno)
	}
	if err := e.checkBounds(regno, r, int64(off), size, int(r.Range), zeroAllowed); err != nil {
		return e.explainMore(err, "R%d offset is outside of the packet", regno)
	}
	return nil
}

// mayWritePacket reports whether programs of this type may write to the packet
// directly.
func (e *env) mayWritePacket() bool {
	switch e.prog.Type {
	case ebpf.SchedCLS, ebpf.SchedACT, ebpf.XDP, ebpf.LWTXmit, ebpf.SkSKB, ebpf.SkMsg:
		e.seenDirectWrite = true
		return true
	}
	return false
}

// checkFixedOffset demands a pointer that was not moved, or not by a variable
// (__check_ptr_off_reg).
func (e *env) checkFixedOffset(regno uint8, r *state.Reg, fixedAllowed bool) error {
	switch {
	case r.Off < 0:
		return e.reject(errno.EACCES, "negative offset %s ptr R%d off=%d disallowed", r.Type, regno, r.Off)
	case !fixedAllowed && r.Off != 0:
		return e.reject(errno.EACCES, "dereference of modified %s ptr R%d off=%d disallowed", r.Type, regno, r.Off)
	case !r.Var.IsConst() || r.Var.Value != 0:
		return e.reject(errno.EACCES, "variable %s access var_off=%s disallowed", r.Type, r.Var)
	}
	return nil
}

// checkLoad is BPF_LDX.
func (e *env) checkLoad(s *slot) error {
	if err := e.readReg(s.Src); err != nil {
		return err
	}
	if err := e.writeReg(s.Dst, false); err != nil {
		return err
	}
	t := e.reg(s.Src).Type
	mode := asm.OpCode(s.Op).Mode()
	atomic := mode == asm.AtomicMode
	err := e.accessMem(memOp{regno: s.Src, off: int(s.Off), size: asm.OpCode(s.Op).Size().Sizeof(), how: read,
		value: int(s.Dst), signed: mode == memSXMode, strict: atomic})
	if err != nil {
		return err
	}
	return e.notePointer(t, !atomic)
}

// memSXMode is the mode of a load that extends the sign (BPF_MEMSX).
const memSXMode = asm.Mode(0x80)

// checkStoreX is BPF_STX: a store of a register, or an atomic operation.
func (e *env) checkStoreX(s *slot) error {
	if asm.OpCode(s.Op).Mode() == asm.AtomicMode {
		return e.checkAtomic(s)
	}
	if asm.OpCode(s.Op).Mode() != asm.MemMode || s.Imm != 0 {
		return e.reject(errno.EINVAL, "BPF_STX uses reserved fields")
	}
	if err := e.readReg(s.Src); err != nil {
		return err
	}
	if err := e.readReg(s.Dst); err != nil {
		return err
	}
	t := e.reg(s.Dst).Type
	err := e.accessMem(memOp{regno: s.Dst, off: int(s.Off), size: asm.OpCode(s.Op).Size().Sizeof(), how: write, value: int(s.Src)})
	if err != nil {
		return err
	}
	return e.notePointer(t, false)
}

// checkStoreImm is BPF_ST.
func (e *env) checkStoreImm(s *slot) error {
	if asm.OpCode(s.Op).Mode() != asm.MemMode || s.Src != 0 {
		return e.reject(errno.EINVAL, "BPF_ST uses reserved fields")
	}
	if err := e.readReg(s.Dst); err != nil {
		return err
	}
	t := e.reg(s.Dst).Type
	imm := s.Imm
	err := e.accessMem(memOp{regno: s.Dst, off: int(s.Off), size: asm.OpCode(s.Op).Size().Sizeof(), how: write,
		value: noRegister, imm: &imm})
	if err != nil {
		return err
	}
	return e.notePointer(t, false)
}

// notePointer remembers by what kind of pointer the instruction accesses memory: the
// kernel rewrites the instruction for it, so all paths must agree
// (save_aux_ptr_type).
func (e *env) notePointer(t state.Type, trustMayDiffer bool) error {
	a := &e.aux[e.insn]
	if a.ptr == state.NotInit {
		a.ptr = t
		return nil
	}
	if a.ptr == t || !rewritten(a.ptr) && !rewritten(t) {
		return nil
	}
	if trustMayDiffer && a.ptr.Base() == state.PtrToBTFID && t.Base() == state.PtrToBTFID {
		// A load that may be from untrusted memory gets a net below.
		if !a.ptr.Has(state.Untrusted) {
			a.ptr = t
		}
		return nil
	}
	return e.reject(errno.EINVAL, "same insn cannot be used with different pointers")
}

// rewritten reports whether the kernel turns accesses through t into other
// instructions (reg_type_mismatch_ok).
func rewritten(t state.Type) bool {
	switch t.Base() {
	case state.PtrToCtx, state.PtrToSocket, state.PtrToSockCommon, state.PtrToTCPSock, state.PtrToXDPSock,
		state.PtrToBTFID, state.PtrToArena:
		return true
	}
	return false
}
