package bounds

import (
	"math"
	"math/bits"
)

// Sync makes what is known in one form known in all (reg_bounds_sync).
func (s *Scalar) Sync() {
	if s.Var.Mask == 0 && *s == Const(s.Var.Value) {
		return
	}
	s.fromBits()
	// Each round may give the next one something to work with.
	for range 3 {
		before := *s
		s.deduce32()
		s.deduce64()
		s.deduceMixed()
		if *s == before {
			break
		}
	}
	s.toBits()
	s.fromBits()
}

// fromBits narrows all bounds by the known bits.
func (s *Scalar) fromBits() {
	s.fromBits32()
	v, m := s.Var.Value, s.Var.Mask
	s.SMin = max(s.SMin, int64(v|m&(1<<63)))
	s.SMax = min(s.SMax, int64(v|m&math.MaxInt64))
	s.UMin = max(s.UMin, v)
	s.UMax = min(s.UMax, v|m)
	s.single()
}

// single finds the number out where the unsigned range has only one with the known
// bits.
func (s *Scalar) single() {
	next, last := s.Var.Next(s.UMin), s.Var.Value|s.Var.Mask
	switch in := s.Var.Contains(s.UMin); {
	case in && next > s.UMax:
		*s = Const(s.UMin)
	case !in && next == last:
		*s = Const(last)
	case !in && next <= s.UMax && s.Var.Next(next) > s.UMax:
		*s = Const(next)
	}
}

func (s *Scalar) fromBits32() {
	v, m := uint32(s.Var.Value), uint32(s.Var.Mask)
	s.S32Min = max(s.S32Min, int32(v|m&(1<<31)))
	s.S32Max = min(s.S32Max, int32(v|m&math.MaxInt32))
	s.U32Min = max(s.U32Min, v)
	s.U32Max = min(s.U32Max, v|m)
}

// toBits learns bits from the unsigned bounds.
func (s *Scalar) toBits() {
	var64 := s.Var.Intersect(TnumRange(s.UMin, s.UMax))
	var32 := var64.Subreg().Intersect(TnumRange(uint64(s.U32Min), uint64(s.U32Max)))
	s.Var = var64.ClearSubreg().Or(var32)
}

func (s *Scalar) narrowU32(lo, hi uint32) { s.U32Min, s.U32Max = max(s.U32Min, lo), min(s.U32Max, hi) }
func (s *Scalar) narrowS32(lo, hi int32)  { s.S32Min, s.S32Max = max(s.S32Min, lo), min(s.S32Max, hi) }
func (s *Scalar) narrowU(lo, hi uint64)   { s.UMin, s.UMax = max(s.UMin, lo), min(s.UMax, hi) }
func (s *Scalar) narrowS(lo, hi int64)    { s.SMin, s.SMax = max(s.SMin, lo), min(s.SMax, hi) }

// deduce32 learns the bounds of the lower half from those of the whole and from each
// other (__reg32_deduce_bounds).
func (s *Scalar) deduce32() {
	// Where the upper half does not change, the lower ones are a range.
	if s.UMin>>32 == s.UMax>>32 {
		s.narrowU32(uint32(s.UMin), uint32(s.UMax))
		if int32(s.UMin) <= int32(s.UMax) {
			s.narrowS32(int32(s.UMin), int32(s.UMax))
		}
	}
	if s.SMin>>32 == s.SMax>>32 {
		if uint32(s.SMin) <= uint32(s.SMax) {
			s.narrowU32(uint32(s.SMin), uint32(s.SMax))
		}
		if int32(s.SMin) <= int32(s.SMax) {
			s.narrowS32(int32(s.SMin), int32(s.SMax))
		}
	}
	// Where it steps by one while the lower half goes from negative to positive, the
	// lower ones are a signed range.
	if uint32(s.UMin>>32)+1 == uint32(s.UMax>>32) && int32(s.UMin) < 0 && int32(s.UMax) >= 0 {
		s.narrowS32(int32(s.UMin), int32(s.UMax))
	}
	if uint32(s.SMin>>32)+1 == uint32(s.SMax>>32) && int32(s.SMin) < 0 && int32(s.SMax) >= 0 {
		s.narrowS32(int32(s.SMin), int32(s.SMax))
	}
	// A range that keeps its sign is both.
	if int32(s.U32Min) <= int32(s.U32Max) {
		s.narrowS32(int32(s.U32Min), int32(s.U32Max))
	}
	if uint32(s.S32Min) <= uint32(s.S32Max) {
		s.narrowU32(uint32(s.S32Min), uint32(s.S32Max))
		return
	}
	// As in deduce64.
	switch {
	case s.U32Max < uint32(s.S32Min):
		s.S32Min = int32(s.U32Min)
		s.U32Max = min(s.U32Max, uint32(s.S32Max))
	case uint32(s.S32Max) < s.U32Min:
		s.S32Max = int32(s.U32Max)
		s.U32Min = max(s.U32Min, uint32(s.S32Min))
	}
}

