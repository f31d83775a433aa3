package verifier

import (
	"errors"
	"math/bits"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/cfg"
	"github.com/bpfct/bpfct/verifier/disasm"
	"github.com/bpfct/bpfct/verifier/state"
)

// Whether a number's exact value mattered is found out backwards: when a rule looks
// at it, the instructions that led there are followed in reverse, from the registers
// and stack slots that hold it to those that it was made from, and the states kept on
// the way are marked. Numbers that nobody looked at do not stand in the way of
// pruning.

// backtrack is the registers and slots that are looked for, per frame.
type backtrack struct {
	frame int
	regs  [state.MaxFrames]uint16
	slots [state.MaxFrames]uint64
}

// Sets of registers.
const argMask = uint16(1<<6 - 1<<1) // R1 to R5

func (b *backtrack) empty() bool {
	for i := 0; i <= b.frame; i++ {
		if b.regs[i] != 0 || b.slots[i] != 0 {
			return false
		}
	}
	return true
}

func (b *backtrack) reset() { *b = backtrack{} }

func (b *backtrack) has(reg uint8) bool { return b.regs[b.frame]&(1<<reg) != 0 }
func (b *backtrack) set(reg uint8)      { b.regs[b.frame] |= 1 << reg }
func (b *backtrack) clear(reg uint8)    { b.regs[b.frame] &^= 1 << reg }

// errFallback says that a backtrack cannot be exact.
var errFallback = errors.New("all numbers are marked")

// markPrecise notes that the exact value of register n mattered
// (mark_chain_precision).
func (e *env) markPrecise(n int) error {
	e.bt.frame = len(e.cur.Frames) - 1
	e.bt.set(uint8(n))
	_, err := e.markChain(e.cur)
	return err
}

// markPreciseSlot is markPrecise for a number on the stack.
func (e *env) markPreciseSlot(frame, slot int) error {
	e.bt.slots[frame] |= cfg.SlotMask(slot)
	_, err := e.markChain(e.cur)
	return err
}

// propagatePrecision notes that what mattered in old's walk matters on the way here.
func (e *env) propagatePrecision(old *state.State) error {
	_, err := e.propagate(old, e.cur)
	return err
}

// propagate marks on cur's way what mattered from old on (propagate_precision).
func (e *env) propagate(old, cur *state.State) (changed bool, err error) {
	verbose := e.log.verbose()
	for n := len(old.Frames) - 1; n >= 0; n-- {
		f := old.Frames[n]
		first := true
		note := func(letters string, number int) {
			if verbose {
				if first {
					e.log.printf("frame %d: propagating %s%d", n, letters, number)
				} else {
					e.log.printf(",%s%d", letters, number)
				}
			}
			first = false
		}
		for i := range f.Regs[:10] {
			if r := &f.Regs[i]; r.Type == state.ScalarValue && r.Precise {
				note("r", i)
				e.bt.regs[n] |= 1 << i
			}
		}
		for i := range f.Stack {
			if sl := &f.Stack[i]; sl.IsSpilledScalar() && sl.Spilled.Precise {
				note("fp", -(i+1)*state.RegSize)
				e.bt.slots[n] |= cfg.SlotMask(i)
			}
		}
		if !first && verbose {
			e.log.printf("\n")
		}
	}
	return e.markChain(cur)
}

// markChain follows what e.bt looks for backwards from a state, and reports whether
// something was marked that was not.
func (e *env) markChain(start *state.State) (changed bool, err error) {
	bt, st := &e.bt, start
	bt.frame = len(start.Frames) - 1
	first, last, next := st.FirstInsn, start.Insn, -1
	skip := true
	if bt.empty() {
		return false, nil
	}
	for {
		if e.log.verbose() {
			e.log.printf("mark_precise: frame%d: last_idx %d first_idx %d subseq_idx %d \n", bt.frame, last, first, next)
		}
		if last < 0 {
			return e.markArgs(st)
		}
		hist := len(st.History)
		for i := last; ; {
			if skip {
				skip = false
			} else if err := e.stepBack(i, next, entryOf(st, hist, i)); err != nil {
				if err != errFallback {
					return changed, err
				}
				e.forcePrecise(start)
				bt.reset()
				return changed, nil
			}
			if bt.empty() {
				return changed, nil
			}
			next = i
			prev, more := prevInsnOf(st, i, &hist)
			if !more {
				break
			}
			if i = prev; i < 0 || i >= len(e.slots) {
				return changed, e.confused("backtracking idx %d", i)
			}
		}
		if st = st.Parent; st == nil {
			break
		}
		if e.markState(st) {
			changed = true
		}
		if bt.empty() {
			return changed, nil
		}
		next = first
		last, first = st.LastInsn, st.FirstInsn
	}
	if !bt.empty() {
		e.forcePrecise(start)
		bt.reset()
	}
	return changed, nil
}

