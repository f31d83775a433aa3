package bounds

// Cmp is a comparison of a conditional jump.
type Cmp uint8

// The comparisons: signed ones start with S.
const (
	EQ Cmp = iota + 1
	NE
	GT
	GE
	LT
	LE
	SGT
	SGE
	SLT
	SLE
	SET // some bit that is set in b is set in a
	// NSET is the opposite of SET.
	NSET
)

// Opposite is the comparison that holds when c does not.
func (c Cmp) Opposite() Cmp {
	return [...]Cmp{EQ: NE, NE: EQ, GT: LE, GE: LT, LT: GE, LE: GT, SGT: SLE, SGE: SLT, SLT: SGE, SLE: SGT,
		SET: NSET, NSET: SET}[c]
}

// Flip is the comparison that holds for b and a when c does for a and b.
func (c Cmp) Flip() Cmp {
	return [...]Cmp{EQ: EQ, NE: NE, GT: LT, GE: LE, LT: GT, LE: GE, SGT: SLT, SGE: SLE, SLT: SGT, SLE: SGE,
		SET: SET, NSET: NSET}[c]
}

// Tri is an answer that may be unknown.
type Tri int8

// The answers.
const (
	Maybe Tri = -1
	No    Tri = 0
	Yes   Tri = 1
)

// not turns an answer round.
func (t Tri) not() Tri {
	if t == Maybe {
		return Maybe
	}
	return 1 - t
}

// view is what a comparison of one width looks at.
type view struct {
	v          Tnum
	umin, umax uint64
	smin, smax int64
}

func (s *Scalar) view(width int) view {
	if width == 32 {
		return view{s.Var.Subreg(), uint64(s.U32Min), uint64(s.U32Max), int64(s.S32Min), int64(s.S32Max)}
	}
	return view{s.Var, s.UMin, s.UMax, s.SMin, s.SMax}
}

// Taken reports whether a c b holds (is_scalar_branch_taken).
func Taken(c Cmp, a, b *Scalar, width int) Tri {
	x, y := a.view(width), b.view(width)
	order := func(yes, no bool) Tri {
		switch {
		case yes:
			return Yes
		case no:
			return No
		}
		return Maybe
	}
	switch c {
	case EQ, NE:
		r := equality(&x, &y, a, b, width)
		if c == NE {
			return r.not()
		}
		return r
	case SET, NSET:
		r := Maybe
		if !y.v.IsConst() {
			x, y = y, x
		}
		if y.v.IsConst() {
			r = order(^x.v.Mask&x.v.Value&y.v.Value != 0, (x.v.Mask|x.v.Value)&y.v.Value == 0)
		}
		if c == NSET {
			return r.not()
		}
		return r
	case GT:
		return order(x.umin > y.umax, x.umax <= y.umin)
	case GE:
		return order(x.umin >= y.umax, x.umax < y.umin)
	case LT:
		return order(x.umax < y.umin, x.umin >= y.umax)
	case LE:
		return order(x.umax <= y.umin, x.umin > y.umax)
	case SGT:
		return order(x.smin > y.smax, x.smax <= y.smin)
	case SGE:
		return order(x.smin >= y.smax, x.smax < y.smin)
	case SLT:
		return order(x.smax < y.smin, x.smin >= y.smax)
	case SLE:
		return order(x.smax <= y.smin, x.smin > y.smax)
	}
	return Maybe
}

func equality(x, y *view, a, b *Scalar, width int) Tri {
	switch {
	case x.v.IsConst() && y.v.IsConst():
		if x.v.Value == y.v.Value {
			return Yes
		}
		return No
	case !overlap(x.v, y.v):
		return No
	case x.umin > y.umax || x.umax < y.umin || x.smin > y.smax || x.smax < y.smin:
		return No
	case width == 64:
		// The halves may differ where the whole does not show it.
		l, r := a.view(32), b.view(32)
		if l.umin > r.umax || l.umax < r.umin || l.smin > r.smax || l.smax < r.smin {
			return No
		}
	}
	return Maybe
}

// overlap reports whether some number is one of both.
func overlap(a, b Tnum) bool {
	known := ^(a.Mask | b.Mask)
	return a.Value&known == b.Value&known
}