// deduce64 learns signed and unsigned bounds from each other
// (__reg64_deduce_bounds).
func (s *Scalar) deduce64() {
	if int64(s.UMin) <= int64(s.UMax) {
		s.narrowS(int64(s.UMin), int64(s.UMax))
	}
	if uint64(s.SMin) <= uint64(s.SMax) {
		s.narrowU(uint64(s.SMin), uint64(s.SMax))
		return
	}
	// The signed range is two pieces of the unsigned line; where the unsigned range
	// meets only one of them, the other one is out.
	switch {
	case s.UMax < uint64(s.SMin):
		s.SMin = int64(s.UMin)
		s.UMax = min(s.UMax, uint64(s.SMax))
	case uint64(s.SMax) < s.UMin:
		s.SMax = int64(s.UMax)
		s.UMin = max(s.UMin, uint64(s.SMin))
	}
}

const high = ^uint64(math.MaxUint32)

// deduceMixed learns the bounds of the whole from those of the lower half
// (__reg_deduce_mixed_bounds).
func (s *Scalar) deduceMixed() {
	lower := func(lo, hi uint32) {
		s.narrowU(s.UMin&high|uint64(lo), s.UMax&high|uint64(hi))
		s.narrowS(int64(uint64(s.SMin)&high|uint64(lo)), int64(uint64(s.SMax)&high|uint64(hi)))
	}
	lower(s.U32Min, s.U32Max)
	if uint32(s.S32Min) <= uint32(s.S32Max) {
		lower(uint32(s.S32Min), uint32(s.S32Max))
	}
	// A number that was sign-extended, with a lower half that is not negative, is that
	// half.
	if s.S32Min >= 0 && s.SMin >= math.MinInt32 && s.SMax <= math.MaxInt32 {
		s.SMin, s.SMax = int64(s.S32Min), int64(s.S32Max)
		s.UMin, s.UMax = uint64(s.SMin), uint64(s.SMax)
		s.Var = s.Var.Intersect(TnumRange(s.UMin, s.UMax))
	}
}

// Contradictory reports whether no number fits all bounds: the path that led here
// cannot be taken.
func (s *Scalar) Contradictory() bool {
	return s.UMin > s.UMax || s.SMin > s.SMax || s.U32Min > s.U32Max || s.S32Min > s.S32Max
}

// unbound64 and unbound32 forget the bounds of one width.
func (s *Scalar) unbound64() {
	s.SMin, s.SMax, s.UMin, s.UMax = math.MinInt64, math.MaxInt64, 0, math.MaxUint64
}

func (s *Scalar) unbound32() {
	s.S32Min, s.S32Max, s.U32Min, s.U32Max = math.MinInt32, math.MaxInt32, 0, math.MaxUint32
}

// Zext makes s its lower half with zeros above (zext_32_to_64). The bits of the upper
// half may be anything before.
func (s *Scalar) Zext() {
	s.Var = s.Var.Subreg()
	s.UMin, s.UMax = uint64(s.U32Min), uint64(s.U32Max)
	if s.S32Min >= 0 && s.S32Max >= 0 {
		s.SMin, s.SMax = int64(s.S32Min), int64(s.S32Max)
	} else {
		s.SMin, s.SMax = 0, math.MaxUint32
	}
	s.Sync()
}

