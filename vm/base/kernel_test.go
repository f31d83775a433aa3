package base_test

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/internal/judge"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/base.c

var le = binary.LittleEndian

// io is struct io of testdata/base.c.
type io struct {
	x, y, z, w uint64
	a, b       []byte
}

const ioSize = 7*8 + 3*128

func (v io) bytes() []byte {
	out := make([]byte, ioSize)
	for i, x := range []uint64{v.x, v.y, v.z, v.w} {
		le.PutUint64(out[8*i:], x)
	}
	copy(out[56:184], v.a)
	copy(out[184:312], v.b)
	return out
}

func load(t *testing.T, programs ...string) *judge.Pair {
	return judge.Load(t, "testdata/base.o", judge.Options{Programs: programs})
}

// check compares on generated inputs.
func check(t *testing.T, program string, input func(t *rapid.T) io) {
	t.Parallel()
	p := load(t, program)
	rapid.Check(t, func(t *rapid.T) {
		v := input(t)
		p.Compare(t, program, v.bytes(), nil)
	})
}

// numbers are texts that are, or nearly are, numbers.
var numbers = rapid.Custom(func(t *rapid.T) []byte {
	space := rapid.StringOfN(rapid.RuneFrom([]rune(" \t\n\r\v\f")), 0, 3, -1).Draw(t, "space")
	sign := rapid.SampledFrom([]string{"", "", "-", "+", "--"}).Draw(t, "sign")
	prefix := rapid.SampledFrom([]string{"", "", "0x", "0X", "0", "00", "0xg"}).Draw(t, "prefix")
	digits := rapid.OneOf(
		rapid.StringMatching(`[0-9]{0,24}`), rapid.StringMatching(`[0-9a-fA-F]{0,20}`), rapid.StringMatching(`[0-7]{0,26}`),
		rapid.StringMatching(`[0-9]{60,80}`), rapid.StringMatching(`0{55,70}[0-9]{0,10}`),
		rapid.SampledFrom([]string{"9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
			"7fffffffffffffff", "8000000000000000", "ffffffffffffffff", "1777777777777777777777"}),
	).Draw(t, "digits")
	tail := rapid.SampledFrom([]string{"", "", "x", " ", "\xa0", "g", "\x00"}).Draw(t, "tail")
	return []byte(space + sign + prefix + digits + tail)
})

func numberInput(t *rapid.T) io {
	text := numbers.Draw(t, "text")
	n := uint64(min(len(text), 127))
	if rapid.Bool().Draw(t, "other length") {
		n = rapid.Uint64Range(1, 127).Draw(t, "length")
	}
	flags := rapid.OneOf(rapid.SampledFrom([]uint64{0, 8, 10, 16}), rapid.Uint64Range(0, 40), rapid.Uint64()).Draw(t, "flags")
	return io{x: n, y: flags, a: text}
}

func TestStrtol(t *testing.T)  { check(t, "signed_number", numberInput) }
func TestStrtoul(t *testing.T) { check(t, "unsigned_number", numberInput) }

func TestStrncmp(t *testing.T) {
	check(t, "compare", func(t *rapid.T) io {
		text := rapid.OneOf(
			rapid.SampledFrom([]string{"needle", "needl", "needles", "", "a\xff\x80", "a\x7f", "a\xff", "a\xff\x81"}),
			rapid.StringOfN(rapid.RuneFrom([]rune("nedla")), 0, 8, -1),
		).Draw(t, "text")
		return io{x: rapid.Uint64Range(1, 20).Draw(t, "length"), a: []byte(text)}
	})
}

var stringFunctions = []string{"strcmp", "strcasecmp", "strchr", "strchrnul", "strnchr", "strrchr",
	"strlen", "strnlen", "strspn", "strcspn", "strstr", "strnstr"}

func which(t *rapid.T) uint64 {
	name := rapid.SampledFrom(stringFunctions).Draw(t, "function")
	for i, n := range stringFunctions {
		if n == name {
			return uint64(i)
		}
	}
	return 0
}

