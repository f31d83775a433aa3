package bounds

import (
	"math"
	"math/bits"
)

// Op is an arithmetic operation.
type Op uint8

// The operations.
const (
	Add Op = iota + 1
	Sub
	Mul
	And
	Or
	Xor
	Lsh
	Rsh
	Arsh
	Neg // 0 - dst; src is not looked at
	Div // and modulo: nothing is known of the result
)

// ALU is dst op src in numbers of the given width, 64 or 32; a result of 32 bits has
// zeros above (adjust_scalar_min_max_vals).
func ALU(op Op, dst, src Scalar, width int) Scalar {
	if !Computable(op, &src, width) {
		return Unknown()
	}
	if op == Neg {
		dst, src, op = Const(0), dst, Sub
	}
	switch op {
	case Add:
		dst.add32(&src)
		dst.add64(&src)
		dst.Var = dst.Var.Add(src.Var)
	case Sub:
		dst.sub32(&src)
		dst.sub64(&src)
		dst.Var = dst.Var.Sub(src.Var)
	case Mul:
		dst.Var = dst.Var.Mul(src.Var)
		dst.mul32(&src)
		dst.mul64(&src)
	case And, Or, Xor:
		dst.bitwise(op, &src)
	case Lsh, Rsh, Arsh:
		if width == 32 {
			dst.shift32(op, uint8(src.U32Min))
		} else {
			dst.shift64(op, uint8(src.UMin))
		}
	}
	if width == 32 {
		dst.Zext()
	}
	dst.Sync()
	return dst
}

// Split reports whether dst, before it is combined bit by bit with a known number, is
// looked at as two numbers, and which: a mask of all ones, and zero. It may be known of
// the lower half alone (maybe_fork_scalars).
func Split(op Op, dst, src *Scalar) (ones, zero Scalar, ok bool) {
	if op != And && op != Or || !src.IsConst() {
		return ones, zero, false
	}
	switch {
	case dst.SMin == -1 && dst.SMax == 0:
		return Const(math.MaxUint64), Const(0), true
	case dst.S32Min == -1 && dst.S32Max == 0:
		ones, zero = *dst, *dst
		ones.setLow(math.MaxUint32)
		zero.setLow(0)
		return ones, zero, true
	}
	return ones, zero, false
}

// setLow makes the lower half v.
func (s *Scalar) setLow(v uint32) {
	s.Var = s.Var.WithSubreg(TnumConst(uint64(v)))
	s.S32Min, s.S32Max, s.U32Min, s.U32Max = int32(v), int32(v), v, v
}

// Computable reports whether something can be said of the result of dst op src: of a
// shift only for a known distance inside the width.
func Computable(op Op, src *Scalar, width int) bool {
	switch op {
	case Add, Sub, Mul, And, Or, Xor, Neg:
		return true
	case Lsh, Rsh, Arsh:
		// Of the distance all bits count, though a shift of 32 bits looks at half of them.
		if width == 32 {
			return src.IsConst32() && src.S32Min == src.S32Max && src.U32Min == src.U32Max && src.UMax < 32
		}
		return src.IsConst() && src.SMin == src.SMax && src.UMin == src.UMax && src.UMax < 64
	}
	return false
}

// Add64 makes s the sum of s and o, except that nothing is deduced from it, and its
// lower half is left alone.
func (s *Scalar) Add64(o *Scalar) {
	s.add64(o)
	s.Var = s.Var.Add(o.Var)
}

// Sub64 is Add64 for the difference of an offset and a number: signs overflow as in
// Add64, but where some differences are negative, nothing is known of the unsigned
// bounds.
func (s *Scalar) Sub64(o *Scalar) {
	umin, umax := s.UMin-o.UMax, s.UMax-o.UMin
	if s.UMin < o.UMax {
		umin, umax = 0, math.MaxUint64
	}
	s.sub64(o)
	s.UMin, s.UMax = umin, umax
	s.Var = s.Var.Sub(o.Var)
}

// Move adds delta to all that is known of s without deducing anything from it.
func (s *Scalar) Move(delta int64) {
	d := Const(uint64(delta))
	s.add32(&d)
	s.add64(&d)
	s.Var = s.Var.Add(d.Var)
}

func (s *Scalar) add64(o *Scalar) {
	lo, lov := addS64(s.SMin, o.SMin)
	hi, hiv := addS64(s.SMax, o.SMax)
	if lov || hiv {
		lo, hi = math.MinInt64, math.MaxInt64
	}
	s.SMin, s.SMax = lo, hi
	ulo, c1 := bits.Add64(s.UMin, o.UMin, 0)
	uhi, c2 := bits.Add64(s.UMax, o.UMax, 0)
	if c1 == 0 && c2 != 0 { // some sums wrap, others do not
		ulo, uhi = 0, math.MaxUint64
	}
	s.UMin, s.UMax = ulo, uhi
}