// Refine narrows a and b by what a c b teaches (regs_refine_cond_op).
func Refine(c Cmp, a, b *Scalar, width int) {
	switch c {
	case GT, GE, SGT, SGE:
		a, b, c = b, a, c.Flip()
	}
	switch c {
	case EQ:
		refineEqual(a, b, width)
	case NE:
		refineNotEqual(a, b, width)
	case SET, NSET:
		refineBits(c, a, b, width)
	case LE, LT:
		refineUnsigned(a, b, width, c == LT)
	case SLE, SLT:
		refineSigned(a, b, width, c == SLT)
	}
	a.Sync()
	b.Sync()
}

func refineEqual(a, b *Scalar, width int) {
	if width == 32 {
		a.U32Min, a.U32Max = max(a.U32Min, b.U32Min), min(a.U32Max, b.U32Max)
		a.S32Min, a.S32Max = max(a.S32Min, b.S32Min), min(a.S32Max, b.S32Max)
		b.U32Min, b.U32Max, b.S32Min, b.S32Max = a.U32Min, a.U32Max, a.S32Min, a.S32Max
		t := a.Var.Subreg().Intersect(b.Var.Subreg())
		a.Var, b.Var = a.Var.WithSubreg(t), b.Var.WithSubreg(t)
		return
	}
	a.UMin, a.UMax = max(a.UMin, b.UMin), min(a.UMax, b.UMax)
	a.SMin, a.SMax = max(a.SMin, b.SMin), min(a.SMax, b.SMax)
	b.UMin, b.UMax, b.SMin, b.SMax = a.UMin, a.UMax, a.SMin, a.SMax
	a.Var = a.Var.Intersect(b.Var)
	b.Var = a.Var
}

// refineNotEqual moves a bound that is excluded.
func refineNotEqual(a, b *Scalar, width int) {
	if width == 32 && !b.IsConst32() || width == 64 && !b.IsConst() {
		a, b = b, a
	}
	if width == 32 && !b.IsConst32() || width == 64 && !b.IsConst() {
		return
	}
	if width == 32 {
		v := uint32(b.Var.Value)
		if a.U32Min == v {
			a.U32Min++
		}
		if a.U32Max == v {
			a.U32Max--
		}
		if a.S32Min == int32(v) {
			a.S32Min++
		}
		if a.S32Max == int32(v) {
			a.S32Max--
		}
		return
	}
	v := b.Var.Value
	if a.UMin == v {
		a.UMin++
	}
	if a.UMax == v {
		a.UMax--
	}
	if a.SMin == int64(v) {
		a.SMin++
	}
	if a.SMax == int64(v) {
		a.SMax--
	}
}

// refineBits learns from a test of bits: of one that is set, and of all that are not.
func refineBits(c Cmp, a, b *Scalar, width int) {
	known := func(s *Scalar) bool { return width == 64 && s.IsConst() || width == 32 && s.IsConst32() }
	if !known(b) {
		a, b = b, a
	}
	if !known(b) {
		return
	}
	v := b.Var.Value
	if width == 32 {
		v = uint64(uint32(v))
	}
	apply := func(f func(Tnum) Tnum) {
		if width == 32 {
			a.Var = a.Var.WithSubreg(f(a.Var.Subreg()))
		} else {
			a.Var = f(a.Var)
		}
	}
	if c == NSET {
		// On a way that cannot be taken the ranges would contradict the bits.
		a.unbound64()
		a.unbound32()
		apply(func(t Tnum) Tnum { return t.And(TnumConst(^v)) })
		return
	}
	if v&(v-1) == 0 && v != 0 {
		apply(func(t Tnum) Tnum { return t.Or(TnumConst(v)) })
	}
}

func refineUnsigned(a, b *Scalar, width int, strict bool) {
	if width == 32 {
		d := uint32(0)
		if strict {
			d = 1
		}
		hi, lo := b.U32Max, a.U32Min
		a.U32Max = min(a.U32Max, hi-d)
		b.U32Min = max(b.U32Min, lo+d)
		return
	}
	d := uint64(0)
	if strict {
		d = 1
	}
	hi, lo := b.UMax, a.UMin
	a.UMax = min(a.UMax, hi-d)
	b.UMin = max(b.UMin, lo+d)
}

func refineSigned(a, b *Scalar, width int, strict bool) {
	if width == 32 {
		d := int32(0)
		if strict {
			d = 1
		}
		hi, lo := b.S32Max, a.S32Min
		a.S32Max = min(a.S32Max, hi-d)
		b.S32Min = max(b.S32Min, lo+d)
		return
	}
	d := int64(0)
	if strict {
		d = 1
	}
	hi, lo := b.SMax, a.SMin
	a.SMax = min(a.SMax, hi-d)
	b.SMin = max(b.SMin, lo+d)
}
