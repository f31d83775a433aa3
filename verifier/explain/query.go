package explain

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
)

// note is something decisive at a step of the path.
type note struct {
	step int
	text string
}

// query is what a class looks at to find facts.
type query struct {
	*trace
	parts map[string]string
	// end is the step at which the program was refused.
	end int
}

// number is a part of the message as a number.
func (q *query) number(name string) (int, bool) {
	n, err := strconv.Atoi(q.parts[name])
	return n, err == nil
}

// register is the register that the message names.
func (q *query) register() (asm.Register, bool) {
	n, ok := q.number("reg")
	return asm.Register(n), ok && n >= 0 && n <= 10
}

// argument is the register of an argument that the message names, counted from 0.
func (q *query) argument() (asm.Register, bool) {
	n, ok := q.number("arg")
	return asm.Register(n + 1), ok && n >= 0 && n < 5
}

// pointer is the register that the message is about, by either name.
func (q *query) pointer() (asm.Register, bool) {
	if r, ok := q.register(); ok {
		return r, true
	}
	return q.argument()
}

// callName is the helper or kfunc that a step calls, "" for none.
func callName(in *link.Insn) string {
	if in.Call == nil {
		return ""
	}
	return in.Call.Name
}

// callHas reports whether a step calls something with one of the flags.
func callHas(in *link.Insn, flags kernel.Flags) bool {
	return in.Call != nil && in.Call.Proto != nil && in.Call.Proto.Flags&flags != 0
}

// madeBy says how a value came to be, for the sentence "... here".
func madeBy(in *link.Insn) string {
	if name := callName(in); name != "" {
		return name + " returns it here"
	}
	return "the value comes from here"
}

// origins notes where the pointer of the message comes from.
func origins(q *query) []note {
	r, ok := q.pointer()
	if !ok {
		return nil
	}
	i := q.origin(q.end, r)
	if i < 0 {
		return nil
	}
	if name := callName(q.steps[i].in); name != "" {
		q.parts["origin"] = "what " + name + " returned"
	}
	return []note{{i, madeBy(q.steps[i].in)}}
}

// maybeNull notes where the pointer of the message comes from, which may be NULL.
func maybeNull(q *query) []note {
	out := origins(q)
	for i := range out {
		if in := q.steps[out[i].step].in; callHas(in, kernel.RetNull) {
			out[i].text = callName(in) + " may return NULL here"
		}
	}
	return out
}

// branches notes the tests between two steps that decided where the program went, the
// last few of them.
func (q *query) branches(from, to int) []note {
	const most = 3
	var out []note
	for i := to - 1; i > from && len(out) < most; i-- {
		s := &q.steps[i]
		if !isBranch(s.in) || i+1 >= len(q.steps) || s.in.Line == nil || s.depth > q.depthAt(to) {
			continue
		}
		next := q.nextLine(i)
		if next == nil || next.Number == s.in.Line.Number && next.File == s.in.Line.File {
			continue
		}
		if n := len(out); n > 0 && q.steps[out[n-1].step].in.Line.Number == s.in.Line.Number {
			continue
		}
		out = append(out, note{i, "this test sends the program on to line " + strconv.Itoa(next.Number)})
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// nextLine is the line of C that runs after step i's own.
func (q *query) nextLine(i int) *link.Line {
	if i+1 < len(q.steps) {
		return q.steps[i+1].in.Line
	}
	return nil
}

// fill puts the parts of the message into a template. A part that is not there is
// left to the words in the template after a bar: "{origin|a pointer}".
func (q *query) fill(template string) string {
	return placeholder.ReplaceAllStringFunc(template, func(m string) string {
		name, otherwise, _ := strings.Cut(m[1:len(m)-1], "|")
		if v := q.parts[name]; v != "" {
			return v
		}
		if name == "type" && otherwise == "" {
			return "?"
		}
		return otherwise
	})
}

var placeholder = regexp.MustCompile(`\{\w+(\|[^}]*)?\}`)
