package base_test

import (
	"flag"
	"math"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/internal/judge"
	"github.com/bpfct/bpfct/vm/base"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/print.c

const (
	printArgs  = 12
	textSize   = 40
	lineSize   = 16*printArgs + printArgs*textSize + 8 + 200
	printLines = 8
)

// printArg is an argument: a number, or the address of a string.
type printArg struct {
	raw    uint64
	text   string
	string bool
}

// argument is one for a conversion. Numbers in place of addresses are small: the
// two sides have nothing at the same addresses.
func argument(t *rapid.T, conversion string) printArg {
	switch {
	case strings.HasSuffix(conversion, "s") && !strings.HasSuffix(conversion, "ps") || strings.HasSuffix(conversion, "ks") ||
		strings.ContainsAny(conversion, "iI") && strings.Contains(conversion, "p"):
		if rapid.IntRange(0, 9).Draw(t, "bad") == 0 {
			return printArg{raw: rapid.SampledFrom([]uint64{0, 1, 1 << 40, 0xffff800000000000}).Draw(t, "address")}
		}
		return printArg{string: true, text: rapid.OneOf(
			rapid.StringOfN(rapid.RuneFrom([]rune("abc %\n")), 0, 20, -1),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 39), func(b []byte) string { return string(b) }),
		).Draw(t, "text")}
	case strings.Contains(conversion, "p"):
		if strings.Contains(conversion, "px") {
			return printArg{raw: rapid.Uint64().Draw(t, "address")}
		}
		return printArg{raw: 0} // hashed otherwise
	}
	return printArg{raw: rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 300), rapid.Map(rapid.Uint64Range(0, 300), func(v uint64) uint64 { return -v })).Draw(t, "number")}
}

var conversions = []string{"d", "i", "u", "x", "X", "ld", "li", "lu", "lx", "lX", "lld", "llu", "llx", "llX", "s", "c",
	"p", "px", "pK", "pks", "pus", "pB", "ps", "pS", "pi4", "pI4", "pi6", "pI6"}

// cutConversions are those for a buffer that may be too small: after one of the
// others, the kernel takes later arguments from the wrong place there, and prints
// what earlier calls left.
var cutConversions = []string{"d", "i", "u", "x", "X", "ld", "li", "lu", "lx", "lX", "lld", "llu", "llx", "llX", "s", "c", "p", "px", "pK", "ps", "pS"}

