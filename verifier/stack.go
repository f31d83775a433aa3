package verifier

import (
	"math/bits"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/cfg"
	"github.com/bpfct/bpfct/verifier/state"
)

// maxVarOff bounds variable offsets that are computed with (BPF_MAX_VAR_OFF).
const maxVarOff = 1 << 29

// access is what is done to memory.
type access uint8

const (
	read access = iota
	write
)

// stackVerb is the access in messages about the stack.
func (a access) stackVerb() string {
	if a == write {
		return " write to"
	}
	return " read from"
}

// frameOf is the frame that a stack pointer points into.
func (e *env) frameOf(r *state.Reg) *state.Frame { return e.cur.Frames[r.Frame] }

// stackRange is the lowest and the highest offset of an access through r. It is
// checked to lie in the frame, which grows to hold it.
func (e *env) stackRange(regno uint8, r *state.Reg, off, size int, how access) (lo, hi int, err error) {
	if r.Var.IsConst() {
		lo = int(int64(r.Var.Value)) + off
		hi = lo + size
	} else {
		if r.SMax >= maxVarOff || r.SMin <= -maxVarOff {
			return 0, 0, e.reject(errno.EACCES, "invalid unbounded variable-offset%s stack R%d", how.stackVerb(), regno)
		}
		lo, hi = int(r.SMin)+off, int(r.SMax)+off+size
	}
	var no errno.Errno
	switch {
	case lo < -maxStack || lo > -1:
		no = errno.EACCES
	case hi > 0:
		no = errno.EINVAL
	case size < 0:
		no = errno.EFAULT
	}
	if no != 0 {
		if r.Var.IsConst() {
			return 0, 0, e.reject(no, "invalid%s stack R%d off=%d size=%d", how.stackVerb(), regno, lo, size)
		}
		return 0, 0, e.reject(no, "invalid variable-offset%s stack R%d var_off=%s off=%d size=%d",
			how.stackVerb(), regno, r.Var, off, size)
	}
	f := e.frameOf(r)
	f.Grow((-lo + state.RegSize - 1) / state.RegSize)
	e.noteStackDepth(f, -lo)
	return lo, hi, nil
}

// width is the number of bits that a number may need.
func width(r *state.Reg) int { return bits.Len64(r.UMax) }

// shareID gives a number that is copied an ID, by which the copies learn of each
// other (assign_scalar_id_before_mov).
func (e *env) shareID(r *state.Reg) {
	if r.Type != state.ScalarValue {
		return
	}
	if r.ID&state.AddConst != 0 {
		r.ID, r.Off = 0, 0
	}
	if r.ID == 0 && !r.Var.IsConst() {
		r.ID = e.newID()
	}
}

// spill stores r in a slot's low size bytes.
func spill(sl *state.Slot, r *state.Reg, size int) {
	sl.Spilled = *r
	i := state.RegSize - 1
	for ; i >= state.RegSize-size; i-- {
		sl.Bytes[i] = state.SlotSpill
	}
	for ; i >= 0; i-- {
		// A zero stays one; what was never written stays so.
		if sl.Bytes[i] != state.SlotZero && sl.Bytes[i] != state.SlotInvalid {
			sl.Bytes[i] = state.SlotMisc
		}
	}
}

// spillable reports whether a register of type t can be stored and read back with
// all that is known of it (is_spillable_regtype).
func spillable(t state.Type) bool {
	switch t.Base() {
	case state.PtrToMapValue, state.PtrToStack, state.PtrToCtx, state.PtrToPacket, state.PtrToPacketMeta,
		state.PtrToPacketEnd, state.PtrToFlowKeys, state.ConstPtrToMap, state.PtrToSocket, state.PtrToSockCommon,
		state.PtrToTCPSock, state.PtrToXDPSock, state.PtrToBTFID, state.PtrToBuf, state.PtrToMem, state.PtrToFunc,
		state.PtrToMapKey, state.PtrToArena:
		return true
	}
	return false
}

