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
	if read(guest{c.M.Mem}, args[2], dst) && (len(dst) > 0 || c.M.Mem.Find(args[2]) != nil) {
		return 0, nil
	}
	e := unreadable(c, args[2])
	if len(dst) == 0 && e == errno.EFAULT {
		return 0, nil
	}
	clear(dst)
	return e.Neg(), nil
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
		return unreadable(c, args[2]).Neg(), nil
	}
	return uint64(n), nil
}

// userEnd is the end of the addresses of user memory.
const userEnd = 1<<47 - 4096

// probeUser reads user memory, of which the idle task has none: only nothing
// can be read there.
func probeUser(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	if len(dst) == 0 && args[2] < userEnd {
		return 0, nil
	}
	clear(dst)
	return errno.EFAULT.Neg(), nil
}

// probeUserString likewise, but it does not look at the address for nothing.
func probeUserString(c *vm.CPU, args *[5]uint64) (uint64, error) {
	if uint32(args[1]) == 0 {
		return 0, nil
	}
	return probeUser(c, args)
}
