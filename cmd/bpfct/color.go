package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// color reports whether w is a terminal that may be written to in colour.
func color(w io.Writer) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if c, ok := w.(cleanWriter); ok {
		w = c.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}
