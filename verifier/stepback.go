package verifier

import (
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/verifier/cfg"
	"github.com/bpfct/bpfct/verifier/state"
)

// stepBack changes what is looked for after an instruction to what is to be looked
// for before it (backtrack_insn). next is the instruction that was walked after it.
func (e *env) stepBack(i, next int, hist *state.Jump) error {
	s, bt := &e.slots[i], &e.bt
	if s.isSecond() {
		return nil
	}
	if e.log.verbose() {
		e.logBack(i)
	}
	// What an instruction taught about one number it taught about those linked with it.
	bt.addLinked(hist)
	switch asm.Class(s.class()) {
	case asm.ALUClass, asm.ALU64Class:
		if !bt.has(s.Dst) {
			return nil
		}
		bt.backALU(s)
	case asm.LdXClass:
		if !bt.has(s.Dst) {
			return nil
		}
		bt.clear(s.Dst)
		bt.addFilled(hist)
	case asm.StXClass, asm.StClass:
		return bt.backStore(s, hist)
	case asm.JumpClass, asm.Jump32Class:
		if done, err := e.backJump(s, i, next, hist); done || err != nil {
			return err
		}
	case asm.LdClass:
		if !bt.has(s.Dst) {
			return nil
		}
		bt.clear(s.Dst)
		if s.Op != opLoadImm64 {
			return errFallback
		}
	}
	bt.addLinked(hist)
	return nil
}

// addLinked looks for all numbers that are linked with one that is looked for.
func (b *backtrack) addLinked(hist *state.Jump) {
	if hist == nil || len(hist.Linked) == 0 {
		return
	}
	for _, l := range hist.Linked {
		if l.IsReg && b.regs[l.Frame]&(1<<l.Number) != 0 || !l.IsReg && b.slots[l.Frame]&cfg.SlotMask(l.Number) != 0 {
			for _, l := range hist.Linked {
				if l.IsReg {
					b.regs[l.Frame] |= 1 << l.Number
				} else {
					b.slots[l.Frame] |= cfg.SlotMask(l.Number)
				}
			}
			return
		}
	}
}

// addFilled looks for the slot that a load read. A number that comes from other
// memory could be any.
func (b *backtrack) addFilled(hist *state.Jump) {
	if hist != nil && hist.StackAccess {
		b.slots[hist.StackFrame] |= cfg.SlotMask(hist.StackSlot)
	}
}

func (b *backtrack) backALU(s *slot) {
	fromReg := s.Op&sourceX != 0
	switch asm.OpCode(s.Op).ALUOp() {
	case asm.Swap, asm.Neg:
		return
	case asm.Mov:
		b.clear(s.Dst)
	}
	if fromReg && s.Src != 10 {
		b.set(s.Src)
	}
}

// backStore is for a store: a slot holds what the register held. Atomic operations
// that fetch leave what was there in a register.
func (b *backtrack) backStore(s *slot, hist *state.Jump) error {
	if asm.Class(s.class()) == asm.StXClass && s.Op&modeMask == modeAtomic {
		if load, ok := atomicResult(s); ok {
			if !b.has(load) {
				return nil
			}
			b.clear(load)
			b.addFilled(hist)
			return nil
		}
	}
	if b.has(s.Dst) {
		// A pointer is looked for as if it were a number: pointers were subtracted.
		return errFallback
	}
	if hist == nil || !hist.StackAccess {
		return nil
	}
	if bit := cfg.SlotMask(hist.StackSlot); b.slots[hist.StackFrame]&bit != 0 {
		b.slots[hist.StackFrame] &^= bit
		if asm.Class(s.class()) == asm.StXClass {
			b.set(s.Src)
		}
	}
	return nil
}

// How a store is done.
const (
	modeMask   = 0xe0
	modeAtomic = 0xc0
)

// atomicResult is the register that an atomic load fills.
func atomicResult(s *slot) (uint8, bool) {
	return s.Dst, s.Imm == atomicLoadAcq
}

// backJump is stepBack for jumps and calls. done reports that nothing else is to be
// done.
func (e *env) backJump(s *slot, i, next int, hist *state.Jump) (done bool, err error) {
	bt := &e.bt
	switch {
	case s.isPseudoCall():
		return true, e.backFuncCall(s, i, next)
	case s.Op == opCall && e.graph.CallsCallback(i) && i != next-1:
		return true, e.backCallback()
	case s.Op == opCall:
		if s.insn.Poison != "" && s.insn.Call != nil && s.insn.Call.Weak {
			return true, errFallback
		}
		bt.clear(0)
		if m := bt.regs[bt.frame]; m&argMask != 0 {
			return true, e.confused("backtracking call unexpected regs %x", m)
		}
		if s.isHelperCall() && s.Imm == tailCall && next-i != 1 {
			return false, e.enterBack() // the other program returned
		}
		return false, nil
	case s.Op == opExit:
		return true, e.backExit(next)
	case s.Op&sourceX != 0:
		if !bt.has(s.Dst) && !bt.has(s.Src) {
			return true, nil
		}
		if hist == nil || !hist.SrcStack {
			bt.set(s.Src)
		}
		if hist == nil || !hist.DstStack {
			bt.set(s.Dst)
		}
	}
	return false, nil
}

// backFuncCall leaves a function to its caller: arguments are the caller's registers.
func (e *env) backFuncCall(s *slot, i, next int) error {
	bt := &e.bt
	m := bt.regs[bt.frame]
	if e.subprogs[cfg.Find(e.subs, i+int(s.Imm)+1)].global {
		if i+1 != next {
			return e.confused("extra insn from subprog")
		}
		if m&argMask != 0 {
			return e.confused("global subprog unexpected regs %x", m)
		}
		bt.clear(0)
		return nil
	}
	if m&^argMask != 0 {
		return e.confused("static subprog unexpected regs %x", m)
	}
	if bt.slots[bt.frame] != 0 {
		return e.confused("static subprog leftover stack slots %x", bt.slots[bt.frame])
	}
	if bt.frame == 0 {
		return e.confused("subprog exit from frame 0")
	}
	bt.regs[bt.frame] = 0
	bt.frame--
	bt.regs[bt.frame] |= m
	return nil
}

// backCallback leaves a function that was called back: its arguments are not those of
// the call.
func (e *env) backCallback() error {
	bt := &e.bt
	if m := bt.regs[bt.frame]; m&^argMask != 0 {
		return e.confused("callback unexpected regs %x", m)
	}
	if bt.slots[bt.frame] != 0 {
		return e.confused("callback leftover stack slots %x", bt.slots[bt.frame])
	}
	if bt.frame == 0 {
		return e.confused("subprog exit from frame 0")
	}
	bt.regs[bt.frame] = 0
	bt.frame--
	return nil
}

// backExit enters a function from its end. Its r0 is the caller's, unless it was
// called back.
func (e *env) backExit(next int) error {
	bt := &e.bt
	if next >= 0 && e.graph.CallsCallback(next) {
		bt.regs[bt.frame] &^= argMask
	}
	if m := bt.regs[bt.frame]; m&argMask != 0 {
		return e.confused("backtracking exit unexpected regs %x", m)
	}
	wanted := next >= 1 && e.slots[next-1].isPseudoCall() && bt.has(0)
	bt.clear(0)
	if err := e.enterBack(); err != nil {
		return err
	}
	if wanted {
		bt.set(0)
	}
	return nil
}

// enterBack goes on in the function that was called.
func (e *env) enterBack() error {
	if e.bt.frame == state.MaxFrames-1 {
		return e.confused("subprog enter from frame %d", e.bt.frame)
	}
	e.bt.frame++
	return nil
}
