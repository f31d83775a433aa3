package dynptr

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// read copies r2 bytes at offset r4 of the dynptr at r3 to r1.
func read(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s, err := load(c, "R3", args[2])
	if err != nil {
		return 0, err
	}
	return s.read(c, "R1", args[0], uint32(args[1]), uint32(args[3]), args[4])
}

// write copies r4 bytes at r3 to offset r2 of the dynptr at r1.
func write(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s, err := load(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	return s.write(c, uint32(args[1]), "R3", args[2], uint32(args[3]), args[4])
}

// data is the address of r3 bytes at offset r2 of the dynptr at r1, NULL for one
// of a packet, whose bytes need not lie in one piece.
func data(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s, err := load(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	off, n := uint32(args[1]), uint32(args[2])
	if s.isNull() || s.isReadOnly() || s.check(off, n) != 0 || (s.kind() != local && s.kind() != ringbuf) {
		return 0, nil
	}
	return s.pointer(c, off, n)
}

// slice is the address of r4 bytes at offset r2 of the dynptr at r1. Bytes that
// are not in one piece are copied to r3, if that is not NULL.
func slice(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s, err := load(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	return s.slice(c, uint32(args[1]), args[2], uint32(args[3]))
}

func sliceWritable(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s, err := load(c, "R1", args[0])
	if err != nil || s.isReadOnly() {
		return 0, err
	}
	return s.slice(c, uint32(args[1]), args[2], uint32(args[3]))
}

func (s state) slice(c *vm.CPU, off uint32, buffer uint64, n uint32) (uint64, error) {
	if s.isNull() || s.check(off, n) != 0 {
		return 0, nil
	}
	addr, err := s.pointer(c, off, n)
	if addr != 0 || err != nil || buffer == 0 {
		return addr, err
	}
	dst, err := c.Write("R3", buffer, n)
	if err != nil {
		return 0, err
	}
	p, err := s.packet(c)
	if err != nil || !p.LoadBytes(s.off+off, dst) {
		return 0, err
	}
	return buffer, nil
}

// chunk is how many bytes at a time go between dynptrs that are both in pieces.
const chunk = 256

// scratch is a buffer of the machine's for the time of one call.
func scratch(c *vm.CPU) (*vm.Object, error) {
	return c.M.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindScratch, Name: "dynptr buffer", Size: chunk})
}

// copyBetween copies r5 bytes from offset r4 of the dynptr at r3 to offset r2 of
// the one at r1.
func copyBetween(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := load(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	src, err := load(c, "R3", args[2])
	if err != nil {
		return 0, err
	}
	dstOff, srcOff, n := uint32(args[1]), uint32(args[3]), uint32(args[4])
	from, err := src.slice(c, srcOff, 0, n)
	if err != nil {
		return 0, err
	}
	to := uint64(0)
	if !dst.isReadOnly() {
		if to, err = dst.slice(c, dstOff, 0, n); err != nil {
			return 0, err
		}
	}
	switch {
	case from != 0 && to != 0:
		return 0, move(c, "R1", to, "R3", from, n)
	case from != 0:
		return dst.write(c, dstOff, "R3", from, n, 0)
	case to != 0:
		return src.read(c, "R1", to, n, srcOff, 0)
	case dst.check(dstOff, n) != 0 || src.check(srcOff, n) != 0:
		return errno.E2BIG.Neg(), nil
	}
	buf, err := scratch(c)
	if err != nil {
		return errno.ENOMEM.Neg(), nil
	}
	defer c.M.Mem.Free(buf, c.Site())
	for done := uint32(0); done < n; done += chunk {
		k := min(n-done, chunk)
		if r0, err := src.read(c, "R3", buf.Addr(), k, srcOff+done, 0); err != nil || r0 != 0 {
			return r0, err
		}
		if r0, err := dst.write(c, dstOff+done, "R1", buf.Addr(), k, 0); err != nil || r0 != 0 {
			return r0, err
		}
	}
	return 0, nil
}

// fill sets r3 bytes at offset r2 of the dynptr at r1 to the byte in r4.
func fill(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s, err := load(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	off, n, v := uint32(args[1]), uint32(args[2]), byte(args[3])
	if s.isReadOnly() {
		return errno.EINVAL.Neg(), nil
	}
	to, err := s.slice(c, off, 0, n)
	if err != nil {
		return 0, err
	}
	if to != 0 {
		b, err := c.Write("R1", to, n)
		set(b, v)
		return 0, err
	}
	if e := s.check(off, n); e != 0 {
		return e.Neg(), nil
	}
	buf, err := scratch(c)
	if err != nil {
		return errno.ENOMEM.Neg(), nil
	}
	defer c.M.Mem.Free(buf, c.Site())
	set(buf.Bytes(), v)
	for done := uint32(0); done < n; done += chunk {
		if r0, err := s.write(c, off+done, "R1", buf.Addr(), min(n-done, chunk), 0); err != nil || r0 != 0 {
			return r0, err
		}
	}
	return 0, nil
}

func set(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}
