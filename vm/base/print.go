package base

import (
	"bytes"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

var printFuncs = map[string]vm.Func{
	"bpf_trace_printk":        tracePrintk,
	"bpf_trace_vprintk":       traceVprintk,
	"bpf_snprintf":            snprintf,
	"bpf_stream_vprintk_impl": streamVprintk,
}

// maxFormat bounds a format string without a length, which the verifier knows to
// end within a map value.
const maxFormat = 1 << 20

// format prints the format string with the arguments into at most size bytes and
// returns them and the length that the whole text has.
func format(mem memory, format []byte, args []uint64, size int) ([]byte, int, errno.Errno) {
	end := bytes.IndexByte(format, 0)
	if end < 0 {
		return nil, 0, errno.EINVAL
	}
	format = format[:end]
	pack := packer{mem: mem, args: args}
	if e := pack.pack(format); e != 0 {
		return nil, 0, e
	}
	p := printer{size: size, args: pack.out}
	p.print(format)
	return p.out, p.n, 0
}

// printArgs reads the n bytes of arguments at addr, which the program gave in
// register reg.
func printArgs(c *vm.CPU, reg string, addr uint64, n uint32) ([]uint64, errno.Errno, error) {
	if n%8 != 0 || n > maxPrintArgs*8 || (n != 0 && addr == 0) {
		return nil, errno.EINVAL, nil
	}
	b, err := c.Read(reg, addr, n)
	if err != nil {
		return nil, 0, err
	}
	args := make([]uint64, n/8)
	for i := range args {
		args[i] = le.Uint64(b[8*i:])
	}
	return args, 0, nil
}

// trace prints to the run's trace and returns the text's length.
func trace(c *vm.CPU, formatAddr uint64, formatSize uint32, args []uint64) (uint64, error) {
	f, err := c.Read("R1", formatAddr, formatSize)
	if err != nil {
		return 0, err
	}
	n, e := traceLine(c, f, args)
	if e != 0 {
		return e.Neg(), nil
	}
	return uint64(n), nil
}

// traceLine adds a line to the run's trace and returns the text's length.
func traceLine(c *vm.CPU, f []byte, args []uint64) (int, errno.Errno) {
	out, n, e := format(guest{c.M.Mem}, f, args, maxTraceLine)
	if e != 0 {
		return 0, e
	}
	// A trace line ends at its first NUL, and the last byte of the buffer is one.
	out = out[:min(len(out), maxTraceLine-1)]
	if i := bytes.IndexByte(out, 0); i >= 0 {
		out = out[:i]
	}
	c.Trace = append(c.Trace, string(out))
	return n, 0
}

// tracePrintk prints the format of r2 bytes at r1 with up to three arguments.
func tracePrintk(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return trace(c, args[0], uint32(args[1]), args[2:5])
}

// traceVprintk is tracePrintk with an array of arguments: r4 bytes at r3.
func traceVprintk(c *vm.CPU, args *[5]uint64) (uint64, error) {
	list, e, err := printArgs(c, "R3", args[2], uint32(args[3]))
	if err != nil {
		return 0, err
	}
	if e != 0 {
		return e.Neg(), nil
	}
	return trace(c, args[0], uint32(args[1]), list)
}

// snprintf prints to the r2 bytes at r1 the format at r3 with r5 bytes of
// arguments at r4, and returns the length of the whole text with its NUL.
func snprintf(c *vm.CPU, args *[5]uint64) (uint64, error) {
	dst, err := c.Write("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	list, e, err := printArgs(c, "R4", args[3], uint32(args[4]))
	if err != nil {
		return 0, err
	}
	if e != 0 {
		return e.Neg(), nil
	}
	if _, err := c.Read("R3", args[2], 1); err != nil {
		return 0, err
	}
	out, n, e := format(guest{c.M.Mem}, guest{c.M.Mem}.span(args[2], maxFormat), list, len(dst))
	if e != 0 {
		return e.Neg(), nil
	}
	if vm.Copy(dst, out); len(dst) > 0 {
		dst[min(n, len(dst)-1)] = 0
	}
	return uint64(n) + 1, nil
}

// The streams of a program (BPF_STDOUT, BPF_STDERR).
const (
	stdout = 1
	stderr = 2
)

// streamVprintk prints the format at r2 with r4 bytes of arguments at r3 to the
// program's stream r1, which is the trace here.
func streamVprintk(c *vm.CPU, args *[5]uint64) (uint64, error) {
	if id := int32(args[0]); id != stdout && id != stderr {
		return errno.ENOENT.Neg(), nil
	}
	list, e, err := printArgs(c, "R3", args[2], uint32(args[3]))
	if err != nil {
		return 0, err
	}
	if _, err := c.Read("R2", args[1], 1); err != nil {
		return 0, err
	}
	if e == 0 {
		_, e = traceLine(c, guest{c.M.Mem}.span(args[1], maxFormat), list)
	}
	return e.Neg(), nil
}
