package interp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
)

// compile decodes p and checks what can be checked of it without running it.
func compile(p *vm.Program, observe vm.Observer) (*code, error) {
	k := &code{prog: p, observe: observe, index: make([]int32, len(p.Insns)), exception: -1}
	if len(p.Insns) == 0 {
		return nil, errors.New("no instructions")
	}
	subs := p.Subprogs
	if len(subs) == 0 {
		subs = []vm.Subprog{{Name: p.Name, End: len(p.Insns)}}
	}
	if err := checkSubprogs(subs, len(p.Insns)); err != nil {
		return nil, err
	}
	for slot := 0; slot < len(p.Insns); slot++ {
		k.index[slot] = int32(len(k.ops))
		if observe != nil {
			k.ops = append(k.ops, op{kind: observed, slot: int32(slot)})
		}
		o, err := decode(p.Insns[slot])
		if err != nil {
			err = k.errorAt(slot, err)
			if !errors.Is(err, errIllegal) {
				return nil, err
			}
			o = op{kind: illegal, target: int32(len(k.illegal))}
			k.illegal = append(k.illegal, err)
		}
		o.slot = int32(slot)
		if o.kind == callFunc {
			o.target = int32(len(k.calls))
			k.calls = append(k.calls, p.Insns[slot].Call)
		}
		k.ops = append(k.ops, o)
		// A call may stand in for a load that a relocation found impossible.
		second := slot+1 < len(p.Insns) && p.Insns[slot+1] == vm.Insn{}
		if o.kind == load64 && !second {
			return nil, k.errorAt(slot, errors.New("64-bit immediate lacks its second slot"))
		}
		if second && (o.kind == load64 || o.kind == callFunc) {
			slot++
			k.index[slot] = -1
		}
	}
	for _, s := range subs {
		if err := k.link(s, subs); err != nil {
			return nil, err
		}
	}
	if s := p.ExceptionCallback; s != 0 {
		if !startsSubprog(subs, s) {
			return nil, fmt.Errorf("no function starts at the exception callback's slot %d", s)
		}
		k.exception = int(k.index[s])
	}
	return k, nil
}

func (k *code) errorAt(slot int, err error) error {
	return fmt.Errorf("%v: opcode %#02x: %w", vm.Site{Program: k.prog, Insn: slot}, k.prog.Insns[slot].Op, err)
}

// checkSubprogs holds that subs cut n slots into pieces without gap.
func checkSubprogs(subs []vm.Subprog, n int) error {
	end := 0
	for _, s := range subs {
		if s.Start != end || s.End <= s.Start || s.End > n {
			return fmt.Errorf("function %q takes slots %d to %d, expected to start at %d of %d", s.Name, s.Start, s.End, end, n)
		}
		end = s.End
	}
	if end != n {
		return fmt.Errorf("slots from %d belong to no function", end)
	}
	return nil
}

func startsSubprog(subs []vm.Subprog, slot int) bool {
	for _, s := range subs {
		if s.Start == slot {
			return true
		}
	}
	return false
}

// endsFunction reports whether nothing follows an instruction with this opcode.
func endsFunction(opcode uint8) bool {
	const ja, gotol, exit = 0x05, 0x06, 0x95
	return opcode == ja || opcode == gotol || opcode == exit
}

// jumps reports whether an instruction with this opcode leads to its Target.
func jumps(opcode uint8) bool {
	class, what := asm.Class(opcode&7), asm.JumpOp(opcode&0xf0)
	return class.IsJump() && what != asm.Call && what != asm.Exit
}

// link replaces the slots that the instructions of s lead to by indices.
func (k *code) link(s vm.Subprog, subs []vm.Subprog) error {
	if k.index[s.Start] < 0 {
		return fmt.Errorf("function %q starts within a 64-bit immediate", s.Name)
	}
	last := len(k.ops)
	if s.End < len(k.index) {
		last = int(k.index[s.End])
	}
	if last < 0 {
		return fmt.Errorf("function %q ends within a 64-bit immediate", s.Name)
	}
	for i := int(k.index[s.Start]); i < last; i++ {
		o := &k.ops[i]
		slot := int(o.slot)
		switch {
		case o.kind == callProg:
			if !startsSubprog(subs, int(o.target)) {
				return k.errorAt(slot, fmt.Errorf("no function starts at slot %d", o.target))
			}
		case o.kind == jump, o.kind == mayGoto, o.kind >= jeq64K && o.kind <= jsle32X,
			o.kind == illegal && jumps(k.prog.Insns[slot].Op):
			t := int(k.prog.Insns[slot].Target)
			if t < s.Start || t >= s.End {
				return k.errorAt(slot, fmt.Errorf("jump to slot %d leaves the function's slots %d to %d", t, s.Start, s.End-1))
			}
			if k.index[t] < 0 {
				return k.errorAt(slot, fmt.Errorf("jump to slot %d, the middle of a 64-bit immediate", t))
			}
		default:
			continue
		}
		if o.kind != illegal {
			o.target = k.index[o.target]
		}
	}
	if end := k.ops[last-1]; !endsFunction(k.prog.Insns[end.slot].Op) {
		return k.errorAt(int(end.slot), fmt.Errorf("function %q does not end with an exit or jump", s.Name))
	}
	return nil
}
