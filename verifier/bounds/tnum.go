package bounds

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

// Tnum is a number of which some bits are known: the bits of Mask are unknown, the
// others are those of Value. Value and Mask have no bit in common.
type Tnum struct {
	Value, Mask uint64
}

// TnumUnknown knows nothing.
var TnumUnknown = Tnum{0, ^uint64(0)}

// TnumConst knows all of v.
func TnumConst(v uint64) Tnum { return Tnum{v, 0} }

// TnumRange knows the bits that all numbers from lo to hi have in common.
func TnumRange(lo, hi uint64) Tnum {
	n := bits.Len64(lo ^ hi)
	if n > 63 {
		return TnumUnknown
	}
	delta := uint64(1)<<n - 1
	return Tnum{lo &^ delta, delta}
}

// IsConst reports whether all bits are known.
func (a Tnum) IsConst() bool { return a.Mask == 0 }

// IsUnknown reports whether no bit is known.
func (a Tnum) IsUnknown() bool { return a.Mask == ^uint64(0) }

// Contains reports whether v may be the number.
func (a Tnum) Contains(v uint64) bool { return v&^a.Mask == a.Value }

// Next is the smallest number above v that a may be, or the largest of all where
// there is none.
func (a Tnum) Next(v uint64) uint64 {
	last := a.Value | a.Mask
	switch {
	case v >= last:
		return last
	case v < a.Value:
		return a.Value
	}
	v++
	wrong := (v ^ a.Value) &^ a.Mask
	if wrong == 0 {
		return v
	}
	// Bits up to the highest wrong one are as small as can be. Where that one has to
	// become 0, an unknown bit above it becomes 1.
	bit := uint64(1) << (bits.Len64(wrong) - 1)
	if a.Value&bit == 0 {
		free := a.Mask &^ v &^ (bit | (bit - 1))
		bit = free & -free
	}
	below := bit - 1
	return v&^(bit|below) | bit | a.Value&below
}

// In reports whether every number of b is one of a.
func (a Tnum) In(b Tnum) bool {
	return b.Mask&^a.Mask == 0 && b.Value&^a.Mask == a.Value
}

// Lsh is a << n.
func (a Tnum) Lsh(n uint8) Tnum { return Tnum{a.Value << n, a.Mask << n} }

// Rsh is a >> n, zeros coming in.
func (a Tnum) Rsh(n uint8) Tnum { return Tnum{a.Value >> n, a.Mask >> n} }

// Arsh is a >> n with the sign of a number of the given width coming in. For 32
// bits the result has its upper half zero.
func (a Tnum) Arsh(n uint8, width int) Tnum {
	if width == 32 {
		return Tnum{uint64(uint32(int32(a.Value) >> n)), uint64(uint32(int32(a.Mask) >> n))}
	}
	return Tnum{uint64(int64(a.Value) >> n), uint64(int64(a.Mask) >> n)}
}

// Add is a + b.
func (a Tnum) Add(b Tnum) Tnum {
	sm := a.Mask + b.Mask
	sv := a.Value + b.Value
	unknown := (sm + sv) ^ sv | a.Mask | b.Mask
	return Tnum{sv &^ unknown, unknown}
}

// Sub is a - b.
func (a Tnum) Sub(b Tnum) Tnum {
	dv := a.Value - b.Value
	unknown := (dv + a.Mask) ^ (dv - b.Mask) | a.Mask | b.Mask
	return Tnum{dv &^ unknown, unknown}
}

// Neg is -a.
func (a Tnum) Neg() Tnum { return TnumConst(0).Sub(a) }

// And is a & b.
func (a Tnum) And(b Tnum) Tnum {
	v := a.Value & b.Value
	return Tnum{v, (a.Value | a.Mask) & (b.Value | b.Mask) &^ v}
}

// Or is a | b.
func (a Tnum) Or(b Tnum) Tnum {
	v := a.Value | b.Value
	return Tnum{v, (a.Mask | b.Mask) &^ v}
}

// Xor is a ^ b.
func (a Tnum) Xor(b Tnum) Tnum {
	unknown := a.Mask | b.Mask
	return Tnum{(a.Value ^ b.Value) &^ unknown, unknown}
}

// Mul is a * b: long multiplication, in which the sum is what it may be with b
// shifted, and where a's bit is unknown also without.
func (a Tnum) Mul(b Tnum) Tnum {
	sum := TnumConst(0)
	for a.Value != 0 || a.Mask != 0 {
		switch {
		case a.Value&1 != 0:
			sum = sum.Add(b)
		case a.Mask&1 != 0:
			sum = sum.Union(sum.Add(b))
		}
		a, b = a.Rsh(1), b.Lsh(1)
	}
	return sum
}

// Intersect knows what either of a and b knows; they must not contradict each other.
func (a Tnum) Intersect(b Tnum) Tnum {
	mask := a.Mask & b.Mask
	return Tnum{(a.Value | b.Value) &^ mask, mask}
}

// Union knows what a and b have in common.
func (a Tnum) Union(b Tnum) Tnum {
	mask := a.Mask | b.Mask | (a.Value ^ b.Value)
	return Tnum{a.Value &^ mask, mask}
}

// Cast keeps the low size bytes; the rest is zero.
func (a Tnum) Cast(size int) Tnum {
	if size >= 8 {
		return a
	}
	m := uint64(1)<<(8*size) - 1
	return Tnum{a.Value & m, a.Mask & m}
}

// IsAligned reports whether a is a multiple of size, a power of two.
func (a Tnum) IsAligned(size uint64) bool { return (a.Value|a.Mask)&(size-1) == 0 }

// Subreg is the lower half.
func (a Tnum) Subreg() Tnum { return a.Cast(4) }

// ClearSubreg has zeros in the lower half.
func (a Tnum) ClearSubreg() Tnum { return a.Rsh(32).Lsh(32) }

// WithSubreg has the lower half of b.
func (a Tnum) WithSubreg(b Tnum) Tnum {
	hi := a.ClearSubreg()
	lo := b.Subreg()
	return Tnum{hi.Value | lo.Value, hi.Mask | lo.Mask}
}

// String is "(value; mask)" as in the kernel's logs, "(0x0; 0xff)", or the number where
// it is known.
func (a Tnum) String() string {
	switch {
	case !a.IsConst():
		return fmt.Sprintf("(%#x; %#x)", a.Value, a.Mask)
	case a.Value <= math.MaxUint16:
		return strconv.FormatUint(a.Value, 10)
	}
	return fmt.Sprintf("%#x", a.Value)
}
