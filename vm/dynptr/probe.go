package dynptr

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// target is the r3 bytes at offset r2 of the dynptr at r1, to be filled from r4:
// in one piece, or else nil.
func target(c *vm.CPU, args *[5]uint64) (s state, off, n uint32, dst []byte, whole bool, err error) {
	if s, err = load(c, "R1", args[0]); err != nil {
		return
	}
	off, n = uint32(args[1]), uint32(args[2])
	if s.isReadOnly() {
		return
	}
	addr, err := s.slice(c, off, 0, n)
	if err != nil || addr == 0 {
		return s, off, n, nil, false, err
	}
	dst, err = c.Write("R1", addr, n)
	return s, off, n, dst, true, err
}

// probe reads any address into a dynptr.
func probe(read func(c *vm.CPU, addr uint64, dst []byte) errno.Errno) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		s, off, n, dst, whole, err := target(c, args)
		if err != nil {
			return 0, err
		}
		if whole {
			return read(c, args[3], dst).Neg(), nil
		}
		if e := s.check(off, n); e != 0 {
			return e.Neg(), nil
		}
		buf, err := scratch(c)
		if err != nil {
			return errno.ENOMEM.Neg(), nil
		}
		defer c.M.Mem.Free(buf, c.Site())
		for done := uint32(0); done < n; done += chunk {
			k := min(n-done, chunk)
			if e := read(c, args[3]+uint64(done), buf.Bytes()[:k]); e != 0 {
				return e.Neg(), nil
			}
			if r0, err := s.write(c, off+done, "R1", buf.Addr(), k, 0); err != nil || r0 != 0 {
				return r0, err
			}
		}
		return 0, nil
	}
}

// probeString reads a string at any address into a dynptr and returns its bytes,
// NUL included.
func probeString(read func(c *vm.CPU, addr uint64, dst []byte) (int, errno.Errno)) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		s, off, n, dst, whole, err := target(c, args)
		if err != nil {
			return 0, err
		}
		if whole {
			k, e := read(c, args[3], dst)
			return uint64(k) | e.Neg(), nil
		}
		if e := s.check(off, n); e != 0 {
			return e.Neg(), nil
		}
		buf, err := scratch(c)
		if err != nil {
			return errno.ENOMEM.Neg(), nil
		}
		defer c.M.Mem.Free(buf, c.Site())
		// Each chunk overwrites the NUL that ends the one before.
		done := uint32(0)
		for done < n {
			k := min(n-done, chunk)
			got, e := read(c, args[3]+uint64(done), buf.Bytes()[:k])
			if e != 0 {
				return e.Neg(), nil
			}
			if r0, err := s.write(c, off+done, "R1", buf.Addr(), uint32(got), 0); err != nil || r0 != 0 {
				return r0, err
			}
			if uint32(got) < k || k == 1 {
				return uint64(done) + uint64(got), nil
			}
			done += k - 1
		}
		return uint64(done), nil
	}
}
