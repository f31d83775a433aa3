package bounds_test

import (
	"fmt"
	"math"
	"math/bits"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/verifier/bounds"
)

var allOps = []struct {
	name string
	op   bounds.Op
	run  func(a, b uint64, width int) uint64
}{
	{"add", bounds.Add, func(a, b uint64, _ int) uint64 { return a + b }},
	{"sub", bounds.Sub, func(a, b uint64, _ int) uint64 { return a - b }},
	{"mul", bounds.Mul, func(a, b uint64, _ int) uint64 { return a * b }},
	{"and", bounds.And, func(a, b uint64, _ int) uint64 { return a & b }},
	{"or", bounds.Or, func(a, b uint64, _ int) uint64 { return a | b }},
	{"xor", bounds.Xor, func(a, b uint64, _ int) uint64 { return a ^ b }},
	{"lsh", bounds.Lsh, func(a, b uint64, w int) uint64 { return a << (b & uint64(w-1)) }},
	{"rsh", bounds.Rsh, func(a, b uint64, w int) uint64 {
		if w == 32 {
			a = uint64(uint32(a))
		}
		return a >> (b & uint64(w-1))
	}},
	{"arsh", bounds.Arsh, func(a, b uint64, w int) uint64 {
		if w == 32 {
			return uint64(int32(a) >> (b & 31))
		}
		return uint64(int64(a) >> (b & 63))
	}},
	{"neg", bounds.Neg, func(a, _ uint64, _ int) uint64 { return -a }},
	{"div", bounds.Div, func(a, b uint64, w int) uint64 {
		if w == 32 {
			a, b = uint64(uint32(a)), uint64(uint32(b))
		}
		if b == 0 {
			return 0
		}
		return a / b
	}},
}

// apply is op on concrete numbers: 32 bits leave zeros above.
func apply(run func(a, b uint64, width int) uint64, a, b uint64, width int) uint64 {
	v := run(a, b, width)
	if width == 32 {
		v = uint64(uint32(v))
	}
	return v
}

// window is what is known of a few numbers in a row, some of which a test picks.
type window struct {
	s    bounds.Scalar
	nums []uint64
}

// windows are short ranges at all places where numbers of either width and sign begin
// or end.
func windows() []window {
	var out []window
	for _, at := range []uint64{0, 1 << 31, 1 << 32, math.MaxUint64 - 1<<31, 1 << 63, 5<<32 + 1<<31, math.MaxUint64 &^ math.MaxUint32} {
		for lo := -2; lo <= 1; lo++ {
			for hi := lo; hi <= 2; hi++ {
				s := bounds.Unknown()
				first, last := at+uint64(lo), at+uint64(hi)
				if first <= last {
					s.UMin, s.UMax = first, last
				} else {
					s.SMin, s.SMax = int64(first), int64(last)
				}
				s.Sync()
				w := window{s: s}
				for v := first; ; v++ {
					w.nums = append(w.nums, v)
					if v == last {
						break
					}
				}
				out = append(out, w)
			}
		}
	}
	return out
}

// check fails unless s has v and does not contradict itself.
func check(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, s bounds.Scalar, v uint64, format string, args ...any) {
	t.Helper()
	if !s.Contains(v) {
		t.Fatalf("%s: %s does not have %#x", fmt.Sprintf(format, args...), text(s), v)
	}
	if why := s.Violation(); why != "" {
		t.Fatalf("%s: %s: %s", fmt.Sprintf(format, args...), text(s), why)
	}
}

// TestWindowsALU tries every operation on all pairs of numbers in all windows.
func TestWindowsALU(t *testing.T) {
	ws := windows()
	for _, w := range ws {
		for _, v := range w.nums {
			check(t, w.s, v, "window")
		}
	}
	for _, op := range allOps {
		for _, width := range []int{64, 32} {
			for _, a := range ws {
				for _, b := range ws {
					r := bounds.ALU(op.op, a.s, b.s, width)
					for _, x := range a.nums {
						for _, y := range b.nums {
							if v := apply(op.run, x, y, width); !r.Contains(v) || r.Violation() != "" {
								check(t, r, v, "%s%d of %s and %s, of %#x and %#x", op.name, width, text(a.s), text(b.s), x, y)
							}
						}
					}
				}
			}
		}
	}
}

