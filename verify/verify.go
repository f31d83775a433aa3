package verify

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/internal/kernellog"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/verifier/explain"
	vmmaps "github.com/bpfct/bpfct/vm/maps"
)

// Options control Collection. The zero value verifies every program that can be for
// the newest measured kernel.
type Options struct {
	// Object is the name that the report gives the object.
	Object string
	// Programs are the names of those to verify, nil for all of a type that can be.
	Programs []string
	// Profile is the kernel, see package kernel.
	Profile string
	// Log is how much log a Program has. Level 1 is the least, so that a refusal can be
	// explained.
	Log verifier.LogLevel
	// Kconfig overrides the kernel's configuration, as in link.Options.
	Kconfig map[string]string
	// Verifier has the further options of package verifier; its Log is ignored.
	Verifier verifier.Options
}

// Verdict is what loading a program comes to.
type Verdict string

// The verdicts. An unloadable program is one of an object that a loader gives up, or
// the kernel refuses, before any program is looked at.
const (
	Accepted   Verdict = "accepted"
	Rejected   Verdict = "rejected"
	Unloadable Verdict = "unloadable"
)

// Source is a line of C.
type Source struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
}

// Program is the verdict on one program.
type Program struct {
	Object  string  `json:"object"`
	Program string  `json:"program"`
	Type    string  `json:"type"`
	Verdict Verdict `json:"verdict"`
	// Errno names the kernel's errno, Error is its decisive line, and Insn the
	// instruction, nil where it was none.
	Errno  string  `json:"errno,omitempty"`
	Error  string  `json:"error,omitempty"`
	Insn   *int    `json:"insn,omitempty"`
	Source *Source `json:"source,omitempty"`
	// LogTail are the last lines of the log of a refused program.
	LogTail []string `json:"log_tail,omitempty"`
	// Insns counts instructions processed, States the states kept; Stack is each
	// function's depth.
	Insns  int   `json:"insns"`
	States int   `json:"states"`
	Stack  []int `json:"stack,omitempty"`
	// Explanation says what a refusal means, nil where there is none.
	Explanation *explain.Explanation `json:"explanation,omitempty"`

	// Log is the log at the level that was asked for, "" for an unloadable program.
	Log string `json:"-"`
	// Refusal is the verifier's error of a rejected program.
	Refusal *verifier.Error `json:"-"`
	// Linked is the program as it was verified, nil for an unloadable one.
	Linked *link.Program `json:"-"`
}

// Report is the verdict on an object.
type Report struct {
	Object  string
	Profile string
	// Programs are in the order of their names.
	Programs []Program
	// Skipped are programs of types that cannot be verified.
	Skipped []string
}

// Count is how many programs have a verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	for i := range r.Programs {
		if r.Programs[i].Verdict == v {
			n++
		}
	}
	return n
}

// logTail is how many lines of log Program.LogTail has.
const logTail = 5

// Verifiable reports whether programs of a type can be verified.
func Verifiable(t ebpf.ProgramType) bool {
	switch t {
	case ebpf.SocketFilter, ebpf.SchedCLS, ebpf.SchedACT, ebpf.XDP, ebpf.CGroupSKB:
		return true
	}
	return false
}

// Collection verifies programs of a collection, each by itself. The error is about the
// question: no such program, no such kernel.
func Collection(spec *ebpf.CollectionSpec, opts Options) (*Report, error) {
	prof := kernel.Default()
	if opts.Profile != "" {
		var err error
		if prof, err = kernel.Lookup(opts.Profile); err != nil {
			return nil, err
		}
	}
	r := &Report{Object: opts.Object, Profile: prof.Name}
	names := slices.Clone(opts.Programs)
	if names == nil {
		for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
			if Verifiable(spec.Programs[name].Type) {
				names = append(names, name)
			} else {
				r.Skipped = append(r.Skipped, fmt.Sprintf("%s (%s)", name, kernel.ProgramName(spec.Programs[name].Type)))
			}
		}
	}
	for _, name := range names {
		if p := spec.Programs[name]; p == nil {
			return nil, fmt.Errorf("the object has no program %q; it has %v", name, slices.Sorted(maps.Keys(spec.Programs)))
		} else if !Verifiable(p.Type) {
			return nil, fmt.Errorf("program %s is of type %s: only tc, XDP, socket filter and cgroup_skb programs can be verified",
				name, kernel.ProgramName(p.Type))
		}
	}
	broken := checkObject(spec, prof, &opts)
	for _, name := range names {
		p := Program{Object: opts.Object, Program: name, Type: kernel.ProgramName(spec.Programs[name].Type)}
		if broken != nil {
			p.unloadable(broken)
		} else {
			p.verify(spec, prof, &opts)
		}
		r.Programs = append(r.Programs, p)
	}
	return r, nil
}

