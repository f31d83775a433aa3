package base

import (
	"encoding/binary"
	"math/bits"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

var le = binary.LittleEndian

// An iterator over numbers is 8 bytes on the program's stack: the current number
// and the end, 32 bits each.
var numIterFuncs = map[string]vm.Func{
	"bpf_iter_num_new":     numNew,
	"bpf_iter_num_next":    numNext,
	"bpf_iter_num_destroy": numDestroy,
}

func numNew(c *vm.CPU, args *[5]uint64) (uint64, error) {
	it, err := c.Write("R1", args[0], 8)
	if err != nil {
		return 0, err
	}
	start, end := int32(args[1]), int32(args[2])
	clear(it)
	if start > end {
		return errno.EINVAL.Neg(), nil
	}
	if int64(end)-int64(start) > maxLoops {
		return errno.E2BIG.Neg(), nil
	}
	// The first call of next moves to start.
	le.PutUint32(it, uint32(start-1))
	le.PutUint32(it[4:], uint32(end))
	return 0, nil
}

// numNext returns the address of the next number, which is in the iterator.
func numNext(c *vm.CPU, args *[5]uint64) (uint64, error) {
	it, err := c.Write("R1", args[0], 8)
	if err != nil {
		return 0, err
	}
	next := int32(le.Uint32(it)) + 1
	if next >= int32(le.Uint32(it[4:])) {
		clear(it)
		return 0, nil
	}
	le.PutUint32(it, uint32(next))
	return args[0], nil
}

func numDestroy(c *vm.CPU, args *[5]uint64) (uint64, error) {
	it, err := c.Write("R1", args[0], 8)
	clear(it)
	return 0, err
}

// An iterator over bits is 16 bytes on the program's stack: up to 64 bits, or the
// address of a copy of more; how many; and the current one.
var bitsIterFuncs = map[string]vm.Func{
	"bpf_iter_bits_new":     bitsNew,
	"bpf_iter_bits_next":    bitsNext,
	"bpf_iter_bits_destroy": bitsDestroy,
}

const maxBitWords = 511 // BITS_ITER_NR_WORDS_MAX

func bitsNew(c *vm.CPU, args *[5]uint64) (uint64, error) {
	it, err := c.Write("R1", args[0], 16)
	if err != nil {
		return 0, err
	}
	addr, words := args[1], uint32(args[2])
	clear(it)
	le.PutUint32(it[12:], ^uint32(0))
	switch {
	case addr == 0 || words == 0:
		return errno.EINVAL.Neg(), nil
	case words > maxBitWords:
		return errno.E2BIG.Neg(), nil
	}
	if words == 1 {
		if ReadKernel(c, addr, it[:8]) != 0 {
			return errno.EFAULT.Neg(), nil
		}
	} else {
		o, err := c.M.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindScratch, Name: "bits of an iterator", Size: words * 8})
		if err != nil {
			return errno.ENOMEM.Neg(), nil
		}
		if e := ReadKernel(c, addr, o.Bytes()); e != 0 {
			c.M.Mem.Free(o, c.Site())
			return e.Neg(), nil
		}
		// An iterator that is not destroyed is a leak.
		c.Acquire(o)
		le.PutUint64(it, o.Addr())
	}
	le.PutUint32(it[8:], words*64)
	return 0, nil
}

// bitsNext returns the address of the number of the next set bit.
func bitsNext(c *vm.CPU, args *[5]uint64) (uint64, error) {
	it, err := c.Write("R1", args[0], 16)
	if err != nil {
		return 0, err
	}
	n, bit := int32(le.Uint32(it[8:])), int32(le.Uint32(it[12:]))
	if n == 0 || bit >= n {
		return 0, nil
	}
	data := it[:8]
	if n > 64 {
		if data, err = c.Read("R1", le.Uint64(it), uint32(n)/8); err != nil {
			return 0, err
		}
	}
	bit = nextBit(data, bit+1, n)
	le.PutUint32(it[12:], uint32(bit))
	if bit >= n {
		return 0, nil
	}
	return args[0] + 12, nil
}

// nextBit is the first set bit at or after from, n for none.
func nextBit(data []byte, from, n int32) int32 {
	for from >= 0 && from < n && int(from/8) < len(data) {
		if w := data[from/8] >> (from % 8); w != 0 {
			return from + int32(bits.TrailingZeros8(w))
		}
		from = (from/8 + 1) * 8
	}
	return n
}

func bitsDestroy(c *vm.CPU, args *[5]uint64) (uint64, error) {
	it, err := c.Write("R1", args[0], 16)
	if err != nil {
		return 0, err
	}
	if int32(le.Uint32(it[8:])) <= 64 {
		return 0, nil
	}
	o, _, err := c.ObjectAt("R1", le.Uint64(it))
	if err != nil {
		return 0, err
	}
	return 0, c.Release("R1", o)
}