func (s *Scalar) add32(o *Scalar) {
	lo, hi := int64(s.S32Min)+int64(o.S32Min), int64(s.S32Max)+int64(o.S32Max)
	if lo != int64(int32(lo)) || hi != int64(int32(hi)) {
		lo, hi = math.MinInt32, math.MaxInt32
	}
	s.S32Min, s.S32Max = int32(lo), int32(hi)
	ulo, uhi := uint64(s.U32Min)+uint64(o.U32Min), uint64(s.U32Max)+uint64(o.U32Max)
	if ulo>>32 == 0 && uhi>>32 != 0 {
		ulo, uhi = 0, math.MaxUint32
	}
	s.U32Min, s.U32Max = uint32(ulo), uint32(uhi)
}

func (s *Scalar) sub64(o *Scalar) {
	lo, lov := subS64(s.SMin, o.SMax)
	hi, hiv := subS64(s.SMax, o.SMin)
	if lov || hiv {
		lo, hi = math.MinInt64, math.MaxInt64
	}
	s.SMin, s.SMax = lo, hi
	ulo, b1 := bits.Sub64(s.UMin, o.UMax, 0)
	uhi, b2 := bits.Sub64(s.UMax, o.UMin, 0)
	if b1 != 0 && b2 == 0 {
		ulo, uhi = 0, math.MaxUint64
	}
	s.UMin, s.UMax = ulo, uhi
}

func (s *Scalar) sub32(o *Scalar) {
	lo, hi := int64(s.S32Min)-int64(o.S32Max), int64(s.S32Max)-int64(o.S32Min)
	if lo != int64(int32(lo)) || hi != int64(int32(hi)) {
		lo, hi = math.MinInt32, math.MaxInt32
	}
	s.S32Min, s.S32Max = int32(lo), int32(hi)
	ulo, uhi := int64(s.U32Min)-int64(o.U32Max), int64(s.U32Max)-int64(o.U32Min)
	if ulo < 0 && uhi >= 0 {
		ulo, uhi = 0, math.MaxUint32
	}
	s.U32Min, s.U32Max = uint32(ulo), uint32(uhi)
}

func addS64(a, b int64) (int64, bool) {
	c := a + b
	return c, (a^c)&(b^c) < 0
}

func subS64(a, b int64) (int64, bool) {
	c := a - b
	return c, (a^b)&(a^c) < 0
}

func mulS64(a, b int64) (int64, bool) {
	c := a * b
	over := a != 0 && (c/a != b || a == -1 && b == math.MinInt64)
	return c, over
}

func (s *Scalar) mul64(o *Scalar) {
	h1, lo := bits.Mul64(s.UMin, o.UMin)
	h2, hi := bits.Mul64(s.UMax, o.UMax)
	if h1 != 0 || h2 != 0 {
		lo, hi = 0, math.MaxUint64
	}
	s.UMin, s.UMax = lo, hi
	smin, smax := int64(math.MaxInt64), int64(math.MinInt64)
	for _, a := range [2]int64{s.SMin, s.SMax} {
		for _, b := range [2]int64{o.SMin, o.SMax} {
			p, over := mulS64(a, b)
			if over {
				s.SMin, s.SMax = math.MinInt64, math.MaxInt64
				return
			}
			smin, smax = min(smin, p), max(smax, p)
		}
	}
	s.SMin, s.SMax = smin, smax
}

func (s *Scalar) mul32(o *Scalar) {
	lo, hi := uint64(s.U32Min)*uint64(o.U32Min), uint64(s.U32Max)*uint64(o.U32Max)
	if lo>>32 != 0 || hi>>32 != 0 {
		lo, hi = 0, math.MaxUint32
	}
	s.U32Min, s.U32Max = uint32(lo), uint32(hi)
	smin, smax := int64(math.MaxInt64), int64(math.MinInt64)
	for _, a := range [2]int64{int64(s.S32Min), int64(s.S32Max)} {
		for _, b := range [2]int64{int64(o.S32Min), int64(o.S32Max)} {
			smin, smax = min(smin, a*b), max(smax, a*b)
		}
	}
	if smin < math.MinInt32 || smax > math.MaxInt32 {
		smin, smax = math.MinInt32, math.MaxInt32
	}
	s.S32Min, s.S32Max = int32(smin), int32(smax)
}

