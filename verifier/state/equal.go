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
	pairs [][2]uint32
	next  uint32
}

// NewIDs returns an empty pairing; fresh is an ID that neither state uses yet.
func NewIDs(fresh uint32) *IDs { return &IDs{next: fresh} }

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

// regsExact compares everything but IDs, which must pair.
func (m *IDs) regsExact(old, cur *Reg) bool {
	a, b := *old, *cur
	a.ID, b.ID, a.RefObjID, b.RefObjID = 0, 0, 0, 0
	// Where a register was defined, and whether it mattered, are not part of its value.
	a.SubregDef, b.SubregDef, a.Precise, b.Precise = 0, 0, false, false
	return a == b && m.match(old.ID, cur.ID) && m.match(old.RefObjID, cur.RefObjID)
}

// sameKind compares what is not a number or an ID.
func sameKind(old, cur *Reg) bool {
	return old.Type == cur.Type && old.Off == cur.Off && old.Range == cur.Range && old.MemSize == cur.MemSize &&
		old.Map == cur.Map && old.MapUID == cur.MapUID && old.BTF == cur.BTF && old.Subprog == cur.Subprog &&
		old.DynptrID == cur.DynptrID
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
		if !old.Precise && how == NotExact {
			return true
		}
		if old.ID&AddConst != cur.ID&AddConst || old.ID&AddConst != 0 && old.Off != cur.Off {
			return false
		}
		return inside() && m.matchScalars(old.ID, cur.ID)
	case PtrToMapKey, PtrToMapValue, PtrToMem, PtrToBuf, PtrToTPBuffer:
		return sameKind(old, cur) && inside() && m.match(old.ID, cur.ID) && m.match(old.RefObjID, cur.RefObjID)
	case PtrToPacket, PtrToPacketMeta:
		if old.Range > cur.Range || old.Off != cur.Off || old.ID != 0 && !m.match(old.ID, cur.ID) {
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

// miscScalar is a number of which nothing is known, as a slot of SlotMisc bytes holds
// it.
func miscScalar() *Reg {
	r := new(Reg)
	r.MarkUnknown()
	return r
}

// asScalar is the number in a slot for a comparison: a spilled one, or an unknown one
// for bytes that hold some number.
func (s *Slot) asScalar() *Reg {
	if s.IsSpilledFully() && s.Spilled.Type == ScalarValue {
		return &s.Spilled
	}
	for _, t := range s.Bytes {
		if t != SlotMisc {
			return nil
		}
	}
	return miscScalar()
}

// stackSafe compares stacks byte by byte (stacksafe). live tells which slots some
// later instruction reads.
func (m *IDs) stackSafe(old, cur *Frame, how Exactness, live func(slot int) bool) bool {
	for i := range old.Stack {
		so := &old.Stack[i]
		if live != nil && how != Exact && !live(i) {
			continue
		}
		var sc *Slot
		if i < len(cur.Stack) {
			sc = &cur.Stack[i]
		} else {
			sc = &Slot{}
		}
		if how == Exact {
			if so.Bytes != sc.Bytes {
				return false
			}
		}
		if so.Bytes == ([RegSize]SlotType{}) {
			continue
		}
		// An unknown number and bytes of no known content are the same.
		if ro, rc := so.asScalar(), sc.asScalar(); ro != nil && rc != nil && how != Exact {
			if !m.RegSafe(ro, rc, how) {
				return false
			}
			continue
		}
		if !m.slotSafe(so, sc, how) {
			return false
		}
	}
	return true
}

// slotSafe compares one slot that old's path has written.
func (m *IDs) slotSafe(so, sc *Slot, how Exactness) bool {
	for j := range so.Bytes {
		bo, bc := so.Bytes[j], sc.Bytes[j]
		if bo == SlotInvalid || bo == bc {
			continue
		}
		// Some number was good enough there, so zero is here; a number whose bytes were
		// not looked at one by one may be a part of a register as well.
		if bo == SlotMisc && (bc == SlotZero || bc == SlotSpill && sc.Spilled.Type == ScalarValue) {
			continue
		}
		return false
	}
	if !so.IsSpilled() && !so.IsSpecial() {
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

// Liveness tells what of a state later instructions read. The zero value says all.
type Liveness struct {
	// Regs are the live registers of the frame that stands at an instruction.
	Regs func(insn int) uint16
	// Slot reports whether a slot of frame n of the state is live.
	Slot func(s *State, n, slot int) bool
}

// Equal reports whether cur needs no walk because old, which was walked, covers it
// (states_equal). ids must be fresh.
func Equal(old, cur *State, how Exactness, ids *IDs, live Liveness) bool {
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
		if fo.Callsite != fc.Callsite {
			return false
		}
		at := old.Insn
		if i+1 < len(old.Frames) {
			at = old.Frames[i+1].Callsite
		}
		if !ids.framesEqual(old, i, at, fo, fc, how, live) {
			return false
		}
	}
	return true
}

func (m *IDs) framesEqual(old *State, n, at int, fo, fc *Frame, how Exactness, live Liveness) bool {
	if fo.CallbackDepth > fc.CallbackDepth {
		return false
	}
	regs := uint16(1<<numRegs - 1)
	if live.Regs != nil && how != Exact && at >= 0 {
		regs = live.Regs(at)
	}
	for i := range fo.Regs {
		if regs&(1<<i) != 0 && !m.RegSafe(&fo.Regs[i], &fc.Regs[i], how) {
			return false
		}
	}
	var slotLive func(int) bool
	if live.Slot != nil {
		slotLive = func(slot int) bool { return live.Slot(old, n, slot) }
	}
	return m.stackSafe(fo, fc, how, slotLive)
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
