package base

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/internal/errno"
)

func TestParseNumber(t *testing.T) {
	for _, tt := range []struct {
		text  string
		flags uint64
		want  number
		err   errno.Errno
	}{
		{"42", 0, number{42, false, 2}, 0},
		{" \t-42 apples", 10, number{42, true, 5}, 0},
		{"0x1f", 0, number{0x1f, false, 4}, 0},
		{"0X1f", 16, number{0x1f, false, 4}, 0},
		{"017", 0, number{017, false, 3}, 0},
		{"0xg", 0, number{0, false, 1}, 0},
		{"0x", 16, number{}, errno.EINVAL},
		{"18446744073709551615", 10, number{^uint64(0), false, 20}, 0},
		{"18446744073709551616", 10, number{}, errno.ERANGE},
		{"", 10, number{}, errno.EINVAL},
		{"-", 10, number{}, errno.EINVAL},
		{"+1", 10, number{}, errno.EINVAL},
		{"1", 2, number{}, errno.EINVAL},
		{"1", 10 | 32, number{}, errno.EINVAL},
	} {
		got, e := parseNumber([]byte(tt.text), tt.flags)
		if e != tt.err || e == 0 && got != tt.want {
			t.Errorf("%q, %d: %+v, %v; want %+v, %v", tt.text, tt.flags, got, e, tt.want, tt.err)
		}
	}
}

// Plain numbers mean what they mean to Go.
func TestParseNumberAgainstStrconv(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom([]int{8, 10, 16}).Draw(t, "base")
		text := strconv.FormatUint(rapid.Uint64().Draw(t, "number"), base) + rapid.StringMatching(`[0-9]{0,2}`).Draw(t, "more")
		want, err := strconv.ParseUint(text, base, 64)
		got, e := parseNumber([]byte(text), uint64(base))
		if base == 8 && err != nil && e == 0 {
			return // an 8 or 9 ends an octal number
		}
		if (err != nil) != (e != 0) || err == nil && (got.value != want || got.consumed != len(text)) {
			t.Fatalf("%q: %+v, %v; strconv says %d, %v", text, got, e, want, err)
		}
	})
}
