package base

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

var probeFuncs = map[string]vm.Func{
	"bpf_probe_read_kernel":     probeRead,
	"bpf_probe_read_kernel_str": probeReadString,
	"bpf_probe_read_user":       probeUser,
	"bpf_probe_read_user_str":   probeUserString,
}

// probeRead copies r2 bytes from r3, whatever r3 is, to r1: an errno and zeroes
// where they cannot be read.
func probeRead(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	return cleared(dst, ReadKernel(c, args[2], dst)), nil
}

// probeReadString copies a string likewise and returns its bytes, NUL included.
func probeReadString(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	n, e := ReadKernelString(c, args[2], dst)
	return uint64(n) | cleared(dst, e), nil
}

// probeUser and probeUserString do the same with user memory.

func probeUser(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	return cleared(dst, ReadUser(c, args[2], dst)), nil
}

func probeUserString(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	n, e := ReadUserString(c, args[2], dst)
	return uint64(n) | cleared(dst, e), nil
}

// userEnd is the end of the addresses of user memory.
const userEnd = 1<<47 - 4096

// cleared is what a helper returns for e; what it was to fill is zero if there
// is one.
func cleared(dst []byte, e errno.Errno) uint64 {
	if e != 0 {
		vm.Clear(dst)
	}
	return e.Neg()
}
