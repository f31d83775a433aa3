package verifier

import (
	"fmt"
	"io"
	"strings"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/link"
)

// LogLevel says how much the log has, as BPF_PROG_LOAD's log_level does.
type LogLevel uint8

// The levels; Stats may be added to either.
const (
	LogError LogLevel = 0 // only the reason of a refusal
	LogPath  LogLevel = 1 // and, of a refused program, the path that leads there
	LogAll   LogLevel = 2 // every instruction on every path, with the state after it
	LogStats LogLevel = 4 // the line of counts at the end
)

// level is l without LogStats.
func (l LogLevel) level() LogLevel { return l &^ LogStats }

// DefaultMaxStateBytes bounds the memory of states in a verification.
const DefaultMaxStateBytes = 4 << 30

// Options control Verify. The zero value gives the verdict and the reason.
type Options struct {
	Log LogLevel
	// MaxStateBytes bounds the memory for states; 0 means DefaultMaxStateBytes. It is
	// ours: the kernel has no such limit.
	MaxStateBytes int64
	// CPUs is the number of CPUs of the machine that would load the program; 0 means 2.
	CPUs int
	// StrictAlignment is BPF_F_STRICT_ALIGNMENT: all accesses must be aligned.
	StrictAlignment bool
	// Record keeps what was known at each instruction; see Result.Seen. So that it holds
	// of all runs, no path is left out because its numbers do not matter: more paths are
	// walked than the kernel does, and the counts are not its own.
	Record bool
}

// Result is the verdict on a program.
type Result struct {
	// Err is why the program is refused; nil for an accepted one.
	Err *Error
	// Log is what the kernel would write into its log buffer, without the time.
	Log string
	// Insns counts the instructions processed, States the states that were kept, and
	// PeakStates the most at once.
	Insns, States, PeakStates int
	// Stack is the stack depth in bytes of each function.
	Stack []int

	reached, probes []bool   // by slot
	seen            [][]Seen // by slot
}

// Reached reports whether some path leads to the instruction in a slot. The kernel
// takes the other ones out of an accepted program.
func (r *Result) Reached(slot int) bool { return slot < len(r.reached) && r.reached[slot] }

// Probes reports whether the instruction in a slot loads from a kernel object that
// may be gone: the kernel lets such a load give 0.
func (r *Result) Probes(slot int) bool { return slot < len(r.probes) && r.probes[slot] }

// Accepted reports whether the program may be loaded.
func (r *Result) Accepted() bool { return r.Err == nil }

// Error is the refusal of a program. Error gives the decisive line, the verb %+v the
// whole log.
type Error struct {
	Program string
	Errno   errno.Errno
	// Insn is the instruction at which the program was refused, -1 where it was none.
	Insn int
	// Line is its line of C, nil where the object does not say.
	Line *link.Line
	// Message is the kernel's decisive line, Lines all lines that it wrote about the
	// refusal.
	Message string
	Lines   []string
	// Log is the log of the verification.
	Log string
}

// Error is the refusal in one line: "program nat: instruction 7 (nat.c:122: return
// s->len;): R0 invalid mem access 'map_value_or_null': EACCES".
func (e *Error) Error() string {
	at := ""
	switch {
	case e.Insn < 0:
	case e.Line != nil:
		at = fmt.Sprintf("instruction %d (%v): ", e.Insn, e.Line)
	default:
		at = fmt.Sprintf("instruction %d: ", e.Insn)
	}
	return fmt.Sprintf("program %s: %s%s: %s", e.Program, at, e.Message, e.Errno.Name())
}

// Unwrap is the errno, so that errors.Is(err, unix.EACCES) holds.
func (e *Error) Unwrap() error { return e.Errno }

// Format writes Error for %v and %s, and the whole log for %+v.
func (e *Error) Format(s fmt.State, verb rune) {
	io.WriteString(s, e.Error())
	if verb == 'v' && s.Flag('+') {
		for line := range strings.Lines(e.Log) {
			io.WriteString(s, "\n\t"+strings.TrimRight(line, "\n"))
		}
	}
}

// Verify checks a program of a linked object. The error is one of the object or of
// ours (a limit of memory); a program that is refused is a Result with an Err.
func Verify(obj *link.Object, program string, opts Options) (*Result, error) {
	p := obj.Programs[program]
	if p == nil {
		return nil, fmt.Errorf("the object has no program %q", program)
	}
	e, err := newEnv(obj, p, opts)
	if err != nil {
		return nil, err
	}
	return e.verify()
}