// writeStack stores size bytes through r: of register value, or of an immediate when
// value is nil.
func (e *env) writeStack(regno uint8, r *state.Reg, off, size int, valueNo int, imm *int32) error {
	lo, hi, err := e.stackRange(regno, r, off, size, write)
	if err != nil {
		return err
	}
	f := e.frameOf(r)
	var value *state.Reg
	if valueNo >= 0 {
		value = e.reg(uint8(valueNo))
	}
	if !r.Var.IsConst() {
		return e.writeStackVar(f, lo, hi, value, valueNo, imm)
	}
	i, first := state.Index(lo)
	if err := e.destroyDynptr(f, i); err != nil {
		return err
	}
	sl := &f.Stack[i]
	e.touchSlot(f, i)
	aligned := lo%state.RegSize == 0
	if aligned && size == state.RegSize {
		e.writesSlot(f, i)
	}
	switch {
	case value != nil && aligned && value.Type == state.ScalarValue:
		fits := width(value) <= 8*size
		if fits {
			e.shareID(value)
		}
		spill(sl, value, size)
		if !fits {
			sl.Spilled.ID = 0 // a part of a number is another number
		}
	case value == nil && imm != nil && aligned:
		var known state.Reg
		known.MarkConst(uint64(int64(*imm)))
		spill(sl, &known, size)
	case value != nil && spillable(value.Type):
		if size != state.RegSize {
			return e.reject(errno.EACCES, "invalid size of register spill")
		}
		if f != e.cur.Cur() && value.Type == state.PtrToStack {
			return e.reject(errno.EINVAL, "cannot spill pointers to stack into stack frame of the caller")
		}
		spill(sl, value, size)
	default:
		return e.writeStackBytes(sl, first, size, value, valueNo, imm)
	}
	e.pushHistory(state.Jump{Insn: e.insn, Prev: e.prevInsn, StackAccess: true, StackFrame: int(f.No), StackSlot: i})
	return nil
}

// writeStackBytes stores what cannot be kept as a register.
func (e *env) writeStackBytes(sl *state.Slot, first, size int, value *state.Reg, valueNo int, imm *int32) error {
	scrub(sl)
	kind := state.SlotMisc
	if value != nil && value.IsNull() || value == nil && imm != nil && *imm == 0 {
		if value != nil {
			if err := e.markPrecise(valueNo); err != nil {
				return err
			}
		}
		kind = state.SlotZero
	}
	for j := range size {
		sl.Bytes[(first-j+state.RegSize)%state.RegSize] = kind
	}
	return nil
}

// scrub makes a slot that held a register or an object plain bytes.
func scrub(sl *state.Slot) {
	if sl.IsSpilled() || sl.IsSpecial() {
		for j := range sl.Bytes {
			if sl.Bytes[j] != state.SlotInvalid {
				sl.Bytes[j] = state.SlotMisc
			}
		}
	}
	sl.Spilled = state.Reg{}
}

// writeStackVar stores somewhere between two offsets: any of the bytes may have
// changed.
func (e *env) writeStackVar(f *state.Frame, lo, hi int, value *state.Reg, valueNo int, imm *int32) error {
	zero := value != nil && value.IsNull() || value == nil && imm != nil && *imm == 0
	for off := lo; off < hi; off++ {
		i, _ := state.Index(off)
		if err := e.destroyDynptr(f, i); err != nil {
			return err
		}
	}
	usedZero := false
	for off := lo; off < hi; off++ {
		i, b := state.Index(off)
		sl := &f.Stack[i]
		e.touchSlot(f, i)
		if zero && sl.Bytes[b] == state.SlotSpill && sl.IsSpilledScalar() && sl.Spilled.IsNull() {
			usedZero = true
			continue
		}
		// What was spilled there may not be whole any more.
		scrub(sl)
		kind := state.SlotMisc
		if zero && sl.Bytes[b] == state.SlotZero {
			kind, usedZero = state.SlotZero, true
		}
		sl.Bytes[b] = kind
	}
	if usedZero && value != nil {
		return e.markPrecise(valueNo)
	}
	return nil
}

