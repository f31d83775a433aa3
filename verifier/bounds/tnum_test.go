package bounds_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/verifier/bounds"
)

// smallTnums are all numbers of 5 bits of which some are known, moved up by shift.
func smallTnums(shift uint) []bounds.Tnum {
	var out []bounds.Tnum
	for mask := range uint64(32) {
		for value := range uint64(32) {
			if value&mask == 0 {
				out = append(out, bounds.Tnum{Value: value << shift, Mask: mask << shift})
			}
		}
	}
	return out
}

// members are the numbers that t may be; its unknown bits are 5 from shift on.
func members(t bounds.Tnum, shift uint) []uint64 {
	var out []uint64
	for v := range uint64(32) {
		if w := v << shift; w&^t.Mask == 0 {
			out = append(out, t.Value|w)
		}
	}
	return out
}

// TestTnumSound tries all numbers of 5 bits, at the bottom and at the top, where
// results lose their highest bits.
func TestTnumSound(t *testing.T) {
	ops := []struct {
		name  string
		tnum  func(a, b bounds.Tnum) bounds.Tnum
		plain func(a, b uint64) uint64
	}{
		{"add", bounds.Tnum.Add, func(a, b uint64) uint64 { return a + b }},
		{"sub", bounds.Tnum.Sub, func(a, b uint64) uint64 { return a - b }},
		{"mul", bounds.Tnum.Mul, func(a, b uint64) uint64 { return a * b }},
		{"and", bounds.Tnum.And, func(a, b uint64) uint64 { return a & b }},
		{"or", bounds.Tnum.Or, func(a, b uint64) uint64 { return a | b }},
		{"xor", bounds.Tnum.Xor, func(a, b uint64) uint64 { return a ^ b }},
		{"neg", func(a, _ bounds.Tnum) bounds.Tnum { return a.Neg() }, func(a, _ uint64) uint64 { return -a }},
		{"union", bounds.Tnum.Union, func(a, _ uint64) uint64 { return a }},
		{"union's other", bounds.Tnum.Union, func(_, b uint64) uint64 { return b }},
	}
	for _, shift := range []uint{0, 59} {
		tnums := smallTnums(shift)
		if testing.Short() {
			tnums = tnums[:81]
		}
		for _, op := range ops {
			t.Run(fmt.Sprint(op.name, shift), func(t *testing.T) {
				for _, a := range tnums {
					for _, b := range tnums {
						r := op.tnum(a, b)
						if r.Value&r.Mask != 0 {
							t.Fatalf("%v %s %v = %x/%x: a bit is both known and unknown", a, op.name, b, r.Value, r.Mask)
						}
						for _, x := range members(a, shift) {
							for _, y := range members(b, shift) {
								if v := op.plain(x, y); !r.Contains(v) {
									t.Fatalf("%v %s %v = %v, without %#x of %#x and %#x", a, op.name, b, r, v, x, y)
								}
							}
						}
					}
				}
			})
		}
	}
}

// TestTnumIntersect finds what two share, and nothing that either has not.
func TestTnumIntersect(t *testing.T) {
	for _, a := range smallTnums(3) {
		for _, b := range smallTnums(3) {
			var both []uint64
			for _, v := range members(a, 3) {
				if b.Contains(v) {
					both = append(both, v)
				}
			}
			if len(both) == 0 {
				continue // they contradict each other
			}
			r := a.Intersect(b)
			if got := members(r, 3); len(got) != len(both) || got[0] != both[0] {
				t.Fatalf("%v and %v share %v: they share %#x", a, b, got, both)
			}
			if !a.In(r) || !b.In(r) {
				t.Fatalf("%v is not in %v and %v", r, a, b)
			}
		}
	}
}

// TestTnumNext compares Next with a search.
func TestTnumNext(t *testing.T) {
	for _, a := range smallTnums(2) {
		all := members(a, 2)
		last := all[len(all)-1]
		for v := range uint64(130) {
			want := last
			for i := len(all) - 1; i >= 0 && all[i] > v; i-- {
				want = all[i]
			}
			if got := a.Next(v); got != want {
				t.Fatalf("next of %v after %#x is %#x, want %#x", a, v, got, want)
			}
		}
	}
}

func drawTnum(t *rapid.T, label string) bounds.Tnum {
	mask := rapid.Uint64().Draw(t, label+"'s mask")
	return bounds.Tnum{Value: rapid.Uint64().Draw(t, label+"'s value") &^ mask, Mask: mask}
}

func drawMember(t *rapid.T, a bounds.Tnum, label string) uint64 {
	return a.Value | rapid.Uint64().Draw(t, label)&a.Mask
}

// TestTnumProperties holds for all numbers of 64 bits.
func TestTnumProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawTnum(t, "a"), drawTnum(t, "b")
		x, y := drawMember(t, a, "x"), drawMember(t, b, "y")
		n := uint8(rapid.IntRange(0, 63).Draw(t, "n"))
		size := rapid.SampledFrom([]int{1, 2, 4, 8}).Draw(t, "size")
		n32 := n % 32
		for name, c := range map[string]struct {
			t bounds.Tnum
			v uint64
		}{
			"add": {a.Add(b), x + y}, "sub": {a.Sub(b), x - y}, "mul": {a.Mul(b), x * y}, "neg": {a.Neg(), -x},
			"and": {a.And(b), x & y}, "or": {a.Or(b), x | y}, "xor": {a.Xor(b), x ^ y},
			"lsh": {a.Lsh(n), x << n}, "rsh": {a.Rsh(n), x >> n}, "arsh": {a.Arsh(n, 64), uint64(int64(x) >> n)},
			"arsh32":    {a.Subreg().Arsh(n32, 32), uint64(uint32(int32(x) >> n32))},
			"cast":      {a.Cast(size), x & (^uint64(0) >> (64 - 8*size))},
			"subreg":    {a.WithSubreg(b), x>>32<<32 | uint64(uint32(y))},
			"clear":     {a.ClearSubreg(), x >> 32 << 32},
			"range":     {bounds.TnumRange(min(x, y), max(x, y)), min(x, y) + (max(x, y)-min(x, y))/2},
			"union":     {a.Union(b), x},
			"intersect": {a.Intersect(bounds.Tnum{Value: x &^ b.Mask, Mask: b.Mask}), x},
		} {
			if !c.t.Contains(c.v) {
				t.Fatalf("%s is %v, without %#x", name, c.t, c.v)
			}
		}
		if next := a.Next(x); next != a.Value|a.Mask && (next <= x || !a.Contains(next)) {
			t.Fatalf("next of %v after %#x is %#x", a, x, next)
		}
		if a.IsAligned(8) && x%8 != 0 {
			t.Fatalf("%v is aligned, %#x is not", a, x)
		}
	})
}

func TestTnumString(t *testing.T) {
	for want, a := range map[string]bounds.Tnum{
		"0": {}, "65535": {Value: 65535}, "0x10000": {Value: 65536}, "(0x0; 0xff)": {Mask: 255}, "(0x100; 0xf)": {Value: 256, Mask: 15},
	} {
		if got := a.String(); got != want {
			t.Errorf("%x/%x is written %s, want %s", a.Value, a.Mask, got, want)
		}
	}
}
