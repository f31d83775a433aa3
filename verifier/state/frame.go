package state

import "slices"

// MaxFrames is how deep calls may nest.
const MaxFrames = 8

// Registers of a frame: r0 to r10.
const numRegs = 11

// RetRange bounds what a callback may return.
type RetRange struct {
	Min, Max int32
	// Exact32 compares the lower half only.
	Exact32 bool
}

// Frame is one function's registers and stack.
type Frame struct {
	Regs [numRegs]Reg
	// Callsite is the instruction that called the function; for the main program and
	// a callback see MainFunc.
	Callsite int
	// No is the frame's number, 0 the program's own.
	No int32
	// Subprog is the function.
	Subprog int
	// AsyncEntries counts the async callbacks on the way here.
	AsyncEntries uint32
	// CallbackRet bounds the return value of a callback.
	CallbackRet RetRange
	// InCallback, InAsyncCallback and InExceptionCallback say how the function was
	// entered.
	InCallback, InAsyncCallback, InExceptionCallback bool
	// CallbackDepth counts the iterations of a callback that were walked.
	CallbackDepth uint32
	// Stack has the slots from the frame pointer down, as far as they were touched.
	Stack []Slot
}

// MainFunc is the Callsite of a function that no call instruction entered.
const MainFunc = -1

// Clone copies f.
func (f *Frame) Clone() *Frame {
	c := *f
	c.Stack = slices.Clone(f.Stack)
	return &c
}

// Grow makes the stack at least n slots deep.
func (f *Frame) Grow(n int) {
	for len(f.Stack) < n {
		f.Stack = append(f.Stack, Slot{})
	}
}

// RefKind says what a program holds.
type RefKind uint8

// What a program can hold.
const (
	RefPtr        RefKind = iota // an object
	RefIRQ                       // saved interrupt flags
	RefLock                      // a bpf_spin_lock
	RefResLock                   // a bpf_res_spin_lock
	RefResLockIRQ                // one with interrupts off
)

// Ref is something that a program holds and owes.
type Ref struct {
	Kind RefKind
	// ID is what registers refer to it by.
	ID uint32
	// Insn is where it was acquired.
	Insn int
	// Ptr identifies what a lock lies in: a *Map, or a btf.Type.
	Ptr any
}

// State is everything at one instruction.
type State struct {
	Frames []*Frame
	// Refs is what the program holds, oldest first.
	Refs []Ref

	// ActiveLocks, PreemptLocks and RCULocks count open sections; IRQ is the ID of the
	// innermost saved interrupt flags, 0 for none. LockID and LockPtr identify the lock
	// that is held.
	ActiveLocks, PreemptLocks, RCULocks uint32
	IRQ, LockID                         uint32
	LockPtr                             any
	// InSleepable is set in a sleepable program or section.
	InSleepable bool
	// Speculative is set on a path that only a CPU's speculation takes.
	Speculative bool

	// FirstInsn and LastInsn bound the instructions since Parent.
	FirstInsn, LastInsn int
	// Insn is the instruction that the state stands before.
	Insn int
	// History has the jumps since Parent.
	History []Jump
	// Parent is the state that this one came from.
	Parent *State
	// Branches counts the paths from this state that are not yet walked to their end.
	Branches int
	// CallbackUnroll and MayGoto count iterations.
	CallbackUnroll, MayGoto uint32
	// Cleaned says that what no later instruction reads was taken out, Evicted that
	// nothing is compared with the state any more.
	Cleaned, Evicted bool
}

// Jump is a step that was not to the next instruction, or a stack access that a
// backtrack must know of.
type Jump struct {
	Insn, Prev int
	// StackFrame and StackSlot are set with StackAccess.
	StackAccess           bool
	StackFrame, StackSlot int
	// DstStack and SrcStack tell which operands of a conditional jump point into the
	// stack.
	DstStack, SrcStack bool
	// Linked are the registers and slots that a conditional jump changed by their ID.
	Linked []LinkedReg
}

// LinkedReg names a register or stack slot in a frame.
type LinkedReg struct {
	Frame  int
	IsReg  bool
	Number int // register, or slot
}

// InsnOf is the instruction that frame n stands at: the call of the next frame, and
// for the last one Insn.
func (s *State) InsnOf(n int) int {
	if n+1 < len(s.Frames) {
		return s.Frames[n+1].Callsite
	}
	return s.Insn
}

// Cur is the frame that executes.
func (s *State) Cur() *Frame { return s.Frames[len(s.Frames)-1] }

// Regs are the registers of the frame that executes.
func (s *State) Regs() *[numRegs]Reg { return &s.Cur().Regs }

// Clone copies s, except for its history, which starts anew from parent s where the
// caller links it.
func (s *State) Clone() *State {
	c := *s
	c.Frames = make([]*Frame, len(s.Frames), max(len(s.Frames), cap(s.Frames)))
	for i, f := range s.Frames {
		c.Frames[i] = f.Clone()
	}
	c.Refs = slices.Clone(s.Refs)
	c.History = slices.Clone(s.History)
	return &c
}

// FindRef returns the reference with the given ID.
func (s *State) FindRef(id uint32) (Ref, bool) {
	for _, r := range s.Refs {
		if r.Kind == RefPtr && r.ID == id {
			return r, true
		}
	}
	return Ref{}, false
}

// DropRef takes the reference with the given ID off the list, and reports whether it
// was there.
func (s *State) DropRef(id uint32) bool {
	for i, r := range s.Refs {
		if r.Kind == RefPtr && r.ID == id {
			s.Refs = slices.Delete(s.Refs, i, i+1)
			return true
		}
	}
	return false
}

// EachReg calls f for every register, in registers and in stack slots, of all
// frames. slot is nil for a register.
func (s *State) EachReg(f func(frame *Frame, r *Reg, slot *Slot)) {
	for _, fr := range s.Frames {
		for i := range fr.Regs {
			f(fr, &fr.Regs[i], nil)
		}
		for i := range fr.Stack {
			if sl := &fr.Stack[i]; sl.IsSpilled() {
				f(fr, &sl.Spilled, sl)
			}
		}
	}
}
