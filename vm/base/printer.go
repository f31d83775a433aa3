package base

import (
	"github.com/bpfct/bpfct/internal/ctype"

	"bytes"
	"strconv"
)

// printer prints a format string with the arguments of a packer, as the
// kernel's bstr_printf does: into a buffer of a size, counting what does not fit.
type printer struct {
	size int
	out  []byte // what fits
	n    int    // how long the text would be
	args []byte
	pos  int // in args
}

// maxWidth is the largest width (FIELD_WIDTH_MAX).
const maxWidth = 1<<23 - 1

// spec is one conversion: %, flags, width, letter.
type spec struct {
	left, plus, space, zero bool
	signed, upper           bool
	base                    int
	width                   int // -1 for none
}

// print prints format, which ends before its NUL.
func (p *printer) print(format []byte) {
	for len(format) > 0 {
		i := bytes.IndexByte(format, '%')
		if i < 0 {
			p.write(format)
			return
		}
		p.write(format[:i])
		s, rest := decode(format[i+1:])
		format = p.conversion(s, rest)
	}
}

// decode reads flags and width.
func decode(f []byte) (spec, []byte) {
	s := spec{width: -1, base: 10}
	for ; len(f) > 0; f = f[1:] {
		switch f[0] {
		case '-':
			s.left = true
		case '+':
			s.plus = true
		case ' ':
			s.space = true
		case '0':
			s.zero = true
		default:
			if ctype.IsDigit(f[0]) {
				s.width = 0
			}
			w := int32(0)
			for ; len(f) > 0 && ctype.IsDigit(f[0]); f = f[1:] {
				w = w*10 + int32(f[0]-'0')
				s.width = min(int(w), maxWidth)
			}
			return s, f
		}
	}
	return s, f
}

// conversion prints one conversion and returns the format after it.
func (p *printer) conversion(s spec, f []byte) []byte {
	long := false
	for len(f) > 0 && f[0] == 'l' {
		long, f = true, f[1:]
	}
	if len(f) == 0 {
		return nil
	}
	letter, f := f[0], f[1:]
	switch letter {
	case '%':
		p.write([]byte{'%'})
	case 'c':
		p.char(s)
	case 's':
		p.text(s, p.argString())
	case 'p':
		return p.pointer(s, f)
	case 'd', 'i':
		s.signed = true
		if long {
			p.number(s, p.arg64())
		} else {
			p.number(s, uint64(int64(int32(p.arg32()))))
		}
	case 'x', 'X':
		s.base, s.upper = 16, letter == 'X'
		p.unsigned(s, long)
	case 'u':
		p.unsigned(s, long)
	}
	return f
}

func (p *printer) unsigned(s spec, long bool) {
	if long {
		p.number(s, p.arg64())
	} else {
		p.number(s, uint64(p.arg32()))
	}
}

// pointer prints what follows p: a number, or text that the packer made.
func (p *printer) pointer(s spec, f []byte) []byte {
	kind := byte(0)
	if len(f) > 0 {
		kind = f[0]
	}
	switch {
	case kind == 's' || kind == 'S':
		p.text(s, []byte("0x"+strconv.FormatUint(p.arg64(), 16)))
	case kind == 'x' || kind == 'K' || kind == 'e' || !ctype.IsAlnum(kind):
		// The kernel prints a hash of the address unless asked for x; which one
		// differs from boot to boot, and a guest has nothing to hide.
		s.base = 16
		if s.width == -1 {
			s.width, s.zero = 16, true
		}
		p.number(s, p.arg64())
	case p.n < p.size:
		// Without room left the kernel also keeps the argument for the next
		// conversion.
		p.write(p.argString())
	}
	for len(f) > 0 && ctype.IsAlnum(f[0]) {
		f = f[1:]
	}
	return f
}

func (p *printer) write(b []byte) {
	if room := p.size - p.n; room > 0 {
		p.out = append(p.out, b[:min(len(b), room)]...)
	}
	p.n += len(b)
}

func (p *printer) pad(c byte, n int) {
	if n <= 0 {
		return
	}
	if room := p.size - p.n; room > 0 {
		p.out = append(p.out, bytes.Repeat([]byte{c}, min(n, room))...)
	}
	p.n += n
}

func (p *printer) char(s spec) {
	c := byte(0)
	if p.pos < len(p.args) {
		c = p.args[p.pos]
	}
	p.pos++
	if !s.left {
		p.pad(' ', s.width-1)
	}
	p.write([]byte{c})
	if s.left {
		p.pad(' ', s.width-1)
	}
}

func (p *printer) text(s spec, t []byte) {
	if !s.left {
		p.pad(' ', s.width-len(t))
	}
	p.write(t)
	if s.left {
		p.pad(' ', s.width-len(t))
	}
}

func (p *printer) number(s spec, v uint64) {
	sign := ""
	if s.signed {
		switch {
		case int64(v) < 0:
			sign, v = "-", -v
		case s.plus:
			sign = "+"
		case s.space:
			sign = " "
		}
	}
	digits := strconv.AppendUint(nil, v, s.base)
	if s.upper {
		digits = bytes.ToUpper(digits)
	}
	fill := s.width - len(sign) - len(digits)
	if !s.left && !s.zero {
		p.pad(' ', fill)
	}
	p.write([]byte(sign))
	if !s.left && s.zero {
		p.pad('0', fill)
	}
	p.write(digits)
	if s.left {
		p.pad(' ', fill)
	}
}

func (p *printer) align() { p.pos = (p.pos + 3) &^ 3 }

// take is the next n bytes of the arguments; missing ones are zero.
func (p *printer) take(n int) []byte {
	b := make([]byte, n)
	if p.pos < len(p.args) {
		copy(b, p.args[p.pos:])
	}
	p.pos += n
	return b
}

func (p *printer) arg32() uint32 { p.align(); return le.Uint32(p.take(4)) }
func (p *printer) arg64() uint64 { p.align(); return le.Uint64(p.take(8)) }

// argString is the next argument that the packer made text of.
func (p *printer) argString() []byte {
	if p.pos >= len(p.args) {
		return nil
	}
	b := p.args[p.pos:]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	p.pos += len(b) + 1
	return b
}
