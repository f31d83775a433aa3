package packet

import "fmt"

// Error says what is wrong with a frame and where.
//
// Offset counts bytes from the start of the frame to the header, or the part
// of it, that cannot be right.
type Error struct {
	Layer  string // "ethernet", "vlan", "ipv4", "ipv6", "tcp", ...; "quoted ipv4" inside an ICMP error
	Offset int
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s at byte %d: %s", e.Layer, e.Offset, e.Reason)
}

// tooShort is the most frequent fault: a header that needs more bytes than
// there are.
func tooShort(layer string, off, need, have int) *Error {
	return &Error{Layer: layer, Offset: off, Reason: fmt.Sprintf("needs %d bytes, %d left", need, max(have, 0))}
}

// TextError says what is wrong with a packet in text form and where. Line is 0
// when the text is not part of a file.
type TextError struct {
	Line   int // from 1
	Column int // from 1, in characters
	Reason string
}

func (e *TextError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
	}
	return fmt.Sprintf("column %d: %s", e.Column, e.Reason)
}
