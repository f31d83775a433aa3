package link

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// fixup is the outcome of a CO-RE relocation: the value that replaces the one
// the compiler chose, or poison.
type fixup struct {
	kind   string
	local  uint64
	target uint64
	poison bool
}

// parseFixup reads the text form of a btf.COREFixup, whose fields are not
// exported and whose Apply method works on Linux alone. A test applies both
// and compares.
func parseFixup(f btf.COREFixup) (fixup, error) {
	kind, rest, ok := strings.Cut(f.String(), "=")
	if !ok {
		return fixup{}, fmt.Errorf("cannot read CO-RE fixup %q", f.String())
	}
	if rest == "poison" {
		return fixup{kind: kind, poison: true}, nil
	}
	local, target, ok := strings.Cut(rest, "->")
	if !ok {
		return fixup{}, fmt.Errorf("cannot read CO-RE fixup %q", f.String())
	}
	l, err1 := strconv.ParseUint(local, 10, 64)
	t, err2 := strconv.ParseUint(target, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return fixup{}, fmt.Errorf("cannot read CO-RE fixup %q: %w", f.String(), err)
	}
	if kind == "local_type_id" {
		// The program keeps the object's own BTF, so its type IDs stay.
		t = l
	}
	return fixup{kind: kind, local: l, target: t}, nil
}

// apply changes the instruction as a loader does, and says why it is poisoned
// if it is.
func (f fixup) apply(ins *asm.Instruction) (poison string, err error) {
	if f.poison {
		source := ins.Source()
		meta := ins.Metadata
		if ins.OpCode.IsDWordLoad() {
			*ins = asm.LoadImm(asm.R10, btf.COREBadRelocationSentinel, asm.DWord)
		} else {
			*ins = asm.BuiltinFunc(btf.COREBadRelocationSentinel).Call()
		}
		ins.Metadata = meta
		if source != nil {
			return fmt.Sprintf("instruction poisoned by CO-RE: %s", strings.TrimSpace(source.String())), nil
		}
		return "instruction poisoned by CO-RE", nil
	}
	switch class := ins.OpCode.Class(); class {
	case asm.LdXClass, asm.StClass, asm.StXClass:
		if f.target > math.MaxInt16 {
			return "", fmt.Errorf("offset %d exceeds %d", f.target, math.MaxInt16)
		}
		ins.Offset = int16(f.target)
	case asm.LdClass:
		if !ins.OpCode.IsDWordLoad() {
			return "", fmt.Errorf("%v is not a load of a 64-bit constant", ins.OpCode)
		}
		ins.Constant = int64(f.target)
	case asm.ALUClass, asm.ALU64Class:
		if class == asm.ALUClass && ins.OpCode.ALUOp() == asm.Swap {
			return "", errors.New("relocation of a byte swap")
		}
		if src := ins.OpCode.Source(); src != asm.ImmSource {
			return "", fmt.Errorf("relocation of an operation on a register (%v)", ins.OpCode)
		}
		if f.target > math.MaxInt32 {
			return "", fmt.Errorf("immediate %d exceeds %d", f.target, math.MaxInt32)
		}
		ins.Constant = int64(f.target)
	default:
		return "", fmt.Errorf("relocation of an instruction of class %v", class)
	}
	return "", nil
}

// relocate applies every CO-RE relocation of the program.
func (l *linker) relocate() error {
	var relos []*btf.CORERelocation
	var at []int
	for i := range l.prog.Insns {
		if r := btf.CORERelocationMetadata(&l.prog.Insns[i].Instruction); r != nil {
			relos = append(relos, r)
			at = append(at, i)
		}
	}
	if len(relos) == 0 {
		return nil
	}
	targets, err := l.prof.AllTypes()
	if err != nil {
		return l.fail(-1, err)
	}
	localID := func(btf.Type) (btf.TypeID, error) { return 0, nil }
	fixups, err := btf.CORERelocate(relos, targets, l.prog.ByteOrder, localID)
	if err != nil {
		// Find the one at fault, to name the line.
		for i, r := range relos {
			if _, one := btf.CORERelocate([]*btf.CORERelocation{r}, targets, l.prog.ByteOrder, localID); one != nil {
				return l.fail(at[i], fmt.Errorf("CO-RE relocation against %s: %w", l.prof.Name, one))
			}
		}
		return l.fail(-1, fmt.Errorf("CO-RE relocations against %s: %w", l.prof.Name, err))
	}
	for i, f := range fixups {
		fix, err := parseFixup(f)
		if err != nil {
			return l.fail(at[i], err)
		}
		ins := &l.prog.Insns[at[i]]
		poison, err := fix.apply(&ins.Instruction)
		if err != nil {
			return l.fail(at[i], fmt.Errorf("CO-RE relocation %v: %w", f.String(), err))
		}
		ins.Poison = poison
	}
	return nil
}