// readStack loads size bytes through r into register dst; -1 for a read by somebody
// else, whose bytes only need to be there.
func (e *env) readStack(regno uint8, r *state.Reg, off, size, dst int) error {
	lo, hi, err := e.stackRange(regno, r, off, size, read)
	if err != nil {
		return err
	}
	f := e.frameOf(r)
	if !r.Var.IsConst() {
		if dst < 0 {
			return e.reject(errno.EACCES, "variable offset stack pointer cannot be passed into helper function; var_off=%s off=%d size=%d",
				r.Var, off, size)
		}
		if err := e.checkStackInitialized(regno, off, size, false, read, nil); err != nil {
			return err
		}
		e.readStackBytes(f, lo, hi, dst)
		return nil
	}
	i, first := state.Index(lo)
	sl := &f.Stack[i]
	e.touchSlot(f, i)
	e.readsSlot(f, i)
	if !sl.IsSpilled() {
		for j := range size {
			if t := sl.Bytes[(first-j+state.RegSize)%state.RegSize]; t != state.SlotMisc && t != state.SlotZero && t != state.SlotInvalid {
				return e.reject(errno.EACCES, "invalid read from stack off %d+%d size %d", lo, j, size)
			}
		}
		if dst >= 0 {
			e.readStackBytes(f, lo, hi, dst)
		}
		return nil
	}
	isFill, err := e.fill(sl, lo, first, size, dst)
	if err == nil && isFill {
		e.pushHistory(state.Jump{Insn: e.insn, Prev: e.prevInsn, StackAccess: true, StackFrame: int(f.No), StackSlot: i})
	}
	return err
}

// fill reads a slot that has a spilled register. isFill reports whether dst now is
// that register, or a part of it that is known.
func (e *env) fill(sl *state.Slot, lo, first, size, dst int) (isFill bool, err error) {
	r := &sl.Spilled
	spilled := 0
	for i := state.RegSize - 1; i >= 0 && sl.Bytes[i] == state.SlotSpill; i-- {
		spilled++
	}
	if size == state.RegSize && spilled == state.RegSize {
		if dst >= 0 {
			*e.reg(uint8(dst)) = *r
		}
		return true, nil
	}
	if r.Type != state.ScalarValue {
		return false, e.reject(errno.EACCES, "invalid size of register fill")
	}
	if dst < 0 {
		return true, nil
	}
	d := e.reg(uint8(dst))
	if size <= spilled && lo%state.RegSize == 0 {
		if size == 4 && spilled == 4 && width(r) <= 32 {
			e.shareID(r)
		}
		def := d.SubregDef
		*d = *r
		d.SubregDef = def
		if width(r) > 8*size {
			d.ID = 0 // a part of a number is another number
		}
		return true, nil
	}
	nSpilled, nZero := 0, 0
	for j := range size {
		switch sl.Bytes[(first-j+state.RegSize)%state.RegSize] {
		case state.SlotSpill:
			nSpilled++
		case state.SlotZero:
			nZero++
		case state.SlotMisc, state.SlotInvalid:
		default:
			return false, e.reject(errno.EACCES, "invalid read from stack off %d+%d size %d", lo, j, size)
		}
	}
	def := d.SubregDef
	switch {
	case nSpilled == size && r.IsNull():
		d.MarkConst(0)
		isFill = true
	case nZero == size:
		d.MarkConst(0)
	default:
		d.MarkUnknown()
	}
	d.SubregDef = def
	return isFill, nil
}

// readStackBytes gives dst what the bytes between two offsets make: zero, or some
// number.
func (e *env) readStackBytes(f *state.Frame, lo, hi, dst int) {
	d := e.reg(uint8(dst))
	def := d.SubregDef
	zero := true
	for off := lo; off < hi && zero; off++ {
		i, b := state.Index(off)
		e.touchSlot(f, i)
		zero = f.Stack[i].Bytes[b] == state.SlotZero
	}
	if zero {
		d.MarkConst(0)
	} else {
		d.MarkUnknown()
	}
	d.SubregDef = def
}

// touchSlot notes a slot for the log, which shows that slot of the executing frame,
// whichever frame was meant.
func (e *env) touchSlot(_ *state.Frame, i int) { e.touched.Slot(i) }

// readsSlot and writesSlot note that the instruction reads a slot, or overwrites it
// wholly: what is on the stack matters only as long as somebody reads it.
func (e *env) readsSlot(f *state.Frame, i int) {
	e.live.Read(e.cur, int(f.No), e.insn, cfg.SlotMask(i))
}

func (e *env) writesSlot(f *state.Frame, i int) { e.live.Write(int(f.No), cfg.SlotMask(i)) }

// readsObject is readsSlot for a slot of a dynptr, iterator or saved flags.
func (e *env) readsObject(f *state.Frame, i int) {
	e.readsSlot(f, i)
	e.touchSlot(f, i)
}
