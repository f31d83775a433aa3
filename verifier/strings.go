package verifier

import (
	"bytes"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/ctype"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// isReadOnly reports whether nobody can change a map's values any more: it is a
// section of constants, which is frozen before the program is loaded.
func isReadOnly(m *state.Map) bool {
	_, section := m.Spec.Value.(*btf.Datasec)
	section = section || strings.HasPrefix(m.Name, ".rodata") // string literals have no type
	return section && m.Spec.Flags&mapReadOnlyProg != 0 && m.Spec.Type == ebpf.Array && len(m.Spec.Contents) == 1
}

// checkConstStr checks that r points to a string that is known, and ends
// (check_reg_const_str).
func (e *env) checkConstStr(regno uint8, r *state.Reg) error {
	if !isReadOnly(r.Map) {
		return e.reject(errno.EACCES, "R%d does not point to a readonly map'", regno)
	}
	if !r.Var.IsConst() {
		return e.reject(errno.EACCES, "R%d is not a constant address'", regno)
	}
	if r.Map.Spec.Type != ebpf.Array || r.Map.Spec.MaxEntries != 1 {
		return e.reject(errno.EACCES, "no direct value access support for this map type")
	}
	if err := e.checkMapValue(regno, r, int(r.Off), int(r.Map.Spec.ValueSize)-int(r.Off), false, false); err != nil {
		return err
	}
	if _, ok := e.constString(r); !ok {
		return e.reject(errno.EINVAL, "string is not zero-terminated")
	}
	return nil
}

// constString is the string that r points to, without its end.
func (e *env) constString(r *state.Reg) (string, bool) {
	b := e.sectionBytes(r.Map)
	off := int(r.Off) + int(r.Var.Value)
	if off < 0 || off >= len(b) {
		return "", false
	}
	end := bytes.IndexByte(b[off:], 0)
	if end < 0 {
		return "", false
	}
	return string(b[off : off+end]), true
}

// checkSnprintf checks the format of bpf_snprintf against its values
// (check_bpf_snprintf_call).
func (e *env) checkSnprintf(*call) error {
	size := e.reg(5).Var.Value
	if size%8 != 0 {
		return &refusal{errno: errno.EINVAL, insn: e.insn}
	}
	format, _ := e.constString(e.reg(3))
	if no := checkFormat(format, int(size/8)); no != 0 {
		return e.reject(no, "Invalid format string")
	}
	return nil
}

// maxPrintArgs is how many values a format may have (MAX_BPRINTF_VARARGS).
const maxPrintArgs = 12

// format reads a format string.
type format struct {
	text string
	at   int
}

// peek is the character n after the current one, 0 behind the end.
func (f *format) peek(n int) byte {
	if f.at+n < len(f.text) {
		return f.text[f.at+n]
	}
	return 0
}

// checkFormat checks a format for a number of values (bpf_bprintf_prepare).
func checkFormat(text string, values int) errno.Errno {
	if values > maxPrintArgs {
		return errno.EINVAL
	}
	used := 0
	f := &format{text: text}
	for ; f.at < len(text); f.at++ {
		c := f.peek(0)
		if c < 0x80 && !ctype.IsPrint(c) && !ctype.IsSpace(c) {
			return errno.EINVAL
		}
		if c != '%' {
			continue
		}
		if f.peek(1) == '%' {
			f.at++
			continue
		}
		if used >= values || !f.conversion() {
			return errno.EINVAL
		}
		used++
	}
	return 0 // values that no conversion takes do no harm
}

// conversion goes from a percent sign to the last character of the conversion, and
// reports whether there is such a one.
func (f *format) conversion() bool {
	f.at++
	for c := f.peek(0); c == '0' || c == '+' || c == '-' || c == ' '; c = f.peek(0) {
		f.at++
	}
	for f.peek(0) >= '0' && f.peek(0) <= '9' {
		f.at++
	}
	switch f.peek(0) {
	case 'p':
		return f.pointer()
	case 's':
		return endsConversion(f.peek(1))
	case 'c':
		return true
	}
	for n := 0; n < 2 && f.peek(0) == 'l'; n++ {
		f.at++
	}
	switch f.peek(0) {
	case 'i', 'd', 'u', 'x', 'X':
		return true
	}
	return false
}

// pointer is conversion for %p and what may follow it.
func (f *format) pointer() bool {
	a, b := f.peek(1), f.peek(2)
	switch {
	case (a == 'k' || a == 'u') && b == 's':
		f.at += 2
		return endsConversion(f.peek(1))
	case endsConversion(a):
		return true
	case a == 'K' || a == 'x' || a == 's' || a == 'S' || a == 'B':
		f.at++
		return true
	case (a == 'i' || a == 'I') && (b == '4' || b == '6'):
		f.at += 2
		return true
	}
	return false
}

func endsConversion(c byte) bool { return c == 0 || ctype.IsSpace(c) || ctype.IsPunct(c) }
