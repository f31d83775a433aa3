package base

import (
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// maxLoops is how many iterations bpf_loop and bpf_for may have (BPF_MAX_LOOPS).
const maxLoops = 8 << 20

var loopFuncs = map[string]vm.Func{"bpf_loop": loop}

// loop calls r2(i, r3) for i from 0 to r1-1 until it returns other than 0, and
// returns the number of calls.
func loop(c *vm.CPU, args *[5]uint64) (uint64, error) {
	n, callback, ctx, flags := args[0], args[1], args[2], args[3]
	if flags != 0 {
		return errno.EINVAL.Neg(), nil
	}
	if n > maxLoops {
		if inlined(c) {
			return uint64(uint32(errno.E2BIG.Neg())), nil
		}
		if n = uint64(uint32(n)); n > maxLoops {
			return errno.E2BIG.Neg(), nil
		}
	}
	for i := range n {
		r0, err := c.Call(callback, i, ctx)
		if err != nil {
			return 0, err
		}
		if r0 != 0 {
			return i + 1, nil
		}
	}
	return n, nil
}

// inlined reports whether the kernel's verifier replaces this call of bpf_loop by
// instructions, which it does where r4 is known to be 0. These compare all 64
// bits of r1 with the limit and set only the lower half of r0 to E2BIG negated.
func inlined(c *vm.CPU) bool {
	for i := c.Insn - 1; i >= 0; i-- {
		in := c.Prog.Insns[i]
		op := asm.OpCode(in.Op)
		switch op.Class() {
		case asm.JumpClass, asm.Jump32Class:
			return false
		case asm.ALUClass, asm.ALU64Class, asm.LdClass, asm.LdXClass:
			if in.Dst == uint8(asm.R4) {
				return op.Class().IsALU() && op.ALUOp() == asm.Mov && op.Source() == asm.ImmSource && in.Imm == 0
			}
		}
	}
	return false
}