// bitwise is and, or, xor: known bits first, bounds from them.
func (s *Scalar) bitwise(op Op, o *Scalar) {
	known, known32 := s.IsConst() && o.IsConst(), s.IsConst32() && o.IsConst32()
	switch op {
	case And:
		s.Var = s.Var.And(o.Var)
	case Or:
		s.Var = s.Var.Or(o.Var)
	case Xor:
		s.Var = s.Var.Xor(o.Var)
	}
	v, v32 := s.Var, s.Var.Subreg()
	if known32 {
		w := uint32(v32.Value)
		s.S32Min, s.S32Max, s.U32Min, s.U32Max = int32(w), int32(w), w, w
	} else {
		switch op {
		case And:
			s.U32Min, s.U32Max = uint32(v32.Value), min(s.U32Max, o.U32Max)
		case Or:
			s.U32Min, s.U32Max = max(s.U32Min, o.U32Min), uint32(v32.Value|v32.Mask)
		case Xor:
			s.U32Min, s.U32Max = uint32(v32.Value), uint32(v32.Value|v32.Mask)
		}
		s.S32Min, s.S32Max = int32(s.U32Min), int32(s.U32Max)
		if s.S32Min > s.S32Max {
			s.S32Min, s.S32Max = math.MinInt32, math.MaxInt32
		}
	}
	if known {
		*s = Const(v.Value)
		return
	}
	switch op {
	case And:
		s.UMin, s.UMax = v.Value, min(s.UMax, o.UMax)
	case Or:
		s.UMin, s.UMax = max(s.UMin, o.UMin), v.Value|v.Mask
	case Xor:
		s.UMin, s.UMax = v.Value, v.Value|v.Mask
	}
	s.SMin, s.SMax = int64(s.UMin), int64(s.UMax)
	if s.SMin > s.SMax {
		s.SMin, s.SMax = math.MinInt64, math.MaxInt64
	}
	s.fromBits()
}

// shift32 shifts the lower half; nothing is kept of the bounds of the whole.
func (s *Scalar) shift32(op Op, n uint8) {
	sub := s.Var.Subreg()
	switch op {
	case Lsh:
		s.S32Min, s.S32Max = math.MinInt32, math.MaxInt32
		s.lshU32(n)
		s.Var = sub.Lsh(n).Subreg()
	case Rsh:
		s.S32Min, s.S32Max = math.MinInt32, math.MaxInt32
		s.U32Min, s.U32Max = s.U32Min>>n, s.U32Max>>n
		s.Var = sub.Rsh(n)
	case Arsh:
		s.S32Min, s.S32Max = s.S32Min>>n, s.S32Max>>n
		s.U32Min, s.U32Max = 0, math.MaxUint32
		s.Var = sub.Arsh(n, 32)
	}
	s.unbound64()
	s.fromBits32()
}

// lshU32 keeps the unsigned bounds unless a bit may be shifted out.
func (s *Scalar) lshU32(n uint8) {
	if n > 31 || uint64(s.U32Max) > uint64(1)<<(31-n) {
		s.U32Min, s.U32Max = 0, math.MaxUint32
		return
	}
	s.U32Min, s.U32Max = s.U32Min<<n, s.U32Max<<n
}

func (s *Scalar) shift64(op Op, n uint8) {
	switch op {
	case Lsh:
		// Sign extension is a shift to the left by 32 and back: it keeps what is known of
		// the lower half.
		if n == 32 {
			s.SMin, s.SMax = int64(s.S32Min)<<32, int64(s.S32Max)<<32
		} else {
			s.SMin, s.SMax = math.MinInt64, math.MaxInt64
		}
		if n > 63 || s.UMax > uint64(1)<<(63-n) {
			s.UMin, s.UMax = 0, math.MaxUint64
		} else {
			s.UMin, s.UMax = s.UMin<<n, s.UMax<<n
		}
		s.S32Min, s.S32Max = math.MinInt32, math.MaxInt32
		s.lshU32(n)
		s.Var = s.Var.Lsh(n)
	case Rsh:
		s.SMin, s.SMax = math.MinInt64, math.MaxInt64
		s.UMin, s.UMax = s.UMin>>n, s.UMax>>n
		s.Var = s.Var.Rsh(n)
		s.unbound32()
	case Arsh:
		s.SMin, s.SMax = s.SMin>>n, s.SMax>>n
		s.UMin, s.UMax = 0, math.MaxUint64
		s.Var = s.Var.Arsh(n, 64)
		s.unbound32()
	}
	s.fromBits()
}