var allCmps = []bounds.Cmp{
	bounds.EQ, bounds.NE, bounds.GT, bounds.GE, bounds.LT, bounds.LE, bounds.SGT, bounds.SGE, bounds.SLT, bounds.SLE, bounds.SET, bounds.NSET,
}

// holds reports whether a c b.
func holds(c bounds.Cmp, a, b uint64, width int) bool {
	sa, sb := int64(a), int64(b)
	if width == 32 {
		a, b, sa, sb = uint64(uint32(a)), uint64(uint32(b)), int64(int32(a)), int64(int32(b))
	}
	switch c {
	case bounds.EQ:
		return a == b
	case bounds.NE:
		return a != b
	case bounds.GT:
		return a > b
	case bounds.GE:
		return a >= b
	case bounds.LT:
		return a < b
	case bounds.LE:
		return a <= b
	case bounds.SGT:
		return sa > sb
	case bounds.SGE:
		return sa >= sb
	case bounds.SLT:
		return sa < sb
	case bounds.SLE:
		return sa <= sb
	case bounds.SET:
		return a&b != 0
	}
	return a&b == 0
}

// checkBranch checks decision and narrowing of a comparison for one pair of numbers.
func checkBranch(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, c bounds.Cmp, a, b bounds.Scalar, x, y uint64, width int) {
	t.Helper()
	taken, does := bounds.Taken(c, &a, &b, width), holds(c, x, y, width)
	if taken == bounds.Yes && !does || taken == bounds.No && does {
		t.Fatalf("comparison %d of %s and %s in %d bits is decided as %d, wrongly for %#x and %#x", c, text(a), text(b), width, taken, x, y)
	}
	if taken != bounds.Maybe {
		return
	}
	way := c
	if !does {
		way = c.Opposite()
	}
	ra, rb := a, b
	bounds.Refine(way, &ra, &rb, width)
	if ra.Contains(x) && rb.Contains(y) && ra.Violation() == "" && rb.Violation() == "" {
		return
	}
	check(t, ra, x, "comparison %d of %s and %s in %d bits, of %#x and %#x, left", way, text(a), text(b), width, x, y)
	check(t, rb, y, "comparison %d of %s and %s in %d bits, of %#x and %#x, right", way, text(a), text(b), width, x, y)
}

// TestWindowsBranch tries every comparison on all pairs of numbers in all windows.
func TestWindowsBranch(t *testing.T) {
	ws := windows()
	for _, c := range allCmps {
		for _, width := range []int{64, 32} {
			for _, a := range ws {
				for _, b := range ws {
					for _, x := range a.nums {
						for _, y := range b.nums {
							checkBranch(t, c, a.s, b.s, x, y, width)
						}
					}
				}
			}
		}
	}
}

// drawScalar draws a number and something that is known of it.
func drawScalar(t *rapid.T, label string) (bounds.Scalar, uint64) {
	v := rapid.OneOf(
		rapid.Uint64(),
		rapid.Uint64Range(0, 300),
		rapid.Map(rapid.Int64Range(-300, 300), func(n int64) uint64 { return uint64(n) }),
		rapid.Map(rapid.Int64Range(-4, 4), func(n int64) uint64 { return 1<<31 + uint64(n) }),
		rapid.Map(rapid.Int64Range(-4, 4), func(n int64) uint64 { return 1<<32 + uint64(n) }),
		rapid.Map(rapid.Int64Range(-4, 4), func(n int64) uint64 { return 1<<63 + uint64(n) }),
	).Draw(t, label)
	s := bounds.Unknown()
	below := func(max uint64) uint64 {
		return rapid.Uint64Range(0, max).Draw(t, "gap") >> rapid.IntRange(0, 63).Draw(t, "scale")
	}
	for range rapid.IntRange(0, 3).Draw(t, "facts") {
		switch rapid.IntRange(0, 4).Draw(t, "fact") {
		case 0:
			s.UMin, s.UMax = max(s.UMin, v-below(v)), min(s.UMax, v+below(math.MaxUint64-v))
		case 1:
			lo, hi := below(uint64(int64(v)-math.MinInt64)), below(uint64(math.MaxInt64-int64(v)))
			s.SMin, s.SMax = max(s.SMin, int64(v-lo)), min(s.SMax, int64(v+hi))
		case 2:
			w := uint32(v)
			s.U32Min, s.U32Max = max(s.U32Min, w-uint32(below(uint64(w)))), min(s.U32Max, w+uint32(below(uint64(math.MaxUint32-w))))
		case 3:
			w := int64(int32(v))
			s.S32Min = max(s.S32Min, int32(w-int64(below(uint64(w-math.MinInt32)))))
			s.S32Max = min(s.S32Max, int32(w+int64(below(uint64(math.MaxInt32-w)))))
		case 4:
			mask := rapid.Uint64().Draw(t, "mask") | rapid.Uint64().Draw(t, "more mask")
			s.Var = s.Var.Intersect(bounds.Tnum{Value: v &^ mask, Mask: mask})
		}
		s.Sync()
	}
	check(t, s, v, "%s", label)
	return s, v
}

