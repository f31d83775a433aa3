package verify

import (
	"fmt"
	"io"
	"strings"
)

// Log says how much of the verifier's log WriteText shows.
type Log string

// The choices for the log.
const (
	LogNone    Log = "none"
	LogError   Log = "error"   // the lines about the refusal
	LogKernel  Log = "kernel"  // the kernel's log at level 1
	LogVerbose Log = "verbose" // the kernel's log at level 2
)

// ParseLog reads the name of a choice.
func ParseLog(s string) (Log, error) {
	switch l := Log(s); l {
	case LogNone, LogError, LogKernel, LogVerbose:
		return l, nil
	}
	return "", fmt.Errorf("log %q: want none, error, kernel or verbose", s)
}

// TextOptions say what WriteText shows.
type TextOptions struct {
	Log     Log
	Explain bool
	// Stats adds the counts of each program.
	Stats bool
	// Color marks for a terminal.
	Color bool
}

// WriteText prints the sum, then each program, then why each refused one is.
func (r *Report) WriteText(w io.Writer, opts TextOptions) error {
	t := &text{w: w, opts: opts}
	t.printf("%s\n", t.paint(bold, r.Sum()))
	width := 0
	for i := range r.Programs {
		width = max(width, len(r.Programs[i].Program))
	}
	for i := range r.Programs {
		p := &r.Programs[i]
		color := red
		if p.Verdict == Accepted {
			color = green
		}
		t.printf("  %s %-*s %s", t.paint(color, fmt.Sprintf("%-10s", p.Verdict)), width, p.Program, p.Type)
		if opts.Stats && p.Verdict != Unloadable {
			t.printf("  %d insns, %d states, stack %s", p.Insns, p.States, stack(p.Stack))
		}
		t.printf("\n")
	}
	if len(r.Skipped) > 0 {
		t.printf("  not verified, for their type: %s\n", strings.Join(r.Skipped, ", "))
	}
	for i := range r.Programs {
		t.program(&r.Programs[i])
	}
	return t.err
}

// Sum is the report in a line: "nat.bpf.o: 7 programs: 6 accepted, 1 rejected (kernel 6.18)".
func (r *Report) Sum() string {
	var parts []string
	for _, v := range []Verdict{Accepted, Rejected, Unloadable} {
		if n := r.Count(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	programs := "programs"
	if len(r.Programs) == 1 {
		programs = "program"
	}
	s := fmt.Sprintf("%d %s", len(r.Programs), programs)
	if len(parts) > 0 {
		s += ": " + strings.Join(parts, ", ")
	}
	if r.Object != "" {
		s = r.Object + ": " + s
	}
	return s + " (kernel " + r.Profile + ")"
}

// text writes until something fails.
type text struct {
	w    io.Writer
	opts TextOptions
	err  error
}

func (t *text) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

const (
	bold  = "1"
	red   = "1;31"
	green = "32"
)

func (t *text) paint(code, s string) string {
	if !t.opts.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// program prints why a program is refused, and its log.
func (t *text) program(p *Program) {
	showLog := p.Log != "" && (t.opts.Log == LogKernel || t.opts.Log == LogVerbose)
	if p.Verdict == Accepted && !showLog {
		return
	}
	t.printf("\n")
	switch {
	case p.Verdict == Unloadable:
		who := ""
		if !strings.Contains(p.Error, p.Program) {
			who = p.Program + ": "
		}
		t.printf("%s: %s%s\n", t.paint(red, "unloadable"), who, p.Error)
	case p.Explanation != nil && t.opts.Explain:
		t.err = firstError(t.err, p.Explanation.WriteText(t.w, t.opts.Color))
	case p.Verdict == Rejected:
		t.printf("%s: %s: %s\n", t.paint(red, "rejected"), p.Program, refusal(p))
		if p.Source != nil {
			t.printf("  --> %s:%d: %s\n", p.Source.File, p.Source.Line, strings.TrimSpace(p.Source.Text))
		}
	}
	switch {
	case showLog:
		t.printf("%s", p.Log)
	case p.Refusal != nil && t.opts.Log == LogError:
		for i, l := range p.Refusal.Lines {
			if i > 0 || !t.opts.Explain {
				t.printf("    | %s\n", l)
			}
		}
	}
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// refusal is the errno and decisive line.
func refusal(p *Program) string {
	if p.Error == "" {
		return p.Errno + " (the kernel says nothing more)"
	}
	return p.Errno + ": " + p.Error
}

func stack(depths []int) string {
	s := make([]string, len(depths))
	for i, d := range depths {
		s[i] = fmt.Sprint(d)
	}
	return strings.Join(s, "+")
}
