// Package verdict asks the running kernel and package verifier what they say of a
// program, in one form, so that both can be compared.
package verdict

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/internal/kernellog"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/verify"
)

// Kind is what became of a program.
type Kind string

// The kinds of verdicts.
const (
	Accepted   Kind = "accepted"
	Rejected   Kind = "rejected"
	Unloadable Kind = "unloadable" // nothing was said of the program: an error of the object
	Crashed    Kind = "crashed"    // the verifier panicked or gave no answer
)

// Verdict is what one side says of a program.
type Verdict struct {
	Kind Kind
	// Errno names why it is not accepted: "EACCES". Insns counts instructions processed.
	Errno string
	Insns int
	// Line is the decisive line as it stands, Tail the last lines of the log.
	Line string
	Tail []string
}

const (
	// tail is how many lines of a log a Verdict keeps.
	tail = 3
	// verifierBug stands for the line of an EFAULT, of which the loader keeps the log.
	verifierBug = "verifier bug"
	logLevel    = ebpf.LogLevelBranch | ebpf.LogLevelStats
)

// Kernel asks the running kernel about programs of a collection, within ns. It is
// about as many system calls as programs. The error is one of ours; an object that
// the kernel refuses as a whole gives unloadable programs.
func Kernel(ns *live.Netns, spec *ebpf.CollectionSpec, programs []string) (map[string]Verdict, error) {
	coll, err := ns.LoadCollection(spec, &live.CollectionOptions{
		Programs: programs, KeepGoing: true, LogLevel: logLevel,
	})
	out := make(map[string]Verdict)
	if errors.Is(err, live.ErrClosed) {
		return nil, err
	}
	if err != nil {
		for _, name := range programs {
			out[name] = Verdict{Kind: Unloadable, Line: oneLine(err)}
		}
		return out, nil
	}
	defer coll.Close()
	for _, name := range programs {
		v := coll.Verdicts[name]
		if v != nil && v.Err != nil && strings.Contains(v.Err.Error(), "load BTF: ") {
			// libbpf loads a program without types where the kernel does not take
			// them; so do we.
			if v, err = untyped(ns, spec, name); err != nil {
				return nil, err
			}
		}
		switch {
		case v == nil:
			out[name] = Verdict{Kind: Unloadable, Line: "not a program of its own"}
		case v.Accepted:
			out[name] = Verdict{Kind: Accepted, Insns: v.Processed}
		case v.Errno == errno.EFAULT && v.VerifierError() == nil:
			out[name] = Verdict{Kind: Rejected, Errno: v.Errno.Name(), Line: verifierBug}
		case v.VerifierError() == nil:
			out[name] = Verdict{Kind: Unloadable, Line: oneLine(v.Err)}
		default:
			out[name] = Verdict{
				Kind: Rejected, Errno: v.Errno.Name(), Insns: v.Processed,
				Line: kernellog.FirstLine(v.Log), Tail: kernellog.Tail(v.Log, tail),
			}
		}
	}
	return out, nil
}

// untyped asks about a program whose functions and lines have no types.
func untyped(ns *live.Netns, spec *ebpf.CollectionSpec, program string) (*live.Verdict, error) {
	spec = spec.Copy()
	insns := spec.Programs[program].Instructions
	for i := range insns {
		insns[i] = btf.WithFuncMetadata(insns[i], nil).WithSource(nil)
	}
	coll, err := ns.LoadCollection(spec, &live.CollectionOptions{Programs: []string{program}, KeepGoing: true, LogLevel: logLevel})
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	return coll.Verdicts[program], nil
}

// Own asks package verifier about a program of a collection, which is linked alone
// against prof. A panic is a verdict too.
func Own(spec *ebpf.CollectionSpec, prof *kernel.Profile, program string, opts verifier.Options) (v Verdict) {
	defer func() {
		if r := recover(); r != nil {
			v = Verdict{Kind: Crashed, Line: fmt.Sprint("panic: ", r), Tail: panicSite(string(debug.Stack()))}
		}
	}()
	r, err := verify.Collection(spec, verify.Options{Programs: []string{program}, Profile: prof.Name, Log: opts.Log, Verifier: opts})
	if err != nil {
		return Verdict{Kind: Unloadable, Line: oneLine(err)}
	}
	p := &r.Programs[0]
	v = Verdict{Kind: Kind(p.Verdict), Errno: p.Errno, Insns: p.Insns, Line: strings.Join(strings.Fields(p.Error), " ")}
	if p.Refusal != nil {
		// As of the kernel's: the first line of the log, which may be a remark.
		if v.Line = kernellog.FirstLine(strings.Split(p.Log, "\n")); v.Line == "" {
			v.Line = strings.TrimSpace(p.Error)
		}
		v.Tail = p.Refusal.Lines[max(0, len(p.Refusal.Lines)-tail):]
	}
	return v
}

// oneLine is an error without line breaks.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// panicSite finds the first places of this project below the panic in a stack trace.
func panicSite(stack string) []string {
	_, below, _ := strings.Cut(stack, "panic(")
	var out []string
	for line := range strings.Lines(below) {
		if strings.HasPrefix(line, "\t") && !strings.Contains(line, "/runtime/") {
			place, _, _ := strings.Cut(strings.TrimSpace(line), " +0x")
			if i := strings.LastIndex(place, "/verifier/"); i >= 0 {
				place = place[i+1:]
			}
			if out = append(out, place); len(out) == tail {
				break
			}
		}
	}
	return out
}

// Agreement classes what two verdicts have to do with each other.
type Agreement string

// The classes, the worst first.
const (
	Unsound    Agreement = "unsound"            // accepted, the kernel rejects
	Crash      Agreement = "crash"              // no answer
	TooStrict  Agreement = "too strict"         // rejected, the kernel accepts
	OneSided   Agreement = "one-sided"          // only one side says anything of it
	OtherLine  Agreement = "other line"         // both reject, in other words
	Agree      Agreement = "agree"              // the same verdict and decisive line
	BothRefuse Agreement = "unloadable on both" // nothing to compare
)

// Compare classes our verdict beside the kernel's.
func Compare(own, kernel Verdict) Agreement {
	switch {
	case own.Kind == Crashed:
		return Crash
	case own.Kind == Unloadable && kernel.Kind == Unloadable:
		return BothRefuse
	case own.Kind == Unloadable || kernel.Kind == Unloadable:
		return OneSided
	case own.Kind == Accepted && kernel.Kind == Rejected:
		return Unsound
	case own.Kind == Rejected && kernel.Kind == Accepted:
		return TooStrict
	case own.Kind == Rejected && kernel.Line == verifierBug && own.Errno == kernel.Errno:
		return Agree
	case own.Kind == Rejected && kernellog.Normalize(own.Line) != kernellog.Normalize(kernel.Line):
		return OtherLine
	}
	return Agree
}
