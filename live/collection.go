package live

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
)

// CollectionOptions control how a collection is loaded. The zero value loads
// all of it and stops at the first program that the kernel refuses.
type CollectionOptions struct {
	// KeepGoing tries every program: LoadCollection then succeeds even if the
	// kernel accepts none, and the Verdicts say which it refused and why.
	KeepGoing bool
	// Programs are the names of those to load, nil for all.
	Programs []string
	// LogLevel is how much the verifier says, 0 for only the reason of a
	// refusal. Ask for ebpf.LogLevelBranch or LogLevelInstruction to have a
	// log of accepted programs too.
	LogLevel ebpf.LogLevel
	// LogSize is the size to start with in bytes; it grows as needed.
	LogSize uint32
	// MapReplacements are used in place of the maps of these names.
	MapReplacements map[string]*ebpf.Map
	// PrivateBTF makes every map and program bring type information of its
	// own, as cilium/ebpf does, even where the kernel will not then see that
	// they talk of the same type. For comparisons only.
	PrivateBTF bool
}

// Collection is a collection in the kernel. It is closed with its Host, or
// before by Close.
type Collection struct {
	// Programs are those that the kernel accepted.
	Programs map[string]*ebpf.Program
	// Maps and Variables have all that the spec has.
	Maps      map[string]*ebpf.Map
	Variables map[string]*ebpf.Variable
	// Verdicts say of every program that was tried what the verifier said.
	Verdicts map[string]*Verdict
	// SharedBTF tells that maps and programs were loaded with one common set
	// of types, because the object needs it.
	SharedBTF bool

	spec   map[string]*ebpf.VariableSpec // immutable
	forget func()                        // set before the collection is given out
}

// Close gives everything back before the Host is closed. It may be called
// twice; programs and maps may be closed by themselves as well.
func (c *Collection) Close() error {
	if c.forget != nil {
		c.forget()
	}
	return c.close()
}

func (c *Collection) close() error {
	var errs []error
	for _, p := range c.Programs {
		errs = append(errs, p.Close())
	}
	for _, m := range c.Maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Verdict is what the kernel said of a program.
type Verdict struct {
	// Accepted says that the program was loaded.
	Accepted bool
	// Err is why it was not: a *ebpf.VerifierError where the verifier refused
	// it, another error where the program did not get that far.
	Err error
	// Errno is the number that the kernel refused it with, 0 if it did not.
	Errno errno.Errno
	// Log are the verifier's lines, without the one that tells the time it
	// took, which differs from run to run.
	Log []string
	// Processed is the number of instructions that the verifier went through
	// as its summary says; 0 without a log.
	Processed int
	// Time is how long the verification of an accepted program took, by the kernel's
	// clock; 0 without LogLevelStats.
	Time time.Duration
}

// VerifierError is Err as the verifier's, nil if it is not one.
func (v *Verdict) VerifierError() *ebpf.VerifierError {
	var ve *ebpf.VerifierError
	if errors.As(v.Err, &ve) {
		return ve
	}
	return nil
}

// Reason is the last of the verifier's lines before its summary, which says
// what was wrong with a program that it refused; "" without a log.
func (v *Verdict) Reason() string {
	for i := len(v.Log) - 1; i >= 0; i-- {
		line := strings.TrimSpace(v.Log[i])
		if line != "" && !processedLine.MatchString(line) && !strings.HasPrefix(line, "stack depth ") {
			return line
		}
	}
	return ""
}

// logLines splits a log and leaves out the time.
func logLines(log string) []string {
	if log = strings.TrimRight(log, "\n"); log == "" {
		return nil
	}
	return slices.DeleteFunc(strings.Split(log, "\n"), func(l string) bool {
		return strings.HasPrefix(l, "verification time ")
	})
}

// verificationTime finds the time in a log.
func verificationTime(log string) time.Duration {
	m := timeLine.FindStringSubmatch(log)
	if m == nil {
		return 0
	}
	us, _ := strconv.Atoi(m[1]) // digits that do not fit mean nothing
	return time.Duration(us) * time.Microsecond
}

var timeLine = regexp.MustCompile(`(?m)^verification time (\d+) usec`)

var processedLine = regexp.MustCompile(`^processed (\d+) insns`)

// processed finds the count in the summary line.
func processed(log []string) int {
	for i := len(log) - 1; i >= 0; i-- {
		if m := processedLine.FindStringSubmatch(log[i]); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