// confused is for what cannot be unless this package has a fault.
func (e *env) confused(format string, args ...any) error {
	e.bt.reset()
	return e.reject(errno.EFAULT, "verifier bug: "+format, args...)
}

// markArgs ends a backtrack at the entry of a global function, whose arguments may be
// anything.
func (e *env) markArgs(st *state.State) (changed bool, err error) {
	bt, f := &e.bt, st.Frames[0]
	if len(st.Frames) != 1 || f.Subprog == 0 || f.Callsite != state.MainFunc || bt.slots[bt.frame] != 0 || bt.regs[bt.frame]&^argMask != 0 {
		return false, e.confused("backtracking func entry subprog %d reg_mask %x stack_mask %x", f.Subprog, bt.regs[bt.frame], bt.slots[bt.frame])
	}
	for m := bt.regs[bt.frame]; m != 0; m &= m - 1 {
		if r := &f.Regs[bits.TrailingZeros16(m)]; r.Type == state.ScalarValue {
			r.Precise, changed = true, true
		}
	}
	bt.reset()
	return changed, nil
}

// markState marks a kept state. What is marked already was followed from there
// before.
func (e *env) markState(st *state.State) (changed bool) {
	bt := &e.bt
	for n := bt.frame; n >= 0; n-- {
		f := st.Frames[n]
		for m := bt.regs[n]; m != 0; m &= m - 1 {
			i := bits.TrailingZeros16(m)
			if r := &f.Regs[i]; r.Type != state.ScalarValue || r.Precise {
				bt.regs[n] &^= 1 << i
			} else {
				r.Precise, changed = true, true
			}
		}
		for m := bt.slots[n]; m != 0; m &= m - 1 {
			i := bits.TrailingZeros64(m)
			if i >= len(f.Stack) || !f.Stack[i].IsSpilledScalar() || f.Stack[i].Spilled.Precise {
				bt.slots[n] &^= 1 << i
			} else {
				f.Stack[i].Spilled.Precise, changed = true, true
			}
		}
		if e.log.verbose() {
			e.log.printf("mark_precise: frame%d: parent state regs=%s stack=%s: %s\n", n,
				regMaskText(bt.regs[n]), cfg.MaskText(bt.slots[n]), st.Text(n, state.All))
		}
	}
	return changed
}

// forcePrecise marks all numbers on the way to a state (mark_all_scalars_precise).
func (e *env) forcePrecise(st *state.State) {
	verbose := e.log.verbose()
	if verbose {
		e.log.printf("mark_precise: frame%d: falling back to forcing all scalars precise\n", len(st.Frames)-1)
	}
	for st = st.Parent; st != nil; st = st.Parent {
		for n, f := range st.Frames {
			for i := range f.Regs[:10] {
				if r := &f.Regs[i]; r.Type == state.ScalarValue && !r.Precise {
					r.Precise = true
					if verbose {
						e.log.printf("force_precise: frame%d: forcing r%d to be precise\n", n, i)
					}
				}
			}
			for i := range f.Stack {
				if sl := &f.Stack[i]; sl.IsSpilledScalar() && !sl.Spilled.Precise {
					sl.Spilled.Precise = true
					if verbose {
						e.log.printf("force_precise: frame%d: forcing fp%d to be precise\n", n, -(i+1)*state.RegSize)
					}
				}
			}
		}
	}
}

// entryOf is the history's entry for an instruction, nil for none. n entries are not
// yet followed.
func entryOf(st *state.State, n, insn int) *state.Jump {
	if n > 0 && st.History[n-1].Insn == insn {
		return &st.History[n-1]
	}
	return nil
}

// prevInsnOf is the instruction before one in the history of a state, false at its
// beginning.
func prevInsnOf(st *state.State, i int, n *int) (int, bool) {
	if i == st.FirstInsn && (*n == 0 || *n == 1 && st.History[0].Insn == i) {
		return 0, false
	}
	if *n > 0 && st.History[*n-1].Insn == i {
		*n--
		return st.History[*n].Prev, true
	}
	return i - 1, true
}

// logBack writes the instruction that is stepped over.
func (e *env) logBack(i int) {
	bt, s := &e.bt, &e.slots[i]
	e.log.printf("mark_precise: frame%d: regs=%s stack=%s before %d: %s\n", bt.frame,
		regMaskText(bt.regs[bt.frame]), cfg.MaskText(bt.slots[bt.frame]), i, disasm.Text(s.Raw, s.imm64, e.callText(s)))
}

// regMaskText lists registers as the kernel does: "r1,r6".
func regMaskText(m uint16) string {
	var b []byte
	for ; m != 0; m &= m - 1 {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(b, 'r')
		n := bits.TrailingZeros16(m)
		if n >= 10 {
			b = append(b, '1')
		}
		b = append(b, '0'+byte(n%10))
	}
	return string(b)
}