// word is a short string over few characters, so that matches happen.
var word = rapid.OneOf(
	rapid.StringOfN(rapid.RuneFrom([]rune("abA")), 0, 6, -1),
	rapid.StringOfN(rapid.RuneFrom([]rune("abcABC\x01")), 0, 40, -1),
	rapid.SampledFrom([]string{"\xff", "\x80a", "a\xe9", "A\xc9", "\x7f"}),
)

func TestStringFunctions(t *testing.T) {
	check(t, "strings", func(t *rapid.T) io {
		return io{
			z: which(t),
			x: rapid.OneOf(rapid.SampledFrom([]uint64{'a', 'b', 'A', 0, 0xff, 0x80, ^uint64(0), ^uint64(0x7f), 'a' + 256}), rapid.Uint64()).Draw(t, "character"),
			y: rapid.OneOf(rapid.Uint64Range(0, 45), rapid.SampledFrom([]uint64{65535, 65536, 65537, ^uint64(0), 1 << 31, 1 << 32})).Draw(t, "limit"),
			a: []byte(word.Draw(t, "a")), b: []byte(word.Draw(t, "b")),
		}
	})
}

// Addresses that no program can have, and those of the kernel that nothing is at.
var badAddresses = rapid.SampledFrom([]uint64{0, 1, 4095, 1 << 40, 0xffff000000000000, 0xffffa00000000000 - 1<<45, ^uint64(0) - 4096})

func TestStringFunctionsOnBadAddresses(t *testing.T) {
	check(t, "bad_strings", func(t *rapid.T) io {
		return io{
			z: which(t), w: rapid.Uint64Range(1, 3).Draw(t, "where"), x: badAddresses.Draw(t, "address"),
			y: rapid.Uint64Range(0, 5).Draw(t, "limit"),
			a: []byte(word.Draw(t, "a")), b: []byte(word.Draw(t, "b")),
		}
	})
}

func TestLoop(t *testing.T) {
	for _, program := range []string{"loop", "loop_inline"} {
		t.Run(program, func(t *testing.T) {
			check(t, program, func(t *rapid.T) io {
				return io{
					x: rapid.OneOf(rapid.Uint64Range(0, 300), rapid.SampledFrom([]uint64{8<<20 + 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 5, ^uint64(0)})).Draw(t, "count"),
					y: rapid.Uint64Range(0, 20).Draw(t, "stop"),
					z: rapid.SampledFrom([]uint64{0, 0, 0, 1, 1 << 40}).Draw(t, "flags"),
				}
			})
		})
	}
}

func TestLoopOfTheMostIterations(t *testing.T) {
	p := load(t, "loop")
	if out := p.Compare(t, "loop", io{x: 8 << 20}.bytes(), nil); le.Uint64(out.IO[32:]) != 8<<20 {
		t.Errorf("%d iterations", le.Uint64(out.IO[32:]))
	}
}

func TestIterNum(t *testing.T) {
	check(t, "iter_num", func(t *rapid.T) io {
		start := rapid.OneOf(rapid.Int32Range(-5, 5), rapid.Int32()).Draw(t, "start")
		end := rapid.OneOf(
			rapid.Map(rapid.Int32Range(-3, 50), func(d int32) int32 { return start + d }), rapid.Int32(),
			rapid.Just(start+8<<20+1),
		).Draw(t, "end")
		if d := int64(end) - int64(start); d > 1000 && d <= 8<<20 {
			end = start + 1000
		}
		return io{x: uint64(int64(start)), y: uint64(int64(end))}
	})
}

func TestIterBits(t *testing.T) {
	check(t, "iter_bits", func(t *rapid.T) io {
		in := io{
			x: rapid.OneOf(rapid.Uint64Range(0, 16), rapid.SampledFrom([]uint64{511, 512, 513, 1 << 31, 1 << 32, 1<<32 + 1, 1 << 29})).Draw(t, "words"),
			a: rapid.SliceOfN(rapid.Byte(), 0, 128).Draw(t, "bits"),
		}
		if rapid.Bool().Draw(t, "bad") || in.x&0xffffffff > 16 {
			in.w, in.y = 1, badAddresses.Draw(t, "address")
		}
		return in
	})
}