// Truncate makes s its low size bytes with zeros above (coerce_reg_to_size).
func (s *Scalar) Truncate(size int) {
	s.Var = s.Var.Cast(size)
	mask := uint64(1)<<(8*size) - 1
	if s.UMin&^mask == s.UMax&^mask {
		s.UMin &= mask
		s.UMax &= mask
	} else {
		s.UMin, s.UMax = 0, mask
	}
	s.SMin, s.SMax = int64(s.UMin), int64(s.UMax)
	if size < 4 {
		s.unbound32()
	}
	s.Sync()
}

// Swap reverses the order of the low size bytes of s and makes the rest zero. Ranges
// do not survive that, bits do.
func (s *Scalar) Swap(size int) {
	rev := func(v uint64) uint64 { return bits.ReverseBytes64(v) >> (64 - 8*size) }
	s.Var = Tnum{rev(s.Var.Value), rev(s.Var.Mask)}
	s.unbound64()
	s.unbound32()
	if size < 8 {
		s.Truncate(size)
	}
	s.Sync()
}

// SignExtend makes s its low size bytes with their sign above: of 64 bits
// (coerce_reg_to_size_sx), or with width 32 in the lower half
// (coerce_subreg_to_size_sx), whose upper half the caller clears.
func (s *Scalar) SignExtend(size, width int) {
	if width == 32 {
		s.signExtend32(size)
	} else {
		s.signExtend64(size)
	}
}

func extend(v uint64, bits int) int64 { return int64(v<<(64-bits)) >> (64 - bits) }

func (s *Scalar) signExtend64(size int) {
	bits := 8 * size
	if s.Var.IsConst() {
		*s = Const(uint64(extend(s.Var.Value, bits)))
		return
	}
	// The parts above must be the same at both ends for the low ones to be a range.
	if s.SMax>>bits == s.SMin>>bits {
		lo, hi := extend(uint64(s.SMin), bits), extend(uint64(s.SMax), bits)
		lo, hi = min(lo, hi), max(lo, hi)
		if lo >= 0 == (hi >= 0) {
			s.SMin, s.SMax = lo, hi
			s.UMin, s.UMax = uint64(lo), uint64(hi)
			s.S32Min, s.S32Max = int32(lo), int32(hi)
			s.U32Min, s.U32Max = uint32(lo), uint32(hi)
			s.Var = TnumRange(uint64(lo), uint64(hi))
			return
		}
	}
	s.SMin, s.SMax = -1<<(bits-1), 1<<(bits-1)-1
	s.UMin, s.UMax = 0, math.MaxUint64
	if size < 4 {
		s.S32Min, s.S32Max = int32(s.SMin), int32(s.SMax)
	} else {
		s.S32Min, s.S32Max = math.MinInt32, math.MaxInt32
	}
	s.U32Min, s.U32Max = 0, math.MaxUint32
	s.Var = TnumUnknown
}

func (s *Scalar) signExtend32(size int) {
	bits := 8 * size
	if s.IsConst32() {
		v := uint32(extend(s.Var.Value, bits))
		s.Var = s.Var.WithSubreg(TnumConst(uint64(v)))
		s.S32Min, s.S32Max, s.U32Min, s.U32Max = int32(v), int32(v), v, v
		return
	}
	if s.S32Max>>bits == s.S32Min>>bits {
		lo, hi := int32(extend(uint64(s.S32Min), bits)), int32(extend(uint64(s.S32Max), bits))
		lo, hi = min(lo, hi), max(lo, hi)
		if lo >= 0 == (hi >= 0) {
			s.S32Min, s.S32Max = lo, hi
			s.U32Min, s.U32Max = uint32(lo), uint32(hi)
			s.Var = s.Var.WithSubreg(TnumRange(uint64(uint32(lo)), uint64(uint32(hi))))
			return
		}
	}
	s.S32Min, s.S32Max = -1<<(bits-1), 1<<(bits-1)-1
	s.U32Min, s.U32Max = 0, math.MaxUint32
	s.Var = s.Var.WithSubreg(TnumUnknown)
}
