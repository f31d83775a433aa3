// Package errno has the error numbers of Linux on every operating system.
//
// bpfct answers as Linux does also where it runs on Darwin or Windows, whose
// own numbers differ. An Errno is an error; errors.Is matches it to itself and
// to the host's syscall.Errno of the same name, so that a caller may write
// errors.Is(err, unix.EEXIST) as with a real kernel.
package errno

import (
	"strconv"
	"syscall"
)

// Errno is a Linux error number, positive as in <errno.h>.
type Errno uint32

// Error is the name and the usual text: "EEXIST: file exists".
func (e Errno) Error() string {
	if n, ok := names[e]; ok {
		return n + ": " + texts[e]
	}
	return e.Name()
}

// Name is the symbolic name, "EEXIST", or "errno N" for a number without one.
func (e Errno) Name() string {
	if n, ok := names[e]; ok {
		return n
	}
	return "errno " + strconv.FormatUint(uint64(e), 10)
}

// Neg is the value that a kernel function returns for e: -e as a signed
// 64-bit number in a register.
func (e Errno) Neg() uint64 { return uint64(-int64(e)) }

// Is reports whether target is e, or the host's number of the same name.
func (e Errno) Is(target error) bool {
	switch t := target.(type) {
	case Errno:
		return t == e
	case syscall.Errno:
		h, ok := host[e]
		return ok && h == t
	}
	return false
}
