package base

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// ReadKernel fills dst from addr, whatever addr is, or says why it cannot: ERANGE
// for an address that cannot be one of the kernel's, EFAULT for one that nothing
// is at.
func ReadKernel(c *vm.CPU, addr uint64, dst []byte) errno.Errno {
	if read(guest{c.M.Mem}, addr, dst) && (len(dst) > 0 || c.M.Mem.Find(addr) != nil) {
		return 0
	}
	if e := unreadable(c, addr); len(dst) > 0 || e != errno.EFAULT {
		return e
	}
	return 0
}

// ReadKernelString fills dst with the string at addr, cut to the room there is,
// and returns its bytes with the NUL. Where it cannot be read dst is the empty
// string.
func ReadKernelString(c *vm.CPU, addr uint64, dst []byte) (int, errno.Errno) {
	if len(dst) == 0 {
		return 0, 0
	}
	n, ok := readString(guest{c.M.Mem}, addr, dst)
	if !ok {
		e := unreadable(c, addr)
		if e == errno.EFAULT {
			dst[0] = 0
		}
		return 0, e
	}
	return n, 0
}

// ReadUser is ReadKernel for user memory, of which the idle task has none: only
// nothing can be read there.
func ReadUser(_ *vm.CPU, addr uint64, dst []byte) errno.Errno {
	if len(dst) == 0 && addr < userEnd {
		return 0
	}
	return errno.EFAULT
}

// ReadUserString is ReadKernelString for user memory.
func ReadUserString(_ *vm.CPU, _ uint64, dst []byte) (int, errno.Errno) {
	if len(dst) == 0 {
		return 0, 0
	}
	return 0, errno.EFAULT
}
