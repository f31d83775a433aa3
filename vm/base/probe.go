package base

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

var probeFuncs = map[string]vm.Func{
	"bpf_probe_read_kernel":     probeRead,
	"bpf_probe_read_kernel_str": probeReadString,
	"bpf_probe_read_user":       probeNothing,
	"bpf_probe_read_user_str":   probeNothing,
}

// probeRead copies r2 bytes from r3, whatever r3 is, to r1: EFAULT and zeroes
// where they cannot be read.
func probeRead(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	if len(dst) > 0 && !read(guest{c.M.Mem}, args[2], dst) {
		clear(dst)
		return errno.EFAULT.Neg(), nil
	}
	return 0, nil
}

// probeReadString copies a string likewise and returns its bytes, NUL included.
func probeReadString(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	if len(dst) == 0 {
		return 0, nil
	}
	n, ok := readString(guest{c.M.Mem}, args[2], dst)
	if !ok {
		clear(dst)
		return errno.EFAULT.Neg(), nil
	}
	return uint64(n), nil
}

// probeNothing reads user memory, of which the idle task has none.
func probeNothing(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	if len(dst) == 0 {
		return 0, nil
	}
	clear(dst)
	return errno.EFAULT.Neg(), nil
}
