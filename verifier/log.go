package verifier

import (
	"bytes"
	"fmt"
	"strings"
)

// log is the kernel's log buffer. What a level does not show is not formatted.
type log struct {
	level LogLevel
	buf   []byte
	// lines are those about the refusal, in their order.
	lines []string
	// insnEnd is where the text of the instruction that is walked ends, and column its
	// length: the state after it may follow on the same line.
	insnEnd, column int
	// remarks says that refusals decide nothing now.
	remarks bool
}

// Alignment of the state behind an instruction.
const (
	minAlignment = 8
	alignment    = 40
)

// enabled reports whether paths are logged: levels 1 and 2.
func (l *log) enabled() bool { return l.level.level() != LogError }

// verbose reports whether every instruction is logged.
func (l *log) verbose() bool { return l.level.level() == LogAll }

// printf adds text at levels 1 and 2.
func (l *log) printf(format string, args ...any) {
	if l.enabled() {
		l.buf = fmt.Appendf(l.buf, format, args...)
	}
}

// decisive adds a line about a refusal, at every level.
func (l *log) decisive(line string) {
	if l.remarks {
		l.printf("%s\n", line)
		return
	}
	l.lines = append(l.lines, strings.Split(strings.TrimRight(line, "\n"), "\n")...)
	l.buf = append(append(l.buf, line...), '\n')
}

// unended takes the end off the last line, for messages that the kernel does not end.
func (l *log) unended() { l.buf = bytes.TrimSuffix(l.buf, []byte{'\n'}) }

// aside does what may be refused without that deciding anything: what it says is
// shown where paths are.
func (l *log) aside(f func() error) error {
	l.remarks = true
	defer func() { l.remarks = false }()
	return f()
}

// stats adds a line after the walk.
func (l *log) stats(format string, args ...any) {
	l.buf = append(fmt.Appendf(l.buf, format, args...), '\n')
}

// first is the decisive line: the first that was written about the refusal.
func (l *log) first(fallback string) string {
	if len(l.lines) > 0 {
		return l.lines[0]
	}
	return fallback
}

// pos is the length of the log, for reset.
func (l *log) pos() int { return len(l.buf) }

// reset forgets what was logged since pos: at level 1 the log has only the path that
// is walked.
func (l *log) reset(pos int) { l.buf = l.buf[:min(pos, len(l.buf))] }

// padding is how many spaces bring a line of the given length to the column of states.
func padding(length int) int {
	want := max(length+minAlignment/2, alignment)
	return (want+minAlignment-1)/minAlignment*minAlignment - length - 1
}

// text is the whole log.
func (l *log) text() string { return string(l.buf) }
