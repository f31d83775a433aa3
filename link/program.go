package link

import (
	"encoding/binary"
	"fmt"
	"path"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
)

// Object is a linked collection.
type Object struct {
	// Programs by name.
	Programs map[string]*Program
	// Maps by name, as the collection has them, and ".kconfig" with the values
	// of the profile where a program reads one.
	Maps map[string]*ebpf.MapSpec
	// Variables of .data, .bss and .rodata by name.
	Variables map[string]*ebpf.VariableSpec
	// Types is the object's own BTF, nil if it has none. Local type IDs in
	// instructions (bpf_obj_new) are IDs of it.
	Types *btf.Spec
	// Profile is what the object was linked against.
	Profile *kernel.Profile
}

// Program is a program with the functions that it calls, all resolved.
type Program struct {
	// Name is the name of the C function.
	Name string
	// Type, AttachType, AttachTo and Flags come from the section's name.
	Type       ebpf.ProgramType
	AttachType ebpf.AttachType
	AttachTo   string
	Flags      uint32
	// SectionName is the ELF section, License the content of section "license".
	SectionName string
	License     string
	// ByteOrder is that of the object: always little endian.
	ByteOrder binary.ByteOrder
	// Insns are the instructions of all functions, the program's own first.
	Insns []Insn
	// Subprogs are the functions, in the order of Insns.
	Subprogs []Subprog
	// Types is the BTF of the object, nil if it has none.
	Types *btf.Spec
	// Profile is what the program was linked against.
	Profile *kernel.Profile

	slots []int32 // raw slot to index in Insns, -1 for the second half of a ld_imm64
}

// Subprog is one function of a program.
type Subprog struct {
	Name string
	// Start and End are indices in Insns, End excluded.
	Start, End int
	// Func is its declaration, nil in an object without BTF.
	Func *btf.Func
	// Global functions are verified on their own; static ones where called.
	Global bool
}

// Insn is one instruction of a program after all relocations.
type Insn struct {
	asm.Instruction
	// Slot is the offset in units of 8 bytes, as the kernel counts: a ld_imm64
	// takes two.
	Slot int
	// Target is the index in Insns of the destination of a jump, of the
	// function that is called, or of the function whose address is loaded; -1
	// for every other instruction.
	Target int
	// Call is the helper or kfunc that is called, nil for none.
	Call *Call
	// Ref is the map that is loaded, or that holds the value whose address is
	// loaded, nil for none.
	Ref *MapRef
	// Ksym is the kernel symbol whose address is loaded, nil for none.
	Ksym *Ksym
	// Line is the line of C, nil if unknown. Instructions without a line of
	// their own have that of the instruction before.
	Line *Line
	// Poison says why the instruction cannot run, "" if it can: the kernel
	// refuses the program only if it gets there.
	Poison string
}

// Call is what a call instruction calls outside the program.
type Call struct {
	// Proto is the helper or kfunc in the form that the program's type sees,
	// its general form where the type may not call it, nil in a poisoned call.
	Proto *kernel.Prototype
	// Allowed reports whether the program's type may call it.
	Allowed bool
	// Name is the name, also of what is not there: "bpf_skb_ct_alloc".
	Name string
	// Func is the kernel's declaration of a kfunc, nil for a helper.
	Func *btf.Func
	// ID is the BTF ID of a kfunc in the profile, 0 for a helper.
	ID btf.TypeID
	// Weak is set for a kfunc that the program can do without.
	Weak bool
}

// MapRef is a reference to a map.
type MapRef struct {
	// Name of the map in Object.Maps.
	Name string
	// Value is set when the address of the map's only value, plus Offset, is
	// loaded, and not the map itself.
	Value  bool
	Offset uint32
}

// Ksym is a kernel symbol whose address a program asks for. A profile does not
// know the addresses of variables: the machine chooses them, and the constant
// in the instruction is 0.
type Ksym struct {
	Name string
	// Weak symbols may be missing: their address is then 0.
	Weak bool
	// Present reports whether the profile has it. Of a variable without a type
	// that is not known, and it is false.
	Present bool
	// Func is set for a kfunc whose existence is asked for (bpf_ksym_exists).
	Func *btf.Func
	// Var is the variable in the profile's BTF, nil for none.
	Var *btf.Var
	// Typed reports whether the program declares the variable with a type, and
	// may so read through the address.
	Typed bool
	// ID is the BTF ID of Func or Var, 0 for none.
	ID btf.TypeID
}

// Line is a line of C source.
type Line struct {
	File   string
	Number int
	Column int
	Text   string
}

// String is `nat.bpf.c:12: ct = bpf_skb_ct_alloc(...)`.
func (l *Line) String() string {
	text := strings.TrimSpace(l.Text)
	if l.File == "" {
		return text
	}
	return fmt.Sprintf("%s:%d: %s", path.Base(strings.ReplaceAll(l.File, `\`, "/")), l.Number, text)
}

// Index is the index in Insns of the instruction at a raw slot, as the kernel
// counts them; false in the middle of a ld_imm64 and out of range.
func (p *Program) Index(slot int) (int, bool) {
	if slot < 0 || slot >= len(p.slots) || p.slots[slot] < 0 {
		return -1, false
	}
	return int(p.slots[slot]), true
}

// Slots is the length of the program as the kernel counts it.
func (p *Program) Slots() int { return len(p.slots) }

// SubprogAt is the index in Subprogs of the function that has instruction i,
// -1 for none.
func (p *Program) SubprogAt(i int) int {
	lo, hi := 0, len(p.Subprogs)
	for lo < hi {
		mid := (lo + hi) / 2
		if p.Subprogs[mid].End <= i {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(p.Subprogs) && p.Subprogs[lo].Start <= i {
		return lo
	}
	return -1
}

// Kfuncs lists the names of the kfuncs that the program calls, each once, in
// the order of their first call.
func (p *Program) Kfuncs() []string { return p.callNames(kernel.Kfunc) }

// Helpers lists the names of the helpers that the program calls, each once, in
// the order of their first call.
func (p *Program) Helpers() []string { return p.callNames(kernel.Helper) }

func (p *Program) callNames(kind kernel.Kind) []string {
	var out []string
	seen := make(map[string]bool)
	for i := range p.Insns {
		c := p.Insns[i].Call
		if c == nil || c.Proto == nil || c.Proto.Kind != kind || seen[c.Name] {
			continue
		}
		seen[c.Name] = true
		out = append(out, c.Name)
	}
	return out
}
