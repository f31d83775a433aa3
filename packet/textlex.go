package packet

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token is a piece of text form: a word, a quoted string with its quotes, one
// of < > ( ) or a comma, or the end, which is the empty token.
type token struct {
	text string
	pos  int // byte offset
}

const tokenMarks = "<>(),"

// textParser reads text form. The first fault is kept in err, and from then on
// every token is the end, so that callers need not look at err at each step.
type textParser struct {
	src  string
	pos  int
	tok  token // the next one
	err  *TextError
	deep int // quoted packets entered
	size int // payload bytes made so far
}

func newTextParser(src string) *textParser {
	p := &textParser{src: src}
	p.next()
	return p
}

// fail notes a fault at byte pos.
func (p *textParser) fail(pos int, format string, args ...any) {
	if p.err == nil {
		p.err = &TextError{Column: utf8.RuneCountInString(p.src[:pos]) + 1, Reason: fmt.Sprintf(format, args...)}
	}
	p.pos = len(p.src)
	p.tok = token{pos: len(p.src)}
}

// next gives the next token and moves behind it.
func (p *textParser) next() token {
	t := p.tok
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.pos]) >= 0 {
		p.pos++
	}
	start := p.pos
	switch {
	case p.pos == len(p.src):
	case p.src[p.pos] == '"':
		q, err := strconv.QuotedPrefix(p.src[p.pos:])
		if err != nil {
			p.fail(start, "string has no end or a wrong escape")
			return t
		}
		p.pos += len(q)
	case strings.IndexByte(tokenMarks, p.src[p.pos]) >= 0:
		p.pos++
	default:
		for p.pos < len(p.src) && strings.IndexByte(" \t\r\n\""+tokenMarks, p.src[p.pos]) < 0 {
			p.pos++
		}
	}
	p.tok = token{p.src[start:p.pos], start}
	return t
}

// is reports whether the next token is one of words; accept also moves on.
func (p *textParser) is(words ...string) bool {
	for _, w := range words {
		if p.tok.text == w {
			return true
		}
	}
	return false
}

func (p *textParser) accept(words ...string) bool {
	if p.is(words...) {
		p.next()
		return true
	}
	return false
}

// want moves behind the token text, which must be next.
func (p *textParser) want(text, where string) {
	if !p.accept(text) {
		p.fail(p.tok.pos, "want %s %s, not %s", text, where, p.tok.show())
	}
}

// show is the token for an error message.
func (t token) show() string {
	if t.text == "" {
		return "the end"
	}
	if len(t.text) > 40 {
		return strconv.Quote(t.text[:37] + "...")
	}
	return strconv.Quote(t.text)
}

// number reads a decimal or 0x number up to limit.
func (p *textParser) number(what string, limit uint64) uint64 {
	t := p.next()
	n, ok := parseNumber(t.text)
	switch {
	case !ok:
		p.fail(t.pos, "want a number for %s, not %s", what, t.show())
	case n > limit:
		p.fail(t.pos, "%s %s out of range (0 to %d)", what, t.text, limit)
	}
	return n
}

func parseNumber(s string) (uint64, bool) {
	base := 10
	if len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") {
		s, base = s[2:], 16
	}
	if s == "" || s[0] == '+' || s[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil
}

// mac reads an Ethernet address.
func (p *textParser) mac(what string) (m MAC) {
	t := p.next()
	parts := strings.Split(t.text, ":")
	if len(parts) != 6 {
		p.fail(t.pos, "want an Ethernet address for %s, not %s", what, t.show())
		return m
	}
	for i, s := range parts {
		n, err := strconv.ParseUint(s, 16, 8)
		if err != nil || len(s) > 2 {
			p.fail(t.pos, "want an Ethernet address for %s, not %s", what, t.show())
			return m
		}
		m[i] = byte(n)
	}
	return m
}

// isData reports whether the next token starts a piece of data.
func (p *textParser) isData() bool {
	return p.is("len", "length") || strings.HasPrefix(p.tok.text, "hex:") || strings.HasPrefix(p.tok.text, `"`)
}

// data reads pieces of data: strings, hex:... and len N, one after the other.
// It is nil if there are none, and for len 0.
func (p *textParser) data() []byte {
	var b []byte
	for p.isData() && p.err == nil {
		t := p.next()
		switch {
		case t.text == "len" || t.text == "length":
			at := p.tok.pos
			n := p.number(t.text, MaxFrame)
			if p.err == nil && p.grow(int(n), at) {
				b = append(b, make([]byte, n)...)
			}
		case t.text[0] == '"':
			s, err := strconv.Unquote(t.text)
			if err != nil {
				p.fail(t.pos, "wrong string: %v", err)
				return nil
			}
			if p.grow(len(s), t.pos) {
				b = append(b, s...)
			}
		default:
			x := p.hex(t)
			if p.grow(len(x), t.pos) {
				b = append(b, x...)
			}
		}
	}
	return b
}

// grow bounds what one text may make.
func (p *textParser) grow(n, pos int) bool {
	if p.size += n; p.size > MaxFrame {
		p.fail(pos, "more than %d bytes of data", MaxFrame)
		return false
	}
	return true
}

// hex reads the bytes of a token hex:....
func (p *textParser) hex(t token) []byte {
	s, ok := strings.CutPrefix(t.text, "hex:")
	if !ok {
		p.fail(t.pos, "want hex: and digits, not %s", t.show())
		return nil
	}
	b, err := hex.DecodeString(s)
	if err == nil {
		return b
	}
	for i := range len(s) {
		if strings.IndexByte("0123456789abcdefABCDEF", s[i]) < 0 {
			p.fail(t.pos+4+i, "%q is no hex digit", s[i])
			return nil
		}
	}
	p.fail(t.pos+4+len(s)-1, "%d hex digits, want an even number", len(s))
	return nil
}