func TestProbeRead(t *testing.T) {
	check(t, "probe", func(t *rapid.T) io {
		in := io{
			x: rapid.Uint64Range(0, 127).Draw(t, "size"), z: uint64(rapid.IntRange(0, 1).Draw(t, "string")),
			a: []byte(rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 120, -1).Draw(t, "text")),
		}
		if rapid.Bool().Draw(t, "bad") {
			in.w, in.y = 1, badAddresses.Draw(t, "address")
		}
		return in
	})
}

func TestProbeReadUser(t *testing.T) {
	check(t, "probe_user", func(t *rapid.T) io {
		return io{
			x: rapid.Uint64Range(0, 127).Draw(t, "size"), z: uint64(rapid.IntRange(0, 1).Draw(t, "string")),
			y: badAddresses.Draw(t, "address"),
		}
	})
}

func TestSections(t *testing.T) { load(t, "sections").Compare(t, "sections", nil, nil) }
func TestEnvironment(t *testing.T) {
	p := load(t, "environment")
	k, err := p.RunKernel("environment", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.RunMachine("environment", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for side, o := range map[string]judge.Outcome{"kernel": k, "machine": m} {
		if diff := int64(le.Uint64(o.IO[40:])); o.Ret != 0 || diff < -250 || diff > 250 {
			t.Errorf("%s: %#x, jiffies are %d ahead of the uptime", side, o.Ret, diff)
		}
	}
}

func TestThrow(t *testing.T) {
	p := load(t, "throw")
	for _, cookie := range []uint64{0, 1, 77, 1 << 33} {
		p.Compare(t, "throw", io{x: cookie}.bytes(), nil)
	}
}

// Strings longer than the limit of 65,536 characters.
func TestLongStrings(t *testing.T) {
	p := load(t, "long_strings")
	size := int(p.Machine.Maps[".data.big"].ValueSize())
	for _, fill := range []struct{ big, big2 int }{{65535, 65535}, {65536, 65536}, {65537, 65537}, {65536, 1}, {1, 65537}, {65535, 65536}} {
		value := make([]byte, size)
		for i := range fill.big {
			value[i] = 'a'
		}
		for i := range fill.big2 {
			value[70000+i] = 'a'
		}
		if err := p.Machine.Maps[".data.big"].Put(uint32(0), value); err != nil {
			t.Fatal(err)
		}
		if err := p.Kernel.Maps[".data.big"].Put(uint32(0), value); err != nil {
			t.Fatal(err)
		}
		for f := range stringFunctions {
			for w := range uint64(4) {
				for _, limit := range []uint64{65535, 65536, 65537, ^uint64(0)} {
					if (f == 10 || f == 11) && w == 3 && limit != 65536 {
						continue // quadratic
					}
					in := io{x: 'b', y: limit, z: uint64(f), w: w, a: []byte("aab"), b: []byte("ab")}
					p.Compare(t, "long_strings", in.bytes(), nil)
				}
			}
		}
	}
}

func TestStream(t *testing.T) {
	p := load(t, "stream")
	for _, id := range []uint64{0, 1, 2, 3, 1 << 32, 1<<32 + 1, ^uint64(0)} {
		in := io{x: id, y: 7, a: []byte("text")}.bytes()
		want, err := p.RunKernel("stream", in, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.RunMachine("stream", in, nil)
		if err != nil {
			t.Fatal(err)
		}
		for at := 32; at < 56; at += 8 {
			k, m := int64(le.Uint64(want.IO[at:])), int64(le.Uint64(got.IO[at:]))
			// Some kernels have no memory for streams under a test run.
			if k != m && k != -int64(errno.ENOMEM) {
				t.Errorf("stream %d: %d, on the kernel %d", id, m, k)
			}
		}
	}
}

func TestTask(t *testing.T) {
	p := load(t, "task")
	for _, in := range []io{{}, {x: 1, y: 2}, {x: 1 << 40}, {z: 1}, {z: 2}, {w: 1}, {w: 1 << 40}} {
		p.Compare(t, "task", in.bytes(), nil)
	}
}

func TestCurrentTask(t *testing.T) { load(t, "current_task").Compare(t, "current_task", nil, nil) }
