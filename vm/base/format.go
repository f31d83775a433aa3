package base

import (
	"fmt"

	"github.com/bpfct/bpfct/internal/ctype"
	"github.com/bpfct/bpfct/internal/errno"
)

const (
	maxPrintArgs  = 12   // MAX_BPRINTF_VARARGS
	maxPrintBytes = 512  // what the arguments may take once copied (MAX_BPRINTF_BIN_ARGS)
	maxTraceLine  = 1024 // MAX_BPRINTF_BUF
)

// packer checks a format string and copies the arguments that it asks for, as
// the kernel does before it prints: scalars aligned to 4 bytes, strings and
// addresses as text. The printer reads them back in the same order.
type packer struct {
	mem  memory
	args []uint64
	next int // the argument that the next conversion takes
	out  []byte
}

// pack goes through format, which ends before its NUL.
func (p *packer) pack(format []byte) errno.Errno {
	// at is the character at i, with the NUL after the end.
	at := func(i int) byte {
		if i < len(format) {
			return format[i]
		}
		return 0
	}
	for i := 0; i < len(format); i++ {
		// Text may be in any language, but has no control characters.
		if format[i] < 0x80 && !ctype.IsPrint(format[i]) && !ctype.IsSpace(format[i]) {
			return errno.EINVAL
		}
		if format[i] != '%' {
			continue
		}
		if at(i+1) == '%' {
			i++
			continue
		}
		if p.next >= len(p.args) {
			return errno.EINVAL
		}
		i = skipWidth(at, i+1)
		n, e := p.conversion(at, i)
		if e != 0 {
			return e
		}
		i += n
		p.next++
	}
	return 0
}

// skipWidth goes past the flags and the width at i.
func skipWidth(at func(int) byte, i int) int {
	for at(i) == '0' || at(i) == '+' || at(i) == '-' || at(i) == ' ' {
		i++
	}
	for ctype.IsDigit(at(i)) {
		i++
	}
	return i
}

// conversion packs the argument of the conversion whose letter is at i and
// returns how many more characters it has.
func (p *packer) conversion(at func(int) byte, i int) (int, errno.Errno) {
	arg := p.args[p.next]
	ends := func(c byte) bool { return c == 0 || ctype.IsSpace(c) || ctype.IsPunct(c) }
	switch at(i) {
	case 'p':
		return p.pointer(at, i, arg, ends)
	case 's':
		if !ends(at(i + 1)) {
			return 0, errno.EINVAL
		}
		return 0, p.text(arg, false)
	case 'c':
		if p.room() == 0 {
			return 0, errno.ENOSPC
		}
		p.out = append(p.out, byte(arg))
		return 0, 0
	}
	size, n := 4, 0
	for ; n < 2 && at(i+n) == 'l'; n++ {
		size = 8
	}
	switch at(i + n) {
	case 'i', 'd', 'u', 'x', 'X':
		return n, p.scalar(arg, size)
	}
	return 0, errno.EINVAL
}

func (p *packer) pointer(at func(int) byte, i int, arg uint64, ends func(byte) bool) (int, errno.Errno) {
	a, b := at(i+1), at(i+2)
	switch {
	case ends(a):
		return 0, p.scalar(arg, 8)
	case (a == 'k' || a == 'u') && b == 's':
		if !ends(at(i + 3)) {
			return 0, errno.EINVAL
		}
		return 2, p.text(arg, a == 'u')
	case a == 'K' || a == 'x' || a == 's' || a == 'S':
		return 1, p.scalar(arg, 8)
	case a == 'B':
		// No address of a guest has a symbol.
		p.append(fmt.Sprintf("%#x", arg))
		return 1, 0
	case (a == 'i' || a == 'I') && (b == '4' || b == '6'):
		return 2, p.address(arg, a, b)
	}
	return 0, errno.EINVAL
}

func (p *packer) room() int { return maxPrintBytes - len(p.out) }

func (p *packer) scalar(arg uint64, size int) errno.Errno {
	for len(p.out)%4 != 0 {
		p.out = append(p.out, 0)
	}
	if p.room() < size {
		return errno.ENOSPC
	}
	if size == 8 {
		p.out = le.AppendUint64(p.out, arg)
	} else {
		p.out = le.AppendUint32(p.out, uint32(arg))
	}
	return 0
}

// text packs the string at addr; one that cannot be read is empty. There are no
// strings of user memory.
func (p *packer) text(addr uint64, user bool) errno.Errno {
	room := p.room()
	if room <= 0 {
		return errno.ENOSPC
	}
	buf := make([]byte, room)
	n, ok := readString(p.mem, addr, buf)
	if !ok || user {
		n, buf[0] = 1, 0
	}
	p.out = append(p.out, buf[:n]...)
	return 0
}

// address packs the IPv4 or IPv6 address at addr as text; one that cannot be
// read is all zeroes.
func (p *packer) address(addr uint64, style, family byte) errno.Errno {
	ip := make([]byte, 4)
	if family == '6' {
		ip = make([]byte, 16)
	}
	if p.room() < len(ip) {
		return errno.ENOSPC
	}
	if !read(p.mem, addr, ip) {
		clear(ip)
	}
	p.append(addressText(ip, style == 'i'))
	return 0
}

// append packs text with its NUL, cut to the room there is.
func (p *packer) append(s string) {
	n := min(len(s), max(p.room()-1, 0))
	p.out = append(append(p.out, s[:n]...), 0)
}

// addressText is an address as %pI4 and %pI6 print it; plain leaves the colons
// out and pads with zeroes, for %pi4 and %pi6.
func addressText(ip []byte, plain bool) string {
	if len(ip) == 4 {
		if plain {
			return fmt.Sprintf("%03d.%03d.%03d.%03d", ip[0], ip[1], ip[2], ip[3])
		}
		return fmt.Sprintf("%d.%d.%d.%d", ip[0], ip[1], ip[2], ip[3])
	}
	s := ""
	for i := 0; i < len(ip); i += 2 {
		if i > 0 && !plain {
			s += ":"
		}
		s += fmt.Sprintf("%02x%02x", ip[i], ip[i+1])
	}
	return s
}
