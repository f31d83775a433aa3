package base

import (
	"strings"
	"testing"

	"github.com/bpfct/bpfct/internal/errno"
)

// strings in memory, by address.
type fakeMemory map[uint64]string

func (m fakeMemory) span(addr uint64, limit int) []byte {
	s := m[addr]
	return []byte(s[:min(len(s), limit)])
}

var testMemory = fakeMemory{
	0x1000: "text\x00", 0x2000: "unfinished", 0x3000: "\x0a\x00\x00\x01",
	0x4000: "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		format string
		args   []uint64
		want   string
		err    errno.Errno
	}{
		{format: "plain, in any language: é", want: "plain, in any language: é"},
		{format: "100%%", want: "100%"},
		{format: "%d %i %u", args: []uint64{^uint64(0), 1 << 32, ^uint64(0)}, want: "-1 0 4294967295"},
		{format: "%ld %llu %lx", args: []uint64{^uint64(0), ^uint64(0), 255}, want: "-1 18446744073709551615 ff"},
		{format: "%x %X %08x|%-6d|%+d|% d", args: []uint64{0xabc, 0xabc, 0xabc, 7, 7, 7}, want: "abc ABC 00000abc|7     |+7| 7"},
		{format: "%c%c%5c|%-5c|", args: []uint64{'a', 'b', 'c', 'd'}, want: "ab    c|d    |"},
		{format: "%s|%8s|%-8s|", args: []uint64{0x1000, 0x1000, 0x1000}, want: "text|    text|text    |"},
		{format: "%s|%s", args: []uint64{0, 0x2000}, want: "|"},
		{format: "%pks.%pus.", args: []uint64{0x1000, 0x1000}, want: "text.."},
		{format: "%pI4 %pi4", args: []uint64{0x3000, 0x3000}, want: "10.0.0.1 010.000.000.001"},
		{format: "%pI6 %pi6", args: []uint64{0x4000, 0x4000}, want: "2001:0db8:0000:0000:0000:0000:0000:0001 20010db8000000000000000000000001"},
		{format: "%pI4", args: []uint64{0}, want: "0.0.0.0"},
		{format: "%p %px %pK", args: []uint64{0x1234, 0x1234, 0}, want: "0000000000001234 0000000000001234 0000000000000000"},
		{format: "%pB %ps", args: []uint64{0x1234, 0x1234}, want: "0x1234 0x1234"},
		{format: "%d", err: errno.EINVAL},
		{format: "%", args: []uint64{1}, err: errno.EINVAL},
		{format: "%h", args: []uint64{1}, err: errno.EINVAL},
		{format: "%lld%lllu", args: []uint64{1, 1}, err: errno.EINVAL},
		{format: "%sx", args: []uint64{0x1000}, err: errno.EINVAL},
		{format: "%pI5", args: []uint64{0x1000}, err: errno.EINVAL},
		{format: "%.3d", args: []uint64{1}, err: errno.EINVAL},
		{format: "%n", args: []uint64{1}, err: errno.EINVAL},
		{format: "control \x01", err: errno.EINVAL},
	} {
		got, n, e := format(testMemory, append([]byte(tt.format), 0), tt.args, 200)
		if string(got) != tt.want || e != tt.err || e == 0 && n != len(tt.want) {
			t.Errorf("%q: %q (%d), %v; want %q, %v", tt.format, got, n, e, tt.want, tt.err)
		}
	}
}

func TestWidthHasALimit(t *testing.T) {
	for f, want := range map[string]int{"%8388607d": 8388607, "%20000000d": 8388607, "%99999999999s": 8388607, "%4294967306d": 10, "%2147483648d": 1} {
		if _, n, e := format(testMemory, []byte(f+"\x00"), []uint64{1}, 10); n != want || e != 0 {
			t.Errorf("%s: %d, %v; want %d", f, n, e, want)
		}
	}
}

func TestFormatNeedsItsNUL(t *testing.T) {
	if _, _, e := format(testMemory, []byte("no end"), nil, 200); e != errno.EINVAL {
		t.Errorf("%v, want EINVAL", e)
	}
}

// The arguments take 512 bytes at most once they are copied.
func TestFormatRunsOutOfRoom(t *testing.T) {
	mem := fakeMemory{1: strings.Repeat("x", 600) + "\x00"}
	if _, _, e := format(mem, []byte("%s%d\x00"), []uint64{1, 1}, 2000); e != errno.ENOSPC {
		t.Errorf("%v, want ENOSPC", e)
	}
	if out, _, e := format(mem, []byte("%s\x00"), []uint64{1}, 2000); e != 0 || len(out) != 511 {
		t.Errorf("%d bytes, %v; want 511", len(out), e)
	}
}

func FuzzFormat(f *testing.F) {
	for _, s := range []string{"%d", "%5s|%-3c", "%pI4abc", "%99999999d", "%pks%%", "% +-0x", "é%p÷"} {
		f.Add([]byte(s), uint64(0x1000), 20)
	}
	f.Fuzz(func(t *testing.T, s []byte, arg uint64, size int) {
		size &= 1023
		args := []uint64{arg, arg ^ 0x3000, 0x4000}
		out, n, e := format(testMemory, append(s, 0), args, size)
		switch {
		case e != 0 && (out != nil || n != 0):
			t.Errorf("%q: %v and %q", s, e, out)
		case len(out) > size || len(out) > n || n <= size && len(out) != n:
			t.Errorf("%q: %d bytes of %d into %d", s, len(out), n, size)
		}
	})
}
