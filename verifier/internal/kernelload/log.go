package kernelload

import (
	"regexp"
	"strconv"
	"strings"
)

// Shown is a state that a log has.
type Shown struct {
	// Insn is the instruction that the state follows or, with From, the one that it
	// precedes.
	Insn int
	// From is the instruction that jumped there, of a path that is taken up again; -1
	// for the state behind an instruction.
	From int
	// Bare is set for a state on a line of its own: it belongs to the instruction of the
	// line before, or stands before the first, Insn then being -1.
	Bare bool
	// Text is what the log has for each register and stack slot, by its name: "R1",
	// "fp-8".
	Text map[string]string
}

var (
	insnLine = regexp.MustCompile(`^(\d+): \([0-9a-f]{2}\) `)
	fromLine = regexp.MustCompile(`^from (\d+) to (\d+):(.*)$`)
	bareLine = regexp.MustCompile(`^(\d+): ((?:R\d|fp-|frame).*)$`)
)

// States reads the states of a log of level 2 in their order. Instructions without a
// state behind them have one without text.
func States(log string) []Shown {
	var out []Shown
	last := -1
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\n")
		switch {
		case insnLine.MatchString(line):
			n, _ := strconv.Atoi(insnLine.FindStringSubmatch(line)[1])
			last = n
			_, text, _ := strings.Cut(line, " ; ")
			out = append(out, Shown{Insn: n, From: -1, Text: Fields(text)})
		case fromLine.MatchString(line):
			m := fromLine.FindStringSubmatch(line)
			from, _ := strconv.Atoi(m[1])
			to, _ := strconv.Atoi(m[2])
			out = append(out, Shown{Insn: to, From: from, Text: Fields(m[3])})
		case bareLine.MatchString(line):
			out = append(out, Shown{Insn: last, From: -1, Bare: true, Text: Fields(bareLine.FindStringSubmatch(line)[2])})
		}
	}
	return out
}

// Fields splits "R1=scalar(var_off=(0x0; 0xff)) fp-8=m" at the spaces outside
// parentheses.
func Fields(text string) map[string]string {
	out := make(map[string]string)
	depth, start := 0, 0
	add := func(s string) {
		if name, value, ok := strings.Cut(s, "="); ok {
			out[name] = value
		}
	}
	for i, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case ' ':
			if depth == 0 {
				add(text[start:i])
				start = i + 1
			}
		}
	}
	add(text[start:])
	return out
}