// TestScalarProperties holds for all numbers: what an operation makes of what is
// known has what it makes of the number.
func TestScalarProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, x := drawScalar(t, "a")
		b, y := drawScalar(t, "b")
		width := rapid.SampledFrom([]int{32, 64}).Draw(t, "width")
		for _, op := range allOps {
			second, z := b, y
			if op.op == bounds.Lsh || op.op == bounds.Rsh || op.op == bounds.Arsh {
				z = y % uint64(width)
				second = bounds.Const(z)
			}
			check(t, bounds.ALU(op.op, a, second, width), apply(op.run, x, z, width), "%s%d of %s and %s", op.name, width, text(a), text(second))
		}
		for _, c := range allCmps {
			checkBranch(t, c, a, b, x, y, width)
		}
		if ones, zero, ok := bounds.Split(bounds.And, &a, &b); ok && !ones.Contains(x) && !zero.Contains(x) {
			t.Fatalf("%s is split without %#x", text(a), x)
		}
		size := rapid.SampledFrom([]int{1, 2, 4}).Draw(t, "size")
		shift := 64 - 8*size
		s := a
		s.Truncate(size)
		check(t, s, x<<shift>>shift, "%d bytes of %s", size, text(a))
		s = a
		s.SignExtend(size, 64)
		check(t, s, uint64(int64(x<<shift)>>shift), "%d signed bytes of %s", size, text(a))
		s = a
		s.Zext()
		check(t, s, uint64(uint32(x)), "lower half of %s", text(a))
		if size < 4 {
			s = a
			s.SignExtend(size, 32)
			s.Zext()
			check(t, s, uint64(uint32(int64(x<<shift)>>shift)), "%d signed bytes of %s in 32 bits", size, text(a))
		}
		s = a
		s.Swap(8)
		check(t, s, bits.ReverseBytes64(x), "reversed bytes of %s", text(a))
		s = a
		s.Swap(size)
		check(t, s, bits.ReverseBytes64(x)>>shift, "%d reversed bytes of %s", size, text(a))
		delta := rapid.Int32().Draw(t, "delta")
		s = a
		s.Move(int64(delta))
		s.Sync()
		check(t, s, x+uint64(int64(delta)), "%s moved by %d", text(a), delta)
		s = a
		s.Sync()
		check(t, s, x, "%s synced again", text(a))
		if !a.Within(&s) {
			t.Fatalf("%s is not within %s", text(s), text(a))
		}
	})
}

// TestOffsets checks the sums that pointers use, of which the lower half says nothing.
func TestOffsets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, x := drawScalar(t, "a")
		b, y := drawScalar(t, "b")
		for _, minus := range []bool{false, true} {
			s, v := a, x+y
			if minus {
				v = x - y
				s.Sub64(&b)
			} else {
				s.Add64(&b)
			}
			s.S32Min, s.S32Max, s.U32Min, s.U32Max = math.MinInt32, math.MaxInt32, 0, math.MaxUint32
			s.Sync()
			check(t, s, v, "offset %s and %s", text(a), text(b))
		}
	})
}

func BenchmarkALU(b *testing.B) {
	x, y := bounds.Unknown(), bounds.Unknown()
	x.UMax, y.UMax = 1000, 1<<40
	x.Sync()
	y.Sync()
	for _, op := range allOps {
		b.Run(op.name, func(b *testing.B) {
			for range b.N {
				bounds.ALU(op.op, x, y, 64)
			}
		})
	}
}

func BenchmarkRefine(b *testing.B) {
	x, y := bounds.Unknown(), bounds.Const(1000)
	for range b.N {
		s, c := x, y
		bounds.Refine(bounds.LT, &s, &c, 64)
	}
}
