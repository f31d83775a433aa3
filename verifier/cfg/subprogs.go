package cfg

import (
	"slices"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
)

// Subprog is a function of the program: the slots [Start, End).
type Subprog struct {
	Name       string
	Start, End int
	// Func is its BTF, nil without.
	Func *btf.Func
	// HasTailCall, HasLegacyLoad, ChangesPacket and MightSleep say what the function
	// does; the last two count what it calls.
	HasTailCall, HasLegacyLoad, ChangesPacket, MightSleep bool
}

// MaxSubprogs is how many functions a program may have.
const MaxSubprogs = 256

// Split finds the functions of a program: the entry, and what is called or whose
// address is taken. exception is the start of the exception callback, 0 for none.
// kfunc is asked about each call of a kfunc.
func Split(insns []Insn, exception int, kfunc func(i int) error) ([]Subprog, error) {
	starts := []int{0}
	add := func(i, at int) error {
		if at < 0 || at >= len(insns) {
			return fault(errno.EINVAL, i, "call to invalid destination")
		}
		k, found := slices.BinarySearch(starts, at)
		if found {
			return nil
		}
		if len(starts) >= MaxSubprogs {
			return fault(errno.E2BIG, i, "too many subprograms")
		}
		starts = slices.Insert(starts, k, at)
		return nil
	}
	for i := range insns {
		in := &insns[i]
		var err error
		switch {
		case in.isFuncAddr(), in.isPseudoCall():
			err = add(i, i+int(in.Imm)+1)
		case in.Op == opCall && in.Src == pseudoKfunc:
			err = kfunc(i)
		}
		if err != nil {
			return nil, err
		}
	}
	if exception != 0 {
		if err := add(-1, exception); err != nil {
			return nil, err
		}
	}
	subs := make([]Subprog, len(starts))
	for i, at := range starts {
		subs[i].Start, subs[i].End = at, len(insns)
		if i > 0 {
			subs[i-1].End = at
		}
	}
	return subs, nil
}

// CheckJumps checks that jumps stay in their function and that no function runs into
// the next one, and notes what each does.
func CheckJumps(insns []Insn, subs []Subprog) error {
	for k := range subs {
		s := &subs[k]
		for i := s.Start; i < s.End; i++ {
			in := &insns[i]
			if in.isTailCall() {
				s.HasTailCall = true
			}
			if mode := in.Op & modeMask; in.class() == classLD && (mode == modeABS || mode == modeIND) {
				s.HasLegacyLoad = true
			}
			if in.isJump() {
				switch in.Op & opMask {
				case jmpCall, jmpExit:
				default:
					if to := i + in.jumpOffset() + 1; to < s.Start || to >= s.End {
						return fault(errno.EINVAL, i, "jump out of range from insn %d to %d", i, to)
					}
				}
			}
			if i == s.End-1 && in.Op != opExit && in.Op != opJA && in.Op != opJAL {
				return fault(errno.EINVAL, i, "last insn is not an exit or jmp")
			}
		}
	}
	return nil
}

// Find is the function that begins at a slot, -1 for none.
func Find(subs []Subprog, start int) int {
	k, found := slices.BinarySearchFunc(subs, start, func(s Subprog, at int) int { return s.Start - at })
	if !found {
		return -1
	}
	return k
}

// Containing is the function that slot i belongs to.
func Containing(subs []Subprog, i int) int {
	k, found := slices.BinarySearchFunc(subs, i, func(s Subprog, at int) int { return s.Start - at })
	if !found {
		k--
	}
	return k
}