// checkObject finds what keeps a loader from getting to the programs: maps that the
// kernel does not make, types that it does not take.
func checkObject(spec *ebpf.CollectionSpec, prof *kernel.Profile, opts *Options) error {
	cpus := opts.Verifier.CPUs
	if cpus == 0 {
		cpus = 2
	}
	fields := false
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		m := spec.Maps[name]
		if m.Extra != nil {
			if rest, err := bytesLeft(m.Extra); err != nil || rest {
				return fmt.Errorf("map %s: its definition has members that no loader knows", name)
			}
		}
		if err := vmmaps.Check(prof, m, spec.Types, cpus); err != nil {
			return err
		}
		fields = fields || owns(m, spec)
	}
	if !fields {
		return nil
	}
	return vmmaps.CheckTypes(prof, spec.Types)
}

// bytesLeft reports whether a reader of a map's definition holds anything but zeros.
// It does not move the reader.
func bytesLeft(r *bytes.Reader) (bool, error) {
	rest := make([]byte, r.Len())
	if _, err := r.ReadAt(rest, r.Size()-int64(r.Len())); err != nil && r.Len() > 0 {
		return false, err
	}
	return len(bytes.TrimLeft(rest, "\x00")) > 0, nil
}

// owns reports whether the values of a map hold what refers to types of the object:
// pointers, lists, trees. Without its types the map cannot be made then.
func owns(m *ebpf.MapSpec, spec *ebpf.CollectionSpec) bool {
	if m.Value == nil {
		return false
	}
	rec, err := record.Parse(m.Value, spec.Types)
	if err != nil || rec == nil {
		return false
	}
	return slices.ContainsFunc(rec.Fields, func(f record.Field) bool {
		return f.Kind.IsKptr() || f.Kind == record.ListHead || f.Kind == record.RBRoot
	})
}

// verify fills in the verdict.
func (p *Program) verify(spec *ebpf.CollectionSpec, prof *kernel.Profile, opts *Options) {
	obj, err := link.Link(spec, prof, link.Options{Programs: []string{p.Program}, Kconfig: opts.Kconfig, KeepFaulty: true})
	if err != nil {
		p.unloadable(err)
		return
	}
	vo := opts.Verifier
	vo.Log = max(opts.Log&^verifier.LogStats, verifier.LogPath) | verifier.LogStats
	res, err := verifier.Verify(obj, p.Program, vo)
	if err != nil {
		p.unloadable(err)
		return
	}
	p.Linked = obj.Programs[p.Program]
	p.Insns, p.States, p.Stack, p.Log = res.Insns, res.States, res.Stack, res.Log
	if p.Verdict = Accepted; res.Accepted() {
		return
	}
	p.Verdict, p.Refusal = Rejected, res.Err
	p.Errno, p.Error = res.Err.Errno.Name(), res.Err.Message
	if res.Err.Insn >= 0 {
		p.Insn = &res.Err.Insn
	}
	if l := res.Err.Line; l != nil {
		p.Source = &Source{File: l.File, Line: l.Number, Text: l.Text}
	}
	p.Explanation = explain.Explain(p.Linked, res.Err)
	p.LogTail = kernellog.Tail(lines(res.Log), logTail)
}

// unloadable notes an error that is no verdict on the program.
func (p *Program) unloadable(err error) {
	p.Verdict, p.Error = Unloadable, err.Error()
	var no errno.Errno
	if errors.As(err, &no) {
		p.Errno = no.Name()
	}
	var le *link.Error
	if errors.As(err, &le) && le.Source != nil {
		p.Source = &Source{File: le.Source.File, Line: le.Source.Number, Text: le.Source.Text}
	}
}

// lines splits a log.
func lines(log string) []string {
	var out []string
	for l := range strings.SplitSeq(strings.TrimRight(log, "\n"), "\n") {
		out = append(out, l)
	}
	return out
}
