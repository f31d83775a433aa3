package main

import (
	"fmt"
	"io"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// cleanWriter passes text on, control characters as \x1b: names and source lines of
// an object are whatever its author wanted, and must not drive a terminal. Colours
// stay. Each Write has whole lines or at least whole characters.
type cleanWriter struct{ w io.Writer }

// colour is what paints, and nothing else.
var colour = regexp.MustCompile(`^\x1b\[[0-9;]*m`)

func (c cleanWriter) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p))
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRune(p[i:])
		switch {
		case r == '\n' || r == '\t' || !unicode.IsControl(r) && (r != utf8.RuneError || n > 1):
			out = append(out, p[i:i+n]...)
		case r == '\x1b' && colour.Match(p[i:]):
			n = len(colour.Find(p[i:]))
			out = append(out, p[i:i+n]...)
		case n == 1:
			out = fmt.Appendf(out, `\x%02x`, p[i])
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += n
	}
	if _, err := c.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
