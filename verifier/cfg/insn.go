package cfg

import (
	"fmt"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
)

// Insn is an instruction slot as this package sees it.
type Insn struct {
	link.Raw
	// Second marks the second half of a 64-bit load.
	Second bool
	// Call is the prototype of the helper or kfunc that is called, nil for none. Of one
	// that the program's type may not call only its name is looked at: not Allowed.
	Call    *kernel.Prototype
	Allowed bool
}

// Opcodes and their parts.
const (
	classMask = 0x07
	sizeMask  = 0x18
	modeMask  = 0xe0
	opMask    = 0xf0
	sourceX   = 0x08

	classLD    = 0x00
	classLDX   = 0x01
	classST    = 0x02
	classSTX   = 0x03
	classALU   = 0x04
	classJMP   = 0x05
	classJMP32 = 0x06
	classALU64 = 0x07

	modeIMM    = 0x00
	modeABS    = 0x20
	modeIND    = 0x40
	modeMEM    = 0x60
	modeMEMSX  = 0x80
	modeAtomic = 0xc0

	aluNeg = 0x80
	aluMov = 0xb0
	aluEnd = 0xd0

	jmpJA    = 0x00
	jmpCall  = 0x80
	jmpExit  = 0x90
	jmpMayGo = 0xe0

	opLoadImm64 = 0x18
	opCall      = classJMP | jmpCall
	opExit      = classJMP | jmpExit
	opJA        = classJMP | jmpJA
	opJAL       = classJMP32 | jmpJA
	opMayGoto   = classJMP | jmpMayGo

	pseudoCall  = 1
	pseudoKfunc = 2
	pseudoFunc  = 4

	tailCall = 12 // BPF_FUNC_tail_call
)

// Fault is what is wrong with a program, in the kernel's words.
type Fault struct {
	Errno errno.Errno
	// Insn is where, -1 for nowhere.
	Insn int
	Text string
}

// Error is the fault in one line.
func (f *Fault) Error() string { return f.Text }

func fault(no errno.Errno, insn int, format string, args ...any) *Fault {
	return &Fault{Errno: no, Insn: insn, Text: fmt.Sprintf(format, args...)}
}

func (in *Insn) class() uint8 { return in.Op & classMask }

func (in *Insn) isJump() bool { return in.class() == classJMP || in.class() == classJMP32 }

// isFuncAddr reports whether in loads the address of a function of the program.
func (in *Insn) isFuncAddr() bool { return in.Op == opLoadImm64 && in.Src == pseudoFunc }

// isPseudoCall reports whether in calls a function of the program.
func (in *Insn) isPseudoCall() bool { return in.Op == opCall && in.Src == pseudoCall }

// isTailCall reports whether in is bpf_tail_call.
func (in *Insn) isTailCall() bool { return in.Op == opCall && in.Src == 0 && in.Imm == tailCall }

// has reports whether in calls a helper or kfunc with all the given properties.
func (in *Insn) has(f kernel.Flags) bool {
	return in.Op == opCall && in.Call != nil && in.Call.Flags.Has(f)
}

// callsBack reports whether in calls a function that calls one of the program back
// before it returns; async, that it does so later.
func (in *Insn) callsBack() (sync, async bool) {
	if in.Op != opCall || in.Call == nil || in.Call.Callback == nil {
		return false, false
	}
	return !in.Call.Callback.Async, in.Call.Callback.Async
}

// size is how many slots the instruction has.
func (in *Insn) size() int {
	if in.Op == opLoadImm64 {
		return 2
	}
	return 1
}

// jumpOffset is the distance of a jump.
func (in *Insn) jumpOffset() int {
	if in.Op == opJAL {
		return int(in.Imm)
	}
	return int(in.Off)
}

// successors are the instructions that may be next in the same function. A call
// comes back.
func successors(insns []Insn, i int) (next [2]int, n int) {
	in := &insns[i]
	falls, jumps := true, false
	if in.isJump() {
		switch in.Op & opMask {
		case jmpJA:
			falls, jumps = false, true
		case jmpCall:
		case jmpExit:
			falls = false
		default:
			jumps = true
		}
	}
	if falls {
		next[n] = i + in.size()
		n++
	}
	if jumps {
		next[n] = i + in.jumpOffset() + 1
		n++
	}
	return next, n
}
