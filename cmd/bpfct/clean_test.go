package main

import (
	"strings"
	"testing"
)

func TestCleanWriter(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"a\tb\nü … \\x1b":             "a\tb\nü … \\x1b",
		"\x1b[31mred\x1b[0m":          "\x1b[31mred\x1b[0m",
		"\x1b]0;title\x07":            `\x1b]0;title\x07`,
		"\x1b[2J\x1b[1;1Hgone":        `\x1b[2J\x1b[1;1Hgone`,
		"over\rwritten\b\x7f\x00":     `over\x0dwritten\x08\x7f\x00`,
		"\xff\xfe half \xe2\x82 \x9b": `\xff\xfe half \xe2\x82 \x9b`,
		"C1 \u009b2J":                 `C1 \u009b2J`,
		"\x1b":                        `\x1b`,
	} {
		var b strings.Builder
		if n, err := (cleanWriter{&b}).Write([]byte(in)); n != len(in) || err != nil {
			t.Errorf("%q: wrote %d, %v", in, n, err)
		}
		if b.String() != want {
			t.Errorf("%q: got %q, want %q", in, b.String(), want)
		}
	}
}
