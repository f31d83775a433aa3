package base

// The kernel's character classes. Those that matter beyond ASCII are Latin-1.

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' || c == 0xa0 }

func isPrint(c byte) bool { return c >= ' ' && c <= '~' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlnum(c byte) bool {
	return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0xc0 && c != 0xd7 && c != 0xf7
}

func isPunct(c byte) bool { return (c > ' ' && c <= '~' || c > 0xa0) && !isAlnum(c) }

func toLower(c byte) byte {
	if c >= 'A' && c <= 'Z' || c >= 0xc0 && c <= 0xde && c != 0xd7 {
		return c + 'a' - 'A'
	}
	return c
}
