package link

import (
	"fmt"
	"strings"
)

// Error says which instruction of which program could not be linked.
type Error struct {
	// Program is the name of the program, "" where the whole object is at fault.
	Program string
	// Insn is the index of the instruction in the program, -1 for none.
	Insn int
	// Source is the line of C that the instruction comes from, nil if unknown.
	Source *Line
	// Err is what is wrong.
	Err error
}

// Error names the place, then the fault.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Program != "" {
		fmt.Fprintf(&b, "program %s: ", e.Program)
	}
	if e.Insn >= 0 {
		fmt.Fprintf(&b, "instruction %d", e.Insn)
		if e.Source != nil {
			fmt.Fprintf(&b, " (%s)", e.Source)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap gives the fault without the place.
func (e *Error) Unwrap() error { return e.Err }
