package vm

import (
	"sort"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Insn is one slot of 8 bytes of a program, decoded and linked. A 64-bit
// immediate load takes two slots, the second of them the zero Insn.
type Insn struct {
	Op       uint8 // opcode byte as in the object
	Dst, Src uint8 // register numbers
	Off      int16
	Imm      int32
	// Value is the linked 64-bit immediate of a load: a number or a guest address.
	Value uint64
	// Target is the slot that a jump, a bpf-to-bpf call or a function address
	// leads to.
	Target int32
	// Call is the helper or kfunc of a call.
	Call *Call
	// Probe is set for a load from memory that may be gone, as the kernel marks it: it
	// gives 0 then and does not fault.
	Probe bool
}

// Call is a linked helper or kfunc.
type Call struct {
	Name string
	Func Func
	// Kfunc tells a kernel function from a helper.
	Kfunc bool
}

// Subprog is a function of a program: the slots [Start, End).
type Subprog struct {
	Name       string
	Start, End int
	// Func is its BTF, nil without.
	Func *btf.Func
}

// SourceLine is a line of C that instructions were compiled from.
type SourceLine struct {
	File string
	Line int
	Text string
}

// Line attaches a SourceLine to the slot it starts at.
type Line struct {
	Slot int
	SourceLine
}

// Program is a loaded program: linked, and compiled by the machine's engine. It
// is immutable after Machine.Compile.
type Program struct {
	Name       string
	Type       ebpf.ProgramType
	AttachType ebpf.AttachType
	License    string
	Insns      []Insn
	// Subprogs are the functions in the order of their slots; the first is the
	// program's entry.
	Subprogs []Subprog
	// Lines has the source lines in the order of their slots.
	Lines []Line
	// Types is the object's BTF, nil without. Local type ids of kfunc arguments
	// are ids in it.
	Types *btf.Spec
	// ExceptionCallback is the slot of the function named by the program's
	// exception_callback tag; 0, which no callback can have, means the default one.
	ExceptionCallback int
	// Owner is the value of the room above that loaded the program.
	Owner any

	code Code
}

// Code is what the machine's engine made of p; nil before Machine.Compile.
func (p *Program) Code() Code { return p.code }

// SourceAt is the source line of the instruction in the given slot; the zero
// SourceLine when the object does not say.
func (p *Program) SourceAt(slot int) SourceLine {
	i := sort.Search(len(p.Lines), func(i int) bool { return p.Lines[i].Slot > slot })
	if i == 0 {
		return SourceLine{}
	}
	return p.Lines[i-1].SourceLine
}

// SubprogAt is the function that slot belongs to, nil for a slot out of range.
func (p *Program) SubprogAt(slot int) *Subprog {
	for i := range p.Subprogs {
		if s := &p.Subprogs[i]; slot >= s.Start && slot < s.End {
			return s
		}
	}
	return nil
}

// Engine turns programs into something that runs.
type Engine interface {
	// Name is the engine's name, as a user selects it.
	Name() string
	// Compile prepares p. It fails for an instruction that the engine cannot execute.
	Compile(p *Program) (Code, error)
}

// Observer is called before an instruction with the CPU, the instruction's slot in
// CPU.Prog, and the registers r0 to r10, none of which it may change.
type Observer func(c *CPU, slot int, regs []uint64)

// Code is a compiled program.
type Code interface {
	// Run executes the program from its entry with r1 = ctx and returns r0.
	Run(c *CPU, ctx uint64) (uint64, error)
	// Call executes the function at slot as a callback, on top of the frames that c
	// has, and returns r0.
	Call(c *CPU, slot int, args [5]uint64) (uint64, error)
}
