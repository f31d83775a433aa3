// Package ctype is the kernel's character classes: those of ISO 8859-1, in which a
// no-break space is a space.
package ctype

// IsSpace reports whether c is white space.
func IsSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' || c == 0xa0 }

// IsPrint reports whether c is a printable character of ASCII.
func IsPrint(c byte) bool { return c >= ' ' && c <= '~' }

// IsDigit reports whether c is a decimal digit.
func IsDigit(c byte) bool { return c >= '0' && c <= '9' }

// IsAlnum reports whether c is a letter or a digit.
func IsAlnum(c byte) bool {
	return IsDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0xc0 && c != 0xd7 && c != 0xf7
}

// IsPunct reports whether c is printable, and neither space, letter nor digit.
func IsPunct(c byte) bool { return (c > ' ' && c <= '~' || c > 0xa0) && !IsAlnum(c) }

// ToLower is c in lower case.
func ToLower(c byte) byte {
	if c >= 'A' && c <= 'Z' || c >= 0xc0 && c <= 0xde && c != 0xd7 {
		return c + 'a' - 'A'
	}
	return c
}
