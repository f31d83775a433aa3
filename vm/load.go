package vm

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
)

// TailCall is the helper that engines perform themselves.
const TailCall = "bpf_tail_call"

// MapAddr gives the guest address of what a map reference means: a map's handle,
// or a byte in its only value.
type MapAddr func(ref *link.MapRef) (uint64, error)

// Runnable reports whether the machine runs programs of type t.
func Runnable(t ebpf.ProgramType) bool {
	return t == ebpf.SchedCLS || t == ebpf.SchedACT || t == ebpf.XDP
}

// Facts are what a verifier found out about instructions, by slot; a nil function
// knows nothing.
type Facts struct {
	// Dead reports that no path leads to an instruction: whatever it does, it is not
	// refused.
	Dead func(slot int) bool
	// Probe reports that an instruction loads from memory that may be gone.
	Probe func(slot int) bool
}

// Load makes a linked program part of the machine. A call to a helper or kfunc
// that the program's type may not make, or that the machine does not run, is
// refused by name with a *link.Error.
func (m *Machine) Load(lp *link.Program, maps MapAddr, facts Facts) (*Program, error) {
	if !Runnable(lp.Type) {
		return nil, &link.Error{Program: lp.Name, Insn: -1, Err: fmt.Errorf(
			"program of type %v (section %q) cannot run here: tc and xdp programs can", lp.Type, lp.SectionName)}
	}
	p := &Program{Name: lp.Name, Type: lp.Type, AttachType: lp.AttachType, License: lp.License,
		Types: lp.Types, Insns: make([]Insn, lp.Slots())}
	for _, s := range lp.Subprogs {
		end := lp.Slots()
		if s.End < len(lp.Insns) {
			end = lp.Insns[s.End].Slot
		}
		p.Subprogs = append(p.Subprogs, Subprog{Name: s.Name, Start: lp.Insns[s.Start].Slot, End: end, Func: s.Func})
	}
	l := loader{m: m, p: p, lp: lp, maps: maps, facts: facts, calls: make(map[string]*Call)}
	var line *link.Line
	for i := range lp.Insns {
		in := &lp.Insns[i]
		if in.Line != nil && in.Line != line {
			line = in.Line
			p.Lines = append(p.Lines, Line{Slot: in.Slot,
				SourceLine: SourceLine{File: line.File, Line: line.Number, Text: line.Text}})
		}
		out, err := l.insn(in)
		if err != nil {
			return nil, &link.Error{Program: lp.Name, Insn: in.Slot, Source: in.Line, Err: err}
		}
		p.Insns[in.Slot] = out
	}
	if err := p.findExceptionCallback(); err != nil {
		return nil, &link.Error{Program: lp.Name, Insn: -1, Err: err}
	}
	if err := m.Compile(p); err != nil {
		return nil, err
	}
	return p, nil
}

type loader struct {
	m     *Machine
	p     *Program
	lp    *link.Program
	maps  MapAddr
	facts Facts
	calls map[string]*Call
}

func (l *loader) insn(in *link.Insn) (Insn, error) {
	out, err := decode(&in.Instruction)
	if err != nil {
		return out, err
	}
	if in.Target >= 0 {
		out.Target = int32(l.lp.Insns[in.Target].Slot)
	}
	out.Probe = l.facts.Probe != nil && l.facts.Probe(in.Slot)
	switch {
	case l.facts.Dead != nil && l.facts.Dead(in.Slot) && !leaves(out.Op):
		return Insn{Op: opCall, Call: poisoned("the verifier found that no path leads here")}, nil
	case in.Poison != "":
		out.Op, out.Call = opCall, poisoned(in.Poison)
	case in.Call != nil:
		out.Call, err = l.call(in.Call)
	case in.IsLoadOfFunctionPointer():
		out.Value = l.m.FuncAddr(l.p, int(out.Target))
	case in.Ref != nil:
		out.Value, err = l.maps(in.Ref)
	case in.Ksym != nil:
		out.Value, err = ksym(in.Ksym)
	case out.Op == opLoadImm64:
		out.Value = uint64(in.Constant)
	}
	return out, err
}

// poisoned is a call that cannot be made. The kernel refuses a program only if
// it gets there, so that the machine, too, waits until then.
// leaves reports whether an instruction always goes elsewhere: a function must end
// with one, dead or not.
func leaves(op uint8) bool {
	const ja, gotol, exit = 0x05, 0x06, 0x95
	return op == ja || op == gotol || op == exit
}

func poisoned(why string) *Call {
	return &Call{Name: "poisoned", Func: func(c *CPU, _ *[5]uint64) (uint64, error) {
		return 0, c.Fault(IllegalInsn, "", "%s", why)
	}}
}

func (l *loader) call(lc *link.Call) (*Call, error) {
	if c := l.calls[lc.Name]; c != nil {
		return c, nil
	}
	kfunc := lc.Proto != nil && lc.Proto.Kind == kernel.Kfunc
	if !lc.Allowed {
		if kfunc {
			return nil, fmt.Errorf("calling kernel function %s is not allowed", lc.Name)
		}
		return nil, fmt.Errorf("program of type %v cannot use helper %s", l.lp.Type, lc.Name)
	}
	c := &Call{Name: lc.Name, Kfunc: kfunc, Func: l.m.Registry.Lookup(lc.Name)}
	if c.Func == nil && lc.Name != TailCall {
		kind := "helper"
		if kfunc {
			kind = "kernel function"
		}
		return nil, fmt.Errorf("%s %s is known to kernel %s, but the machine does not run it", kind, lc.Name, l.lp.Profile.Name)
	}
	l.calls[lc.Name] = c
	return c, nil
}

// ksym is the value of a kernel symbol's address. That of a function is the ID of its
// type, as loaders have it: programs only compare it to 0. Memory of the kernel's
// variables does not exist here.
func ksym(k *link.Ksym) (uint64, error) {
	switch {
	case k.Present && k.Func != nil:
		return uint64(k.ID), nil
	case k.Weak && !k.Present:
		return 0, nil
	}
	return 0, fmt.Errorf("kernel variable %s does not exist in this machine", k.Name)
}
