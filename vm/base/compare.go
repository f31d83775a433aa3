package base

import (
	"github.com/bpfct/bpfct/internal/ctype"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

var compareFuncs = map[string]vm.Func{
	"bpf_strncmp":    strncmp,
	"bpf_strcmp":     func(c *vm.CPU, a *[5]uint64) (uint64, error) { return compareText(c, a, same) },
	"bpf_strcasecmp": func(c *vm.CPU, a *[5]uint64) (uint64, error) { return compareText(c, a, ctype.ToLower) },
}

func same(c byte) byte { return c }

func order(a, b byte) uint64 {
	if a < b {
		return ^uint64(0)
	}
	return 1
}

// strncmp compares the r2 bytes at r1 with the string at r3, which the verifier
// knows to end in a read-only map.
func strncmp(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s1, err := c.Read("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	for i, c1 := range s1 {
		s2, err := c.Read("R3", args[2]+uint64(i), 1)
		if err != nil {
			return 0, err
		}
		if c1 != s2[0] {
			return order(c1, s2[0]), nil
		}
		if c1 == 0 {
			break
		}
	}
	return 0, nil
}

// maxString is how many characters of a string the string kfuncs look at
// (XATTR_SIZE_MAX).
const maxString = 65536

// text is a string that a program gave a string kfunc: at any address.
type text struct{ b []byte }

// textAt is the memory at addr; ERANGE for an address that cannot be one of the
// kernel's. Another that cannot be read is found out when a character is wanted.
func textAt(c *vm.CPU, addr uint64) (text, errno.Errno) {
	b := guest{c.M.Mem}.span(addr, 2*maxString)
	if len(b) == 0 {
		if e := unreadable(c, addr); e == errno.ERANGE {
			return text{}, e
		}
	}
	return text{b}, 0
}

// at is the character at i; ok is false where the memory has ended.
func (t text) at(i int) (c byte, ok bool) {
	if i >= len(t.b) {
		return 0, false
	}
	return t.b[i], true
}

// texts is textAt for two strings, either of which may be at fault.
func texts(c *vm.CPU, a, b uint64) (s, t text, e errno.Errno) {
	if s, e = textAt(c, a); e != 0 {
		return
	}
	t, e = textAt(c, b)
	return
}

func compareText(c *vm.CPU, args *[5]uint64, fold func(byte) byte) (uint64, error) {
	s1, s2, e := texts(c, args[0], args[1])
	if e != 0 {
		return e.Neg(), nil
	}
	for i := range maxString {
		c1, ok1 := s1.at(i)
		c2, ok2 := s2.at(i)
		if !ok1 || !ok2 {
			return errno.EFAULT.Neg(), nil
		}
		if c1, c2 = fold(c1), fold(c2); c1 != c2 {
			return order(c1, c2), nil
		}
		if c1 == 0 {
			return 0, nil
		}
	}
	return errno.E2BIG.Neg(), nil
}
