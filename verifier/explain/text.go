package explain

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Colours of a terminal.
const (
	red  = "1;31"
	blue = "1;34"
	bold = "1"
)

// WriteText draws the explanation for a person.
func (x *Explanation) WriteText(w io.Writer, color bool) error {
	d := drawing{color: color}
	class := ""
	if x.Class != "" {
		class = "[" + x.Class + "]"
	}
	d.printf("%s%s\n", d.paint(red, "rejected"+class), d.paint(bold, ": "+x.Program+": "+x.What))
	d.path(x.Path)
	said := x.Errno
	if x.Message != "" {
		said += ": " + x.Message
	}
	d.aside("kernel", said)
	for _, h := range x.Help {
		d.aside("help", h)
	}
	if x.Page != "" {
		d.aside("more", x.Page)
	}
	_, err := io.WriteString(w, d.String())
	return err
}

type drawing struct {
	strings.Builder
	color bool
	width int // of line numbers
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(d, format, args...) }

func (d *drawing) paint(code, s string) string {
	if !d.color || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// aside is a line below the drawing.
func (d *drawing) aside(what, text string) {
	d.printf("%*s %s %s: %s\n", d.width, "", d.paint(blue, "="), d.paint(bold, what), text)
}

// path draws the lines of C with what happens at each.
func (d *drawing) path(steps []Step) {
	d.width = 1
	if len(steps) == 0 {
		return
	}
	for i := range steps {
		d.width = max(d.width, len(fmt.Sprint(steps[i].Line)))
	}
	sources := make(map[string][]string)
	for i := range steps {
		s := &steps[i]
		last := i+1 == len(steps)
		if s.File == "" {
			d.printf("%*s %s instruction %d of %s: %s\n", d.width, "", d.paint(blue, "|"), s.Insn, s.Function, s.Note)
			continue
		}
		switch prev := before(steps, i); {
		case prev == nil:
			end := &steps[len(steps)-1]
			d.printf("%*s%s %s:%d in %s, instruction %d\n", d.width, "", d.paint(blue, "-->"), end.File, end.Line, end.Function, end.Insn)
			d.printf("%*s %s\n", d.width, "", d.paint(blue, "|"))
		case prev.File != s.File || prev.Function != s.Function:
			d.printf("%*s %s in %s, %s\n", d.width, "", d.paint(blue, ":::"), s.Function, s.File)
		case s.Line != prev.Line && s.Line != prev.Line+1:
			d.printf("%s\n", d.paint(blue, "..."))
		}
		if prev := before(steps, i); prev == nil || prev.Line != s.Line || prev.File != s.File {
			d.printf("%s %s\n", d.paint(blue, fmt.Sprintf("%*d |", d.width, s.Line)), sourceLine(sources, s))
		}
		mark, code := "-", blue
		if last {
			mark, code = "^", red
		}
		d.printf("%*s %s %s%s\n", d.width, "", d.paint(blue, "|"), d.indent(sourceLine(sources, s), s.Column), d.paint(code, mark+" "+s.Note))
	}
	d.printf("%*s %s\n", d.width, "", d.paint(blue, "|"))
}

// before is the step before i with a place in C, nil for none.
func before(steps []Step, i int) *Step {
	for i--; i >= 0; i-- {
		if steps[i].File != "" {
			return &steps[i]
		}
	}
	return nil
}

// indent is the space before a column of a line, where the column is known.
func (d *drawing) indent(line string, column int) string {
	trimmed := len(line) - len(strings.TrimLeft(line, " \t"))
	n := trimmed
	if column > 1 && column-1 < len(line) {
		n = column - 1
	}
	var b strings.Builder
	for _, c := range line[:n] {
		if c == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// sourceLine is the line of C: from the file where that is at hand and still has it,
// else as the object has it.
func sourceLine(files map[string][]string, s *Step) string {
	lines, ok := files[s.File]
	if !ok {
		if data, err := os.ReadFile(s.File); err == nil {
			lines = strings.Split(string(data), "\n")
		}
		files[s.File] = lines
	}
	if n := s.Line - 1; n >= 0 && n < len(lines) && strings.TrimSpace(lines[n]) == strings.TrimSpace(s.Text) {
		return strings.TrimRight(lines[n], " \t\r")
	}
	return s.Text
}
