package vm

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/link"
)

// Opcode bytes that mean something to a reader of a Program, not only to an engine.
const (
	opLoadImm64 = uint8(asm.LdClass) | uint8(asm.DWord)
	opCall      = uint8(asm.JumpClass) | uint8(asm.Call)
	opExit      = uint8(asm.JumpClass) | uint8(asm.Exit)
	opJumpLong  = uint8(asm.Jump32Class) // ja with its distance in Imm
)

// exceptionTag starts the tag of a main program that names the function which
// runs when it throws.
const exceptionTag = "exception_callback:"

// Resolver tells Assemble what an instruction refers to outside the program.
type Resolver interface {
	// Call is the helper or kfunc that ins calls.
	Call(ins *asm.Instruction) (*Call, error)
	// Load is the 64 bits that ins loads: the address of a map, of a map's value,
	// of kernel data; for a plain number that number.
	Load(ins *asm.Instruction) (uint64, error)
	// Func is the address of the program's function at slot, see Machine.FuncAddr.
	Func(slot int) (uint64, error)
}

// Assemble sets p's Insns, Subprogs, Lines and ExceptionCallback from insns, in
// which the functions of a program follow each other, the entry first, as
// cilium/ebpf reads them from an object. Jumps and calls may be symbolic or
// encoded. The error names the slot.
func (p *Program) Assemble(insns asm.Instructions, r Resolver) error {
	a := assembler{p: p, r: r, symbols: make(map[string]int), starts: map[int]bool{0: true}}
	p.Insns, p.Subprogs, p.Lines, p.ExceptionCallback = nil, nil, nil, 0
	if len(insns) == 0 {
		return fmt.Errorf("no instructions")
	}
	if err := a.layout(insns); err != nil {
		return err
	}
	slot := 0
	for i := range insns {
		ins := &insns[i]
		if err := a.insn(slot, ins); err != nil {
			return fmt.Errorf("insn %d (%v): %w", slot, ins, err)
		}
		slot += int(ins.Width())
	}
	a.subprogs()
	return p.findExceptionCallback()
}

type assembler struct {
	p       *Program
	r       Resolver
	symbols map[string]int
	names   map[int]string
	funcs   map[int]*btf.Func
	starts  map[int]bool // slots at which functions start
}

// layout finds the slot of each symbol and the source lines.
func (a *assembler) layout(insns asm.Instructions) error {
	a.names, a.funcs = make(map[int]string), make(map[int]*btf.Func)
	slot := 0
	for i := range insns {
		ins := &insns[i]
		if sym := ins.Symbol(); sym != "" {
			if _, dup := a.symbols[sym]; dup {
				return fmt.Errorf("insn %d: symbol %s is defined twice", slot, sym)
			}
			a.symbols[sym], a.names[slot] = slot, sym
		}
		if fn := btf.FuncMetadata(ins); fn != nil {
			a.starts[slot], a.funcs[slot] = true, fn
		}
		if src := ins.Source(); src != nil {
			a.p.Lines = append(a.p.Lines, Line{Slot: slot, SourceLine: sourceLine(src)})
		}
		slot += int(ins.Width())
	}
	a.p.Insns = make([]Insn, slot)
	return nil
}

func sourceLine(src fmt.Stringer) SourceLine {
	if l, ok := src.(*btf.Line); ok {
		return SourceLine{File: l.FileName(), Line: int(l.LineNumber()), Text: l.Line()}
	}
	return SourceLine{Text: src.String()}
}

// insn decodes and links one instruction.
func (a *assembler) insn(slot int, ins *asm.Instruction) error {
	in, err := decode(ins)
	if err != nil {
		return err
	}
	target := func(dist int64) error {
		t, err := a.target(slot, ins, dist)
		in.Target = int32(t)
		return err
	}
	function := func() error {
		err := target(ins.Constant)
		a.starts[int(in.Target)] = true
		return err
	}
	switch {
	case ins.IsLoadOfFunctionPointer():
		if err = function(); err == nil {
			in.Value, err = a.r.Func(int(in.Target))
		}
	case ins.OpCode.IsDWordLoad():
		in.Value, err = a.r.Load(ins)
	case ins.IsFunctionCall():
		err = function()
	case in.Op == opCall:
		in.Call, err = a.r.Call(ins)
	case in.Op == opJumpLong:
		err = target(ins.Constant)
	case ins.OpCode.Class().IsJump() && in.Op != opExit:
		err = target(int64(ins.Offset))
	}
	a.p.Insns[slot] = in
	return err
}

// target is where ins at slot leads: dist slots behind the next one, or to its
// symbol where the distance is the placeholder -1.
func (a *assembler) target(slot int, ins *asm.Instruction, dist int64) (int, error) {
	t := int64(slot) + 1 + dist
	if ref := ins.Reference(); ref != "" && dist == -1 {
		s, ok := a.symbols[ref]
		if !ok {
			return 0, fmt.Errorf("symbol %s is not defined", ref)
		}
		t = int64(s)
	}
	if t < 0 || t >= int64(len(a.p.Insns)) {
		return 0, fmt.Errorf("leads to slot %d, outside the program's %d", t, len(a.p.Insns))
	}
	return int(t), nil
}

// decode is ins as the kernel reads it.
func decode(ins *asm.Instruction) (Insn, error) {
	raw, err := link.Encode(ins)
	return Insn{Op: raw.Op, Dst: raw.Dst, Src: raw.Src, Off: raw.Off, Imm: raw.Imm}, err
}

// subprogs cuts the program at the starts of functions.
func (a *assembler) subprogs() {
	for slot := range a.p.Insns {
		if !a.starts[slot] {
			continue
		}
		if n := len(a.p.Subprogs); n > 0 {
			a.p.Subprogs[n-1].End = slot
		}
		s := Subprog{Name: a.names[slot], Start: slot, End: len(a.p.Insns), Func: a.funcs[slot]}
		if s.Name == "" && s.Func != nil {
			s.Name = s.Func.Name
		}
		a.p.Subprogs = append(a.p.Subprogs, s)
	}
}

// findExceptionCallback sets ExceptionCallback to the function that the entry's
// tag names.
func (p *Program) findExceptionCallback() error {
	if len(p.Subprogs) == 0 || p.Subprogs[0].Func == nil {
		return nil
	}
	for _, tag := range p.Subprogs[0].Func.Tags {
		name, ok := strings.CutPrefix(tag, exceptionTag)
		if !ok {
			continue
		}
		for _, s := range p.Subprogs[1:] {
			if s.Name == name {
				p.ExceptionCallback = s.Start
			}
		}
		if p.ExceptionCallback == 0 {
			return fmt.Errorf("exception callback %s is not a function of the program", name)
		}
	}
	return nil
}
