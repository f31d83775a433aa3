package state

// Exactness says how alike two states must be.
type Exactness uint8

// The three levels.
const (
	// NotExact lets an unexplored state be a special case of an explored one in what
	// mattered there: numbers that were never decisive may differ.
	NotExact Exactness = iota
	// Exact wants the same. It finds endless loops.
	Exact
	// RangeWithin is NotExact with all numbers treated as decisive. It finds loops
	// that converge.
	RangeWithin
)

// IDs pairs the IDs of two states while they are compared: each ID of one stands for
// one ID of the other.
type IDs struct {
	// AllPrecise makes the comparison look at all numbers, decisive or not.
	AllPrecise bool

	pairs [][2]uint32
	next  uint32
}

// Reset forgets all pairs; fresh is an ID that neither state uses yet.
func (m *IDs) Reset(fresh uint32) { m.pairs, m.next = m.pairs[:0], fresh }

// match reports whether old may stand for cur, and remembers it.
func (m *IDs) match(old, cur uint32) bool {
	if (old == 0) != (cur == 0) {
		return false
	}
	if old == 0 {
		return true
	}
	for _, p := range m.pairs {
		if p[0] == old {
			return p[1] == cur
		}
		if p[1] == cur {
			return false
		}
	}
	m.pairs = append(m.pairs, [2]uint32{old, cur})
	return true
}

// matchScalars is match for numbers, for which an ID that only one of them has
// means nothing more than none.
func (m *IDs) matchScalars(old, cur uint32) bool {
	fresh := func(id uint32) uint32 {
		if id != 0 {
			return id
		}
		m.next++
		return m.next
	}
	return m.match(fresh(old), fresh(cur))
}

// sameValue compares everything but IDs, the frame, where a register was defined, and
// whether it mattered.
func sameValue(a, b *Reg) bool {
	return sameKind(a, b) && a.Scalar == b.Scalar && a.Range == b.Range
}

// regsExact is sameValue with IDs that pair.
func (m *IDs) regsExact(old, cur *Reg) bool {
	return sameValue(old, cur) && m.match(old.ID, cur.ID) && m.match(old.RefObjID, cur.RefObjID)
}

// Same reports whether two registers are the same, IDs pairing.
func (m *IDs) Same(old, cur *Reg) bool { return m.regsExact(old, cur) }

// SameReg reports whether two registers are the same, IDs included.
func SameReg(a, b *Reg) bool {
	return a.ID == b.ID && a.RefObjID == b.RefObjID && sameValue(a, b)
}

// sameKind compares what is not a number or an ID.
func sameKind(old, cur *Reg) bool {
	return old.Type == cur.Type && old.Off == cur.Off && old.MemSize == cur.MemSize &&
		old.Map == cur.Map && old.MapUID == cur.MapUID && old.BTF == cur.BTF && old.Subprog == cur.Subprog &&
		old.Dynptr == cur.Dynptr && old.First == cur.First && old.DynptrID == cur.DynptrID &&
		old.Iter == cur.Iter && old.IterDepth == cur.IterDepth && old.IRQ == cur.IRQ
}

// RegSafe reports whether a register that was safe as old is safe as cur
// (regsafe).
func (m *IDs) RegSafe(old, cur *Reg, how Exactness) bool {
	if how == Exact {
		return m.regsExact(old, cur)
	}
	if old.Type == NotInit && (how == NotExact || cur.Type == NotInit) {
		return true
	}
	if old.Type != cur.Type {
		return false
	}
	inside := func() bool { return old.Within(&cur.Scalar) && old.Var.In(cur.Var) }
	switch old.Type.Base() {
	case ScalarValue:
		if !old.Precise && how == NotExact && !m.AllPrecise {
			return true
		}
		// A link that only cur has is one more thing known of it.
		if old.ID != 0 && (old.ID&AddConst != cur.ID&AddConst || old.ID&AddConst != 0 && old.Off != cur.Off ||
			!m.matchScalars(old.ID, cur.ID)) {
			return false
		}
		return inside()
	case PtrToMapKey, PtrToMapValue, PtrToMem, PtrToBuf, PtrToTPBuffer:
		return sameKind(old, cur) && inside() && m.match(old.ID, cur.ID) && m.match(old.RefObjID, cur.RefObjID)
	case PtrToPacket, PtrToPacketMeta:
		if old.Range > cur.Range || old.Off != cur.Off || !m.match(old.ID, cur.ID) {
			return false
		}
		return inside()
	case PtrToStack:
		return m.regsExact(old, cur) && old.Frame == cur.Frame
	case PtrToArena:
		return true
	}
	return m.regsExact(old, cur)
}

// unknown is a number of which nothing is known, as bytes hold it that were written
// with something.
var unknown = func() (r Reg) {
	r.MarkUnknown()
	return r
}()

