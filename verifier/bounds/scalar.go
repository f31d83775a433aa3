package bounds

import "math"

// Scalar is what is known of a 64-bit number: its bits, and its bounds as signed
// and unsigned number of 64 bits and of its lower 32 bits. All of it holds at once.
type Scalar struct {
	Var            Tnum
	SMin, SMax     int64
	UMin, UMax     uint64
	S32Min, S32Max int32
	U32Min, U32Max uint32
}

// Unknown is a number of which nothing is known.
func Unknown() Scalar {
	return Scalar{
		Var: TnumUnknown, SMin: math.MinInt64, SMax: math.MaxInt64, UMax: math.MaxUint64,
		S32Min: math.MinInt32, S32Max: math.MaxInt32, U32Max: math.MaxUint32,
	}
}

// Const is the number v.
func Const(v uint64) Scalar {
	return Scalar{
		Var: TnumConst(v), SMin: int64(v), SMax: int64(v), UMin: v, UMax: v,
		S32Min: int32(v), S32Max: int32(v), U32Min: uint32(v), U32Max: uint32(v),
	}
}

// IsConst reports whether the number is known.
func (s *Scalar) IsConst() bool { return s.Var.IsConst() }

// IsConst32 reports whether the lower half is known.
func (s *Scalar) IsConst32() bool { return s.Var.Subreg().IsConst() }

// Contains reports whether v may be the number.
func (s *Scalar) Contains(v uint64) bool {
	return s.Var.Contains(v) && int64(v) >= s.SMin && int64(v) <= s.SMax && v >= s.UMin && v <= s.UMax &&
		int32(v) >= s.S32Min && int32(v) <= s.S32Max && uint32(v) >= s.U32Min && uint32(v) <= s.U32Max
}

// Within reports whether every number of cur is one of s, as far as the bounds say
// (range_within).
func (s *Scalar) Within(cur *Scalar) bool {
	return s.UMin <= cur.UMin && s.UMax >= cur.UMax && s.SMin <= cur.SMin && s.SMax >= cur.SMax &&
		s.U32Min <= cur.U32Min && s.U32Max >= cur.U32Max && s.S32Min <= cur.S32Min && s.S32Max >= cur.S32Max
}

// Violation says in the kernel's words how the parts of s contradict each other, ""
// where they do not. They do only on paths that cannot be taken.
func (s *Scalar) Violation() string {
	if s.Contradictory() {
		return "range bounds violation"
	}
	if s.Var.IsConst() {
		if v := s.Var.Value; s.UMin != v || s.UMax != v || s.SMin != int64(v) || s.SMax != int64(v) {
			return "const tnum out of sync with range bounds"
		}
	}
	if s.IsConst32() {
		if v := uint32(s.Var.Value); s.U32Min != v || s.U32Max != v || s.S32Min != int32(v) || s.S32Max != int32(v) {
			return "const subreg tnum out of sync with range bounds"
		}
	}
	return ""
}
