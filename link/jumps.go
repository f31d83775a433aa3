package link

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// isFunction reports whether any instruction of the program calls name, or
// loads its address.
func (l *linker) isFunction(name string) bool {
	if l.called == nil {
		l.called = make(map[string]bool)
		for i := range l.insns {
			if ins := &l.insns[i]; ins.IsFunctionReference() && ins.Reference() != "" {
				l.called[ins.Reference()] = true
			}
		}
	}
	return l.called[name]
}

// jumps turns relative offsets and names into instruction indices.
func (l *linker) jumps() error {
	symbols := make(map[string]int)
	for i := range l.prog.Insns {
		if s := l.prog.Insns[i].Symbol(); s != "" {
			if _, ok := symbols[s]; ok {
				return l.fail(i, fmt.Errorf("symbol %s is there twice", s))
			}
			symbols[s] = i
		}
	}
	for i := range l.prog.Insns {
		if err := l.jump(i, symbols); err != nil {
			return l.fail(i, err)
		}
	}
	return nil
}

func (l *linker) jump(i int, symbols map[string]int) error {
	ins := &l.prog.Insns[i]
	op := ins.OpCode
	ref := ins.Reference()
	switch {
	case ins.Poison != "" || ins.Call != nil:
		return nil
	case ins.IsFunctionReference():
		if ref != "" && ins.Constant == -1 {
			t, ok := symbols[ref]
			if !ok {
				return fmt.Errorf("call of undefined function %s", ref)
			}
			ins.Constant = int64(l.prog.Insns[t].Slot - ins.Slot - 1)
			return l.aim(i, t)
		}
		return l.aimSlot(i, ins.Slot+1+int(int32(ins.Constant)))
	case !op.Class().IsJump() || op.JumpOp() == asm.Exit || op.JumpOp() == asm.InvalidJumpOp:
		return nil
	case op.JumpOp() == asm.Call:
		return fmt.Errorf("call of an unknown kind: source register %v", ins.Src)
	case op.Class() == asm.Jump32Class && op.JumpOp() == asm.Ja: // gotol
		if t, ok := symbols[ref]; ok && ins.Constant == -1 {
			ins.Constant = int64(l.prog.Insns[t].Slot - ins.Slot - 1)
		}
		return l.aimSlot(i, ins.Slot+1+int(int32(ins.Constant)))
	default:
		if t, ok := symbols[ref]; ok && ins.Offset == -1 {
			off := l.prog.Insns[t].Slot - ins.Slot - 1
			if off != int(int16(off)) {
				return fmt.Errorf("jump to %s is %d instructions long, more than 16 bits hold", ref, off)
			}
			ins.Offset = int16(off)
		}
		return l.aimSlot(i, ins.Slot+1+int(ins.Offset))
	}
}

func (l *linker) aimSlot(i, slot int) error {
	t, ok := l.prog.Index(slot)
	if !ok {
		if l.opts.KeepFaulty {
			return l.poisonJump(i, slot)
		}
		if slot >= 0 && slot < l.prog.Slots() {
			return fmt.Errorf("jump into the middle of ldimm64 insn %d", slot)
		}
		return fmt.Errorf("jump out of range from insn %d to %d", l.prog.Insns[i].Slot, slot)
	}
	return l.aim(i, t)
}

// aim sets the target and checks that jumps stay in their function and that
// calls hit the start of one.
func (l *linker) aim(i, t int) error {
	ins := &l.prog.Insns[i]
	ins.Target = t
	to := l.prog.SubprogAt(t)
	if to < 0 {
		return errors.New("jump out of the program")
	}
	if ins.IsFunctionReference() {
		if l.prog.Subprogs[to].Start != t {
			return fmt.Errorf("call into the middle of function %s", l.prog.Subprogs[to].Name)
		}
		return nil
	}
	if to != l.prog.SubprogAt(i) {
		if l.opts.KeepFaulty {
			return l.poisonJump(i, l.prog.Insns[t].Slot)
		}
		return fmt.Errorf("jump out of range from insn %d to %d", ins.Slot, l.prog.Insns[t].Slot)
	}
	return nil
}

// poisonJump leaves a jump that leads nowhere to whoever verifies the program.
func (l *linker) poisonJump(i, slot int) error {
	ins := &l.prog.Insns[i]
	ins.Target = -1
	ins.Poison = fmt.Sprintf("jump out of range from insn %d to %d", ins.Slot, slot)
	return nil
}