// asScalar is the number in a slot for a comparison: a spilled one, or an unknown one
// for bytes that hold some number or nothing. nil for anything else.
func (s *Slot) asScalar() *Reg {
	if s.IsSpilledFully() && s.Spilled.Type == ScalarValue {
		return &s.Spilled
	}
	for _, t := range s.Bytes {
		if t != SlotMisc && t != SlotInvalid {
			return nil
		}
	}
	return &unknown
}

// stackSafe compares stacks byte by byte (stacksafe). Slots that cur has beyond those
// of old do not matter: old was safe without them.
func (m *IDs) stackSafe(old, cur *Frame, how Exactness) bool {
	for i := range old.Stack {
		so, sc := &old.Stack[i], &empty
		if i < len(cur.Stack) {
			sc = &cur.Stack[i]
		} else if how != NotExact {
			return false
		}
		if how != NotExact && so.Bytes != sc.Bytes {
			return false
		}
		if !m.slotSafe(so, sc, how, i >= len(cur.Stack)) {
			return false
		}
	}
	return true
}

var empty Slot

// slotSafe compares one slot of old. missing says that cur's stack ends before.
func (m *IDs) slotSafe(so, sc *Slot, how Exactness, missing bool) bool {
	for j := range so.Bytes {
		bo, bc := so.Bytes[j], sc.Bytes[j]
		// What was never written may be read, and is like some number then.
		if bo == SlotInvalid || bo == SlotMisc {
			continue
		}
		if missing {
			return false
		}
		// An unknown number and bytes of no known content are the same.
		if ro, rc := so.asScalar(), sc.asScalar(); ro != nil && rc != nil {
			return m.RegSafe(ro, rc, how)
		}
		if bo != bc {
			return false
		}
	}
	if so.Bytes[RegSize-1] == SlotInvalid || so.Bytes[RegSize-1] == SlotMisc || !so.IsSpilled() && !so.IsSpecial() {
		return true
	}
	if so.IsSpilled() {
		if !sc.IsSpilled() {
			return false
		}
		return m.RegSafe(&so.Spilled, &sc.Spilled, how)
	}
	a, b := &so.Spilled, &sc.Spilled
	switch so.Bytes[RegSize-1] {
	case SlotDynptr:
		return a.Dynptr == b.Dynptr && a.First == b.First && m.match(a.RefObjID, b.RefObjID)
	case SlotIter:
		// The depth differs from step to step of a loop that is to converge.
		return a.BTF == b.BTF && a.Iter == b.Iter && m.match(a.RefObjID, b.RefObjID)
	default: // SlotIRQFlag
		return m.match(a.RefObjID, b.RefObjID) && a.IRQ == b.IRQ
	}
}

// Equal reports whether cur needs no walk because old, which was walked, covers it
// (states_equal). ids must be fresh; live has for each instruction the registers that
// it or later ones read.
func Equal(old, cur *State, how Exactness, ids *IDs, live []uint16) bool {
	if len(old.Frames) != len(cur.Frames) {
		return false
	}
	// A path that was only speculated says nothing of one that is taken.
	if old.Speculative && !cur.Speculative {
		return false
	}
	if old.InSleepable != cur.InSleepable || !ids.refsSafe(old, cur) {
		return false
	}
	for i := range old.Frames {
		fo, fc := old.Frames[i], cur.Frames[i]
		if fo.Callsite != fc.Callsite || !ids.framesEqual(fo, fc, how, live[old.InsnOf(i)]) {
			return false
		}
	}
	return true
}

func (m *IDs) framesEqual(fo, fc *Frame, how Exactness, live uint16) bool {
	if fo.CallbackDepth > fc.CallbackDepth {
		return false
	}
	for i := range fo.Regs {
		if live&(1<<i) != 0 && !m.RegSafe(&fo.Regs[i], &fc.Regs[i], how) {
			return false
		}
	}
	return m.stackSafe(fo, fc, how)
}

// refsSafe compares what the program holds.
func (m *IDs) refsSafe(old, cur *State) bool {
	if len(old.Refs) != len(cur.Refs) || old.ActiveLocks != cur.ActiveLocks || old.PreemptLocks != cur.PreemptLocks ||
		old.RCULocks != cur.RCULocks || old.LockPtr != cur.LockPtr {
		return false
	}
	if !m.match(old.IRQ, cur.IRQ) || !m.match(old.LockID, cur.LockID) {
		return false
	}
	for i := range old.Refs {
		a, b := &old.Refs[i], &cur.Refs[i]
		if a.Kind != b.Kind || a.Ptr != b.Ptr || !m.match(a.ID, b.ID) {
			return false
		}
	}
	return true
}
