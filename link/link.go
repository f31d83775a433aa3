package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
)

// Options of [Link]. The zero value links every program and takes the kernel's
// configuration from the profile.
type Options struct {
	// Programs are the names of those to link, nil for all.
	Programs []string
	// Kconfig overrides the kernel's configuration: "CONFIG_HZ" to "1000",
	// "CONFIG_BPF" to "y", a string in double quotes. "" takes an option away.
	Kconfig map[string]string
	// KeepFaulty leaves what only a verifier refuses as poisoned instructions, for
	// one to say so: calls of helpers that the profile does not have (which it may
	// never get to), jumps to where no instruction of the function is, descriptors
	// that are no maps. Otherwise these are errors.
	KeepFaulty bool
}

// ErrBigEndian is the error for objects of the other byte order.
var ErrBigEndian = errors.New("object is big-endian; only little-endian objects can run (compile with -target bpfel)")

// Link resolves the programs of a collection. The collection is not changed.
func Link(spec *ebpf.CollectionSpec, prof *kernel.Profile, opts Options) (*Object, error) {
	if spec == nil {
		return nil, &Error{Insn: -1, Err: errors.New("no collection")}
	}
	if prof == nil {
		return nil, &Error{Insn: -1, Err: errors.New("no kernel profile")}
	}
	if spec.ByteOrder == binary.BigEndian {
		return nil, &Error{Insn: -1, Err: ErrBigEndian}
	}
	obj := &Object{
		Programs: make(map[string]*Program), Maps: maps.Clone(spec.Maps),
		Variables: spec.Variables, Types: spec.Types, Profile: prof,
	}
	if obj.Maps == nil {
		obj.Maps = make(map[string]*ebpf.MapSpec)
	}
	names := opts.Programs
	if names == nil {
		names = slices.Sorted(maps.Keys(spec.Programs))
	}
	for _, name := range names {
		ps := spec.Programs[name]
		if ps == nil {
			return nil, &Error{Insn: -1, Err: fmt.Errorf("no program %q in the object: it has %v", name, slices.Sorted(maps.Keys(spec.Programs)))}
		}
		p, err := linkProgram(obj, ps, prof, opts)
		if err != nil {
			return nil, err
		}
		obj.Programs[name] = p
	}
	return obj, nil
}

// linker is the state of linking one program.
type linker struct {
	obj  *Object
	prof *kernel.Profile
	opts Options
	prog *Program

	insns       asm.Instructions
	called      map[string]bool // functions that some instruction refers to
	weakKconfig map[string]bool // .kconfig variables that may be absent
}

func (l *linker) fail(insn int, err error) error {
	e := &Error{Program: l.prog.Name, Insn: insn, Err: err}
	if insn >= 0 && insn < len(l.prog.Insns) {
		e.Source = l.prog.Insns[insn].Line
	}
	return e
}

func linkProgram(obj *Object, ps *ebpf.ProgramSpec, prof *kernel.Profile, opts Options) (*Program, error) {
	p := &Program{
		Name: ps.Name, Type: ps.Type, AttachType: ps.AttachType, AttachTo: ps.AttachTo,
		Flags: ps.Flags, SectionName: ps.SectionName, License: ps.License,
		ByteOrder: binary.LittleEndian, Types: obj.Types, Profile: prof,
	}
	l := &linker{obj: obj, prof: prof, opts: opts, prog: p, insns: ps.Instructions}
	if ps.ByteOrder == binary.BigEndian {
		return nil, l.fail(-1, ErrBigEndian)
	}
	if len(ps.Instructions) == 0 {
		return nil, l.fail(-1, errors.New("has no instructions"))
	}
	for _, step := range []func() error{
		l.order,
		l.layout,
		l.relocate,
		l.references,
		l.jumps,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// layout copies the instructions, counts their slots and finds the functions.
func (l *linker) layout() error {
	p := l.prog
	p.Insns = make([]Insn, len(l.insns))
	var line *Line
	for i, ins := range l.insns {
		p.Insns[i] = Insn{Instruction: ins, Slot: len(p.slots), Target: -1}
		p.slots = append(p.slots, int32(i))
		if ins.OpCode.IsDWordLoad() {
			p.slots = append(p.slots, -1)
		}
		if sym := ins.Symbol(); sym != "" || i == 0 {
			if err := l.subprog(i, sym); err != nil {
				return err
			}
			line = nil
		}
		switch src := ins.Source().(type) {
		case nil:
		case *btf.Line:
			line = &Line{File: src.FileName(), Number: int(src.LineNumber()), Column: int(src.LineColumn()), Text: src.Line()}
		default:
			line = &Line{Text: src.String()}
		}
		p.Insns[i].Line = line
	}
	p.Subprogs[len(p.Subprogs)-1].End = len(p.Insns)
	if n, limit := len(p.Insns), l.prof.Limits.Instructions; limit > 0 && n > limit {
		return l.fail(-1, fmt.Errorf("has %d instructions, the kernel takes %d", n, limit))
	}
	return nil
}

// subprog begins a function at instruction i. In programs written with package
// asm a symbol may also mark the destination of a jump: only what has a
// declaration, or is called, is a function.
func (l *linker) subprog(i int, name string) error {
	p := l.prog
	fn := btf.FuncMetadata(&p.Insns[i].Instruction)
	if i > 0 && fn == nil && !l.isFunction(name) {
		return nil
	}
	for _, s := range p.Subprogs {
		if s.Name == name && name != "" {
			return l.fail(i, fmt.Errorf("function %s is there twice", name))
		}
	}
	if n := len(p.Subprogs); n > 0 {
		p.Subprogs[n-1].End = i
	}
	s := Subprog{Name: name, Start: i, Func: fn}
	if fn != nil {
		s.Global = fn.Linkage == btf.GlobalFunc
		if s.Name == "" {
			s.Name = fn.Name
		}
	}
	if s.Name == "" {
		s.Name = p.Name
	}
	p.Subprogs = append(p.Subprogs, s)
	return nil
}
