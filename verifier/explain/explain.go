package explain

import (
	"cmp"
	"slices"
	"strings"

	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier"
)

// Explanation is what a refusal means.
type Explanation struct {
	// Class is the name of the class, "" for a refusal that the catalogue does not have.
	Class string `json:"class,omitempty"`
	// Program is the program, What is what is wrong with it.
	Program string `json:"program"`
	What    string `json:"what"`
	// Errno and Message are the kernel's.
	Errno   string `json:"errno"`
	Message string `json:"message"`
	// Path has the lines of C that decided, in the order in which they run; the last is
	// where the program was refused.
	Path []Step `json:"path,omitempty"`
	// Help says what usually mends it.
	Help []string `json:"help,omitempty"`
	// Page is the page of the class below docs/errors.
	Page string `json:"page,omitempty"`
}

// Step is a line of C on the path.
type Step struct {
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Text     string `json:"text,omitempty"`
	Function string `json:"function,omitempty"`
	Insn     int    `json:"insn"`
	Note     string `json:"note"`
}

// Explain explains the refusal of a program. The error should have a log of level 1;
// without one only the place of the refusal is known.
func Explain(prog *link.Program, e *verifier.Error) *Explanation {
	out := &Explanation{
		Program: e.Program, Errno: e.Errno.Name(), Message: e.Message,
		What: "the verifier refuses the program",
	}
	lines := e.Lines
	if len(lines) == 0 {
		lines = []string{e.Message}
	}
	c, parts := lookup(lines)
	if parts == nil {
		parts = make(map[string]string)
	}
	q := &query{trace: parseTrace(prog, e.Log), parts: parts}
	q.end = len(q.steps) - 1
	if i := q.last(q.end, e.Insn); i >= 0 {
		q.end = i
	}
	at := "the program is refused here"
	var notes []note
	if c != nil {
		if c.facts != nil && q.end >= 0 {
			notes = c.facts(q)
		}
		out.Class, out.Page = c.Name, "docs/errors/"+c.Name+".md"
		out.What = q.fill(c.What)
		for _, h := range c.Help {
			out.Help = append(out.Help, q.fill(h))
		}
		if c.at != "" {
			at = q.fill(c.at)
		}
	}
	slices.SortStableFunc(notes, func(a, b note) int { return cmp.Compare(a.step, b.step) })
	for _, n := range notes {
		s := &q.steps[n.step]
		out.Path = append(out.Path, newStep(prog, s.in, n.text))
	}
	if i, ok := prog.Index(max(e.Insn, 0)); ok && e.Insn >= 0 {
		out.Path = append(out.Path, newStep(prog, &prog.Insns[i], at))
	}
	return out
}

func newStep(prog *link.Program, in *link.Insn, text string) Step {
	s := Step{Insn: in.Slot, Note: text}
	if i, ok := prog.Index(in.Slot); ok {
		if f := prog.SubprogAt(i); f >= 0 {
			s.Function = prog.Subprogs[f].Name
		}
	}
	if l := in.Line; l != nil {
		s.File, s.Line, s.Column, s.Text = l.File, l.Number, l.Column, strings.TrimRight(l.Text, " \t\n")
	}
	return s
}
