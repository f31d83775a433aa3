package base

import (
	"bytes"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// memory reads without faulting, as the kernel's copy_from_kernel_nofault does.
type memory interface {
	// span is the bytes at addr up to the end of what is readable there, at most
	// limit; empty for an address that cannot be read.
	span(addr uint64, limit int) []byte
}

// guest is the guest memory of a machine as the kernel's own code sees it: the
// elements of an array lie side by side.
type guest struct{ mem *vm.Memory }

func (g guest) span(addr uint64, limit int) []byte {
	o := g.mem.Find(addr)
	if o == nil || !o.Live() {
		return nil
	}
	off := uint64(uint32(addr) - o.Base)
	lo, hi := o.Window()
	if off < uint64(lo) || off >= uint64(hi) {
		return nil
	}
	b := o.Bytes()[off:hi]
	return b[:min(len(b), limit)]
}

// firstKernelAddress is the lowest address that the kernel's memory can have
// (x86-64 with four levels of page tables).
const firstKernelAddress = 0xffff_8000_0000_0000

// unreadable says why a program cannot read at addr: ERANGE for an address that
// cannot be one of the kernel's, EFAULT for one that nothing is at. Guest
// addresses are kernel addresses as long as they belong to something.
func unreadable(c *vm.CPU, addr uint64) errno.Errno {
	if addr < firstKernelAddress && c.M.Mem.Find(addr) == nil {
		return errno.ERANGE
	}
	return errno.EFAULT
}

// read fills dst from addr, or reports false.
func read(m memory, addr uint64, dst []byte) bool {
	src := m.span(addr, len(dst))
	if len(src) < len(dst) {
		return false
	}
	vm.Copy(dst, src)
	return true
}

// readString copies the string at addr to dst, NUL included and cut to the room
// there, and returns how many bytes that were; ok is false where the string
// leaves readable memory before its end or the end of dst.
func readString(m memory, addr uint64, dst []byte) (n int, ok bool) {
	src := m.span(addr, len(dst))
	if i := bytes.IndexByte(src, 0); i >= 0 {
		return vm.Copy(dst, src[:i+1]), true
	}
	if len(src) < len(dst) || len(dst) == 0 {
		return 0, false
	}
	vm.Copy(dst, src)
	dst[len(dst)-1] = 0
	return len(dst), true
}
