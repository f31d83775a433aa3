package dynptr

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// fromMem makes a dynptr of the r2 bytes at r1 at r4; r3 is 0.
func fromMem(c *vm.CPU, args *[5]uint64) (uint64, error) {
	size := uint32(args[1])
	if _, err := c.Write("R1", args[0], size); err != nil {
		return 0, err
	}
	var e errno.Errno
	switch {
	case size > maxSize:
		e = errno.E2BIG
	case args[2] != 0:
		e = errno.EINVAL
	}
	return result(c, "R4", args[3], makeState(args[0], local, size), e)
}

// reserve makes a dynptr of a sample of r2 bytes of the ring buffer r1 at r4.
func reserve(c *vm.CPU, args *[5]uint64) (uint64, error) {
	size := uint32(args[1])
	if args[2] != 0 {
		return result(c, "R4", args[3], state{}, errno.EINVAL)
	}
	if size > maxSize {
		return result(c, "R4", args[3], state{}, errno.E2BIG)
	}
	sample, err := helper(c, "bpf_ringbuf_reserve", args[0], uint64(size), 0)
	if err != nil {
		return 0, err
	}
	if sample == 0 {
		return result(c, "R4", args[3], state{}, errno.EINVAL)
	}
	return result(c, "R4", args[3], makeState(sample, ringbuf, size), 0)
}

// finish submits or discards the sample of the dynptr at r1, which is null then.
func finish(how string) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		s, err := load(c, "R1", args[0])
		if err != nil || s.isNull() {
			return 0, err
		}
		if s.kind() != ringbuf {
			return 0, c.Fault(vm.BadArgument, "R1", "the dynptr is not of a ring buffer")
		}
		if _, err := helper(c, how, s.data, args[1]); err != nil {
			return 0, err
		}
		return result(c, "R1", args[0], state{}, 0)
	}
}

// fromPacket makes a dynptr of the packet in r1 at r3; r2 is 0.
func fromPacket(k kind) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		p, _, err := vm.OwnerAt[Packet](c, "R1", args[0])
		if err != nil {
			return 0, err
		}
		var e errno.Errno
		if args[1] != 0 {
			e = errno.EINVAL
		}
		size := p.Len()
		if k == skbMeta {
			_, size = p.Meta()
		}
		return result(c, "R3", args[2], makeState(args[0], k, size), e)
	}
}

// clone copies the dynptr at r1 to r2.
func clone(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s, err := load(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	var e errno.Errno
	if s.isNull() {
		e = errno.EINVAL
	}
	return result(c, "R2", args[1], s, e)
}

// adjust narrows the dynptr at r1 to the bytes from r2 up to r3.
func adjust(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s, err := load(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	start, end := uint32(args[1]), uint32(args[2])
	switch {
	case s.isNull() || start > end:
		return errno.EINVAL.Neg(), nil
	case start > s.size() || end > s.size():
		return errno.ERANGE.Neg(), nil
	}
	s.off += start
	s.word = s.word&^maxSize | (end - start)
	return 0, store(c, "R1", args[0], s)
}

// ask answers a question about the dynptr at r1.
func ask(f func(s state) uint64) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		s, err := load(c, "R1", args[0])
		if err != nil {
			return 0, err
		}
		return f(s), nil
	}
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// sizeOf is the size, or EINVAL negated as the 32 bits that the function returns.
func sizeOf(s state) uint64 {
	if s.isNull() {
		return uint64(uint32(errno.EINVAL.Neg()))
	}
	return uint64(s.size())
}
