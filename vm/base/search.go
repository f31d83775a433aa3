package base

import (
	"math"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

var searchFuncs = map[string]vm.Func{
	"bpf_strlen":    func(c *vm.CPU, a *[5]uint64) (uint64, error) { return length(c, a[0], math.MaxUint64) },
	"bpf_strnlen":   func(c *vm.CPU, a *[5]uint64) (uint64, error) { return length(c, a[0], a[1]) },
	"bpf_strchr":    func(c *vm.CPU, a *[5]uint64) (uint64, error) { return find(c, a[0], math.MaxUint64, byte(a[1])) },
	"bpf_strnchr":   func(c *vm.CPU, a *[5]uint64) (uint64, error) { return find(c, a[0], a[1], byte(a[2])) },
	"bpf_strchrnul": findOrEnd,
	"bpf_strrchr":   findLast,
	"bpf_strspn":    func(c *vm.CPU, a *[5]uint64) (uint64, error) { return prefix(c, a, true) },
	"bpf_strcspn":   func(c *vm.CPU, a *[5]uint64) (uint64, error) { return prefix(c, a, false) },
	"bpf_strstr":    func(c *vm.CPU, a *[5]uint64) (uint64, error) { return findText(c, a[0], a[1], maxString) },
	"bpf_strnstr":   func(c *vm.CPU, a *[5]uint64) (uint64, error) { return findText(c, a[0], a[1], a[2]) },
}

// walk calls f with the characters of the string at addr, at most limit, until
// it returns true, and gives back its result; atLimit is the result when limit
// characters have passed.
func walk(c *vm.CPU, addr, limit uint64, f func(i int, ch byte) (uint64, bool), atLimit func(i int) uint64) (uint64, error) {
	s, e := textAt(c, addr)
	if e != 0 {
		return e.Neg(), nil
	}
	for i := range int(min(limit, maxString)) {
		ch, ok := s.at(i)
		if !ok {
			return errno.EFAULT.Neg(), nil
		}
		if r, done := f(i, ch); done {
			return r, nil
		}
	}
	if limit >= maxString {
		return errno.E2BIG.Neg(), nil
	}
	return atLimit(int(limit)), nil
}

func length(c *vm.CPU, addr, limit uint64) (uint64, error) {
	return walk(c, addr, limit,
		func(i int, ch byte) (uint64, bool) { return uint64(i), ch == 0 },
		func(i int) uint64 { return uint64(i) })
}

func find(c *vm.CPU, addr, limit uint64, want byte) (uint64, error) {
	return walk(c, addr, limit, func(i int, ch byte) (uint64, bool) {
		if ch == want {
			return uint64(i), true
		}
		return errno.ENOENT.Neg(), ch == 0
	}, func(int) uint64 { return errno.ENOENT.Neg() })
}

func findOrEnd(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return walk(c, args[0], math.MaxUint64, func(i int, ch byte) (uint64, bool) {
		return uint64(i), ch == 0 || ch == byte(args[1])
	}, nil)
}

// findLast compares with the whole int that it is given.
func findLast(c *vm.CPU, args *[5]uint64) (uint64, error) {
	last := errno.ENOENT.Neg()
	return walk(c, args[0], math.MaxUint64, func(i int, ch byte) (uint64, bool) {
		if int32(ch) == int32(args[1]) {
			last = uint64(i)
		}
		return last, ch == 0
	}, nil)
}

// prefix is the length of the start of r1 that has only characters of r2, or
// only others.
func prefix(c *vm.CPU, args *[5]uint64, accept bool) (uint64, error) {
	s, set, e := texts(c, args[0], args[1])
	if e != 0 {
		return e.Neg(), nil
	}
	for i := range maxString {
		ch, ok := s.at(i)
		if !ok {
			return errno.EFAULT.Neg(), nil
		}
		if ch == 0 {
			return uint64(i), nil
		}
		in, e := set.has(ch)
		if e != 0 {
			return e.Neg(), nil
		}
		if in != accept {
			return uint64(i), nil
		}
	}
	return errno.E2BIG.Neg(), nil
}

// has looks for ch in the string.
func (t text) has(ch byte) (bool, errno.Errno) {
	for i := range maxString {
		c, ok := t.at(i)
		switch {
		case !ok:
			return false, errno.EFAULT
		case c == ch && c != 0:
			return true, 0
		case c == 0:
			return false, 0
		}
	}
	return false, errno.E2BIG
}

// findText looks for the string at needle within the first limit characters of
// the one at hay.
func findText(c *vm.CPU, hay, needle, limit uint64) (uint64, error) {
	s1, s2, e := texts(c, hay, needle)
	if e != 0 {
		return e.Neg(), nil
	}
	for i := range maxString {
		j := 0
	compare:
		for ; uint64(i+j) <= limit && j < maxString; j++ {
			c2, ok := s2.at(j)
			if !ok {
				return errno.EFAULT.Neg(), nil
			}
			if c2 == 0 {
				return uint64(i), nil
			}
			if uint64(i+j) == limit {
				break
			}
			c1, ok := s1.at(i + j)
			switch {
			case !ok:
				return errno.EFAULT.Neg(), nil
			case c1 == 0:
				return errno.ENOENT.Neg(), nil
			case c1 != c2:
				break compare
			}
		}
		if j == maxString {
			return errno.E2BIG.Neg(), nil
		}
		if uint64(i+j) == limit {
			return errno.ENOENT.Neg(), nil
		}
	}
	return errno.E2BIG.Neg(), nil
}
