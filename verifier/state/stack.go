package state

// SlotType says what a byte of stack holds.
type SlotType uint8

// What a byte of stack may hold.
const (
	SlotInvalid SlotType = iota // never written
	SlotSpill                   // part of a spilled register
	SlotMisc                    // some number
	SlotZero                    // zero
	SlotDynptr
	SlotIter
	SlotIRQFlag
)

var slotChars = [...]byte{'?', 'r', 'm', '0', 'd', 'i', 'f'}

// RegSize is the bytes of a slot.
const RegSize = 8

// Slot is 8 bytes of stack.
type Slot struct {
	// Spilled is the register in the slot where some byte is a SlotSpill, and the state
	// of a dynptr, iterator or saved flags.
	Spilled Reg
	// Bytes has the highest address first: Bytes[RegSize-1] is the lowest byte of a
	// number that was stored.
	Bytes [RegSize]SlotType
}

// IsSpilled reports whether a register was stored, wholly or its low bytes.
func (s *Slot) IsSpilled() bool { return s.Bytes[RegSize-1] == SlotSpill }

// IsSpilledFully reports whether a register was stored with all its bytes.
func (s *Slot) IsSpilledFully() bool { return s.Bytes[0] == SlotSpill }

// IsSpilledScalar reports whether a number was stored with all its bytes known.
func (s *Slot) IsSpilledScalar() bool { return s.IsSpilled() && s.Spilled.Type == ScalarValue }

// IsSpecial reports whether the slot belongs to a dynptr, iterator or saved flags.
func (s *Slot) IsSpecial() bool {
	switch s.Bytes[RegSize-1] {
	case SlotDynptr, SlotIter, SlotIRQFlag:
		return true
	}
	return false
}

// Fill sets all bytes to t.
func (s *Slot) Fill(t SlotType) {
	for i := range s.Bytes {
		s.Bytes[i] = t
	}
}

// Index is the slot that the byte at a negative offset from the frame pointer lies
// in, and the byte's place in Slot.Bytes.
func Index(off int) (slot, byteIn int) { return (-off - 1) / RegSize, (-off - 1) % RegSize }
