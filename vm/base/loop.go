package base

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// maxLoops is how many iterations bpf_loop and bpf_for may have (BPF_MAX_LOOPS).
const maxLoops = 8 << 20

var loopFuncs = map[string]vm.Func{"bpf_loop": loop}

// loop calls r2(i, r3) for i from 0 to r1-1 until it returns other than 0, and
// returns the number of calls. The verifier replaces the usual call, without
// flags, by code that compares all 64 bits of r1 with the limit, so they count.
func loop(c *vm.CPU, args *[5]uint64) (uint64, error) {
	n, callback, ctx, flags := args[0], args[1], args[2], args[3]
	if flags != 0 {
		return errno.EINVAL.Neg(), nil
	}
	if n > maxLoops {
		return errno.E2BIG.Neg(), nil
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
