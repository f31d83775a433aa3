package base

import (
	"encoding/binary"
	"math/bits"

	"github.com/bpfct/bpfct/internal/ctype"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

var numberFuncs = map[string]vm.Func{
	"bpf_strtol":  strtol,
	"bpf_strtoul": strtoul,
}

const (
	baseMask = 0x1f // BPF_STRTOX_BASE_MASK
	maxText  = 63   // characters after the sign that are looked at
)

// number is what a text starts with.
type number struct {
	value    uint64
	negative bool
	consumed int
}

// parseNumber reads the number at the start of text. The kernel gives up with
// EINVAL for a text without one and with ERANGE for one of more than 64 bits.
func parseNumber(text []byte, flags uint64) (number, errno.Errno) {
	var n number
	base := flags & baseMask
	if len(text) == 0 || flags&^baseMask != 0 || (base != 0 && base != 8 && base != 10 && base != 16) {
		return n, errno.EINVAL
	}
	i := 0
	for i < len(text) && ctype.IsSpace(text[i]) {
		i++
	}
	if i < len(text) && text[i] == '-' {
		n.negative = true
		i++
	}
	if i == len(text) {
		return n, errno.EINVAL
	}
	digits := text[i:min(len(text), i+maxText)]
	base, prefix := radix(digits, base)
	k := prefix
	overflow := false
	for ; k < len(digits); k++ {
		d := digit(digits[k])
		if d >= base {
			break
		}
		hi, lo := bits.Mul64(n.value, base)
		sum, carry := bits.Add64(lo, d, 0)
		overflow = overflow || hi != 0 || carry != 0
		n.value = sum
	}
	if overflow {
		return n, errno.ERANGE
	}
	if k == prefix {
		return n, errno.EINVAL
	}
	n.consumed = i + k
	return n, 0
}

// radix settles the base that the digits announce and how many characters do so.
func radix(digits []byte, base uint64) (uint64, int) {
	at := func(i int) byte {
		if i < len(digits) {
			return digits[i]
		}
		return 0
	}
	hex := at(0) == '0' && at(1)|0x20 == 'x'
	if base == 0 {
		switch {
		case hex && digit(at(2)) < 16:
			base = 16
		case at(0) == '0':
			base = 8
		default:
			base = 10
		}
	}
	if base == 16 && hex {
		return base, 2
	}
	return base, 0
}

func digit(c byte) uint64 {
	switch {
	case c >= '0' && c <= '9':
		return uint64(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return uint64(c|0x20-'a') + 10
	}
	return 255
}

func strtol(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return strto(c, args, func(n number) (uint64, errno.Errno) {
		if n.negative {
			if int64(-n.value) > 0 {
				return 0, errno.ERANGE
			}
			return -n.value, 0
		}
		if int64(n.value) < 0 {
			return 0, errno.ERANGE
		}
		return n.value, 0
	})
}

func strtoul(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return strto(c, args, func(n number) (uint64, errno.Errno) {
		if n.negative {
			return 0, errno.EINVAL
		}
		return n.value, 0
	})
}

// strto reads the r2 bytes at r1 with flags r3 into the 64 bits at r4 and
// returns how many bytes the number took.
func strto(c *vm.CPU, args *[5]uint64, convert func(number) (uint64, errno.Errno)) (uint64, error) {
	text, err := c.Read("R1", args[0], uint32(args[1]))
	if err != nil {
		return 0, err
	}
	res, err := c.Write("R4", args[3], 8)
	if err != nil {
		return 0, err
	}
	n, e := parseNumber(text, args[2])
	clear(res)
	if e != 0 {
		return e.Neg(), nil
	}
	v, e := convert(n)
	if e != 0 {
		return e.Neg(), nil
	}
	binary.LittleEndian.PutUint64(res, v)
	return uint64(n.consumed), nil
}
