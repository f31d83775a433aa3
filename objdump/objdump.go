// Package objdump prints the programs of an object as the machine sees them:
// instructions numbered as the kernel counts, under the lines of C that they were
// compiled from, with the names of helpers, kfuncs, maps and functions. Start at
// Write.
package objdump

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/trial"
	"github.com/bpfct/bpfct/verifier/disasm"
)

// Options say what Write prints.
type Options struct {
	// Programs are those to print, nil for all.
	Programs []string
	// Profile is the kernel against which the object is linked, "" for the default.
	Profile string
}

// Write links the object and prints its programs.
func Write(w io.Writer, spec *ebpf.CollectionSpec, opts Options) error {
	prof := kernel.Default()
	if opts.Profile != "" {
		var err error
		if prof, err = kernel.Lookup(opts.Profile); err != nil {
			return err
		}
	}
	runs, err := bpfct.Functions(prof)
	if err != nil {
		return err
	}
	obj, err := link.Link(spec, prof, link.Options{Programs: opts.Programs, KeepFaulty: true})
	if err != nil {
		return err
	}
	var b strings.Builder
	names := opts.Programs
	if names == nil {
		for name := range obj.Programs {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	for i, name := range names {
		if i > 0 {
			b.WriteByte('\n')
		}
		writeProgram(&b, obj.Programs[name], runs)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func writeProgram(b *strings.Builder, p *link.Program, runs []string) {
	fmt.Fprintf(b, "program %s: %s, section %q, licence %q, %d instructions\n", p.Name, trial.TypeName(p.Type), p.SectionName, p.License, p.Slots())
	writeCalls(b, "helpers", p.Helpers(), runs)
	writeCalls(b, "kfuncs", p.Kfuncs(), runs)
	var line *link.Line
	for i := range p.Insns {
		in := &p.Insns[i]
		if s := p.SubprogAt(i); s >= 0 && p.Subprogs[s].Start == i {
			fmt.Fprintf(b, "%s:\n", p.Subprogs[s].Name)
			line = nil
		}
		if in.Line != nil && (line == nil || in.Line.File != line.File || in.Line.Number != line.Number) {
			line = in.Line
			fmt.Fprintf(b, "  ; %v\n", line)
		}
		fmt.Fprintf(b, "%5d: %s\n", in.Slot, text(p, in))
	}
}

// writeCalls lists functions and marks what the machine does not run.
func writeCalls(b *strings.Builder, what string, names, runs []string) {
	if len(names) == 0 {
		return
	}
	fmt.Fprintf(b, "  %s:", what)
	for _, name := range names {
		b.WriteByte(' ')
		b.WriteString(name)
		if _, ok := slices.BinarySearch(runs, name); !ok {
			b.WriteString(" (not run by bpfct)")
		}
	}
	b.WriteByte('\n')
}

// text is one instruction, as the kernel's log shows it where it refers to nothing.
func text(p *link.Program, in *link.Insn) string {
	switch {
	case in.Poison != "":
		return "poisoned: " + in.Poison
	case in.Call != nil && in.Call.Proto != nil:
		return "(85) call " + in.Call.Proto.String()
	case in.Call != nil:
		return "(85) call " + in.Call.Name
	case in.Ref != nil && in.Ref.Value:
		return fmt.Sprintf("(18) r%d = &%s[%d]", in.Dst, in.Ref.Name, in.Ref.Offset)
	case in.Ref != nil:
		return fmt.Sprintf("(18) r%d = map %s", in.Dst, in.Ref.Name)
	case in.Ksym != nil:
		return fmt.Sprintf("(18) r%d = &%s (kernel symbol)", in.Dst, in.Ksym.Name)
	case in.IsFunctionCall():
		return "(85) call " + function(p, in.Target)
	case in.IsLoadOfFunctionPointer():
		return fmt.Sprintf("(18) r%d = &%s", in.Dst, function(p, in.Target))
	}
	raw, err := link.Encode(&in.Instruction)
	if err != nil {
		return err.Error()
	}
	s := disasm.Text(raw, uint64(in.Constant), "")
	if in.Target >= 0 {
		s += fmt.Sprintf(" -> %d", p.Insns[in.Target].Slot)
	}
	return s
}

func function(p *link.Program, insn int) string {
	if s := p.SubprogAt(insn); s >= 0 && p.Subprogs[s].Start == insn {
		return p.Subprogs[s].Name
	}
	if insn >= 0 && insn < len(p.Insns) {
		return fmt.Sprintf("insn %d", p.Insns[insn].Slot)
	}
	return "nothing"
}