// printf is a format that the verifier accepts, with arguments.
func printf(t *rapid.T, maxLen int, conversions []string) (string, []printArg) {
	format, args := "", []printArg(nil)
	for range rapid.IntRange(0, 9).Draw(t, "pieces") {
		piece := rapid.OneOf(rapid.StringOfN(rapid.RuneFrom([]rune("ab1 ,.:-\né÷")), 0, 5, -1), rapid.Just("%%")).Draw(t, "text")
		var arg *printArg
		if len(args) < printArgs && rapid.IntRange(0, 4).Draw(t, "spec") > 0 {
			conv := rapid.SampledFrom(conversions).Draw(t, "conversion")
			flags := rapid.StringOfN(rapid.RuneFrom([]rune("0+- ")), 0, 3, -1).Draw(t, "flags")
			width := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[1-9][0-9]?`)).Draw(t, "width")
			piece += "%" + flags + width + conv
			a := argument(t, conv)
			arg = &a
			if strings.ContainsAny(conv, "sp") && conv != "px" || conv == "p" {
				piece += rapid.SampledFrom([]string{" ", "", ",", "%%", "\xa0", "é"}).Draw(t, "after")
			}
		}
		if len(format)+len(piece) > maxLen {
			break
		}
		format += piece
		if arg != nil {
			args = append(args, *arg)
		}
	}
	return format, args
}

func setArgs(line []byte, args []printArg) {
	for i, a := range args {
		le.PutUint64(line[8*i:], a.raw)
		if a.string {
			line[8*printArgs+8*i] = 1
			copy(line[16*printArgs+textSize*i:][:textSize-1], a.text)
		}
	}
}

// Formats are constants, so that each set of them is another program.
func TestSnprintf(t *testing.T) {
	left := 12 // sets of formats, each of which takes a while; -rapid.checks lifts this
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "rapid.checks" {
			left = math.MaxInt
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		if left--; left < 0 {
			return
		}
		in := make([]byte, printLines*lineSize)
		var formats [printLines]string
		var sizes, bytes [printLines]uint32
		for i := range formats {
			var args []printArg
			sizes[i] = 200
			use := conversions
			if rapid.Bool().Draw(rt, "cut") {
				sizes[i], use = rapid.Uint32Range(0, 60).Draw(rt, "size"), cutConversions
			}
			formats[i], args = printf(rt, 63, use)
			// A letter after a conversion can make it another one, which the verifier
			// refuses.
			if base.CheckFormat(formats[i], len(args)) != nil {
				formats[i], args = "%d", []printArg{{raw: 1}}
			}
			setArgs(in[i*lineSize:], args)
			bytes[i] = uint32(8 * len(args))
		}
		p := judge.Load(t, "testdata/print.o", judge.Options{Programs: []string{"print"}, Edit: func(spec *ebpf.CollectionSpec) {
			for i := range formats {
				var f [64]byte
				copy(f[:], formats[i])
				n := string(rune('0' + i))
				for name, v := range map[string]any{"format" + n: f, "size" + n: sizes[i], "bytes" + n: bytes[i]} {
					if err := spec.Variables[name].Set(v); err != nil {
						rt.Fatalf("%s: %v", name, err)
					}
				}
			}
		}})
		want, err := p.RunKernel("print", in, nil)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := p.RunMachine("print", in, nil)
		if err != nil {
			rt.Fatalf("%+v", err)
		}
		for i := range formats {
			const retAt = 16*printArgs + printArgs*textSize
			g, w := got.IO[i*lineSize+retAt:(i+1)*lineSize], want.IO[i*lineSize+retAt:(i+1)*lineSize]
			if string(g) != string(w) {
				rt.Fatalf("%q into %d bytes:\n%d %q, on the kernel\n%d %q", formats[i], sizes[i], int64(le.Uint64(g)), g[8:], int64(le.Uint64(w)), w[8:])
			}
		}
		p.Close()
	})
}

// Formats at run time, most of them wrong.
func TestTracePrintk(t *testing.T) {
	for _, program := range []string{"vprintk", "printk"} {
		t.Run(program, func(t *testing.T) {
			p := judge.Load(t, "testdata/print.o", judge.Options{Programs: []string{program}})
			rapid.Check(t, func(t *rapid.T) {
				format, args := printf(t, 200, conversions)
				if rapid.IntRange(0, 3).Draw(t, "wrong") == 0 {
					format = rapid.OneOf(
						rapid.StringOfN(rapid.RuneFrom([]rune("%%%ldsciuxXpkKIB46 0-+#.*hzn5ab")), 0, 12, -1),
						rapid.Map(rapid.SliceOfN(rapid.ByteRange(1, 255), 0, 6), func(b []byte) string { return string(b) }),
					).Draw(t, "format")
					// Whatever the format takes them for: no addresses, which the sides
					// would print differently.
					for i := range args {
						args[i] = printArg{}
						if !strings.Contains(format, "p") {
							args[i].raw = rapid.OneOf(rapid.Uint64Range(0, 4095), rapid.Uint64Range(1<<48, 1<<63)).Draw(t, "argument")
						}
					}
				}
				in := make([]byte, printLines*lineSize+256+24)
				setArgs(in, args)
				copy(in[printLines*lineSize:][:255], format)
				size := uint64(len(format) + 1)
				if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
					size = rapid.Uint64Range(1, 255).Draw(t, "format size")
				}
				n := uint64(8 * len(args))
				if rapid.IntRange(0, 9).Draw(t, "other number") == 0 {
					n = rapid.Uint64Range(0, 96).Draw(t, "bytes of arguments")
				}
				le.PutUint64(in[printLines*lineSize+256:], size)
				le.PutUint64(in[printLines*lineSize+264:], n)
				p.Compare(t, program, in, nil)
			})
		})
	}
}
