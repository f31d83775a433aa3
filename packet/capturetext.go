package packet

import (
	"bufio"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxTextLine bounds a line of a text file: a packet of MaxFrame bytes fits,
// in whatever form.
const maxTextLine = 4*MaxFrame + 65536

// textSource reads packets in text form, one a line. Empty lines and what
// follows a # at the start of a line or behind a space are left out. In front
// of a packet may stand a stamp: 1.5 (seconds since the base), 250ms, or +0.5s
// (since the packet before). Without one a packet has the time of that before.
type textSource struct {
	in      *bufio.Scanner
	now     time.Duration
	base    time.Time
	line    int
	packets int
	off     int64
}

func newTextSource(r *bufio.Reader, opts ReaderOptions) *textSource {
	s := &textSource{in: bufio.NewScanner(r), base: opts.Base}
	if s.base.IsZero() {
		s.base = time.Unix(0, 0).UTC()
	}
	s.in.Buffer(nil, maxTextLine)
	s.in.Split(s.split)
	return s
}

// split is bufio.ScanLines with the line's end kept, to count bytes.
func (s *textSource) split(data []byte, atEOF bool) (int, []byte, error) {
	n, _, err := bufio.ScanLines(data, atEOF)
	if n == 0 {
		return 0, nil, err
	}
	return n, data[:n], err
}

func (s *textSource) next() (Packet, error) {
	for s.in.Scan() {
		start, line := s.off, s.in.Text()
		s.off += int64(len(line))
		s.line++
		p, err := s.packet(line)
		if err != nil {
			s.packets++
			return Packet{}, &CaptureError{Packet: s.packets, Offset: start, Reason: "wrong packet", Err: err}
		}
		if p.Data != nil {
			s.packets++
			return p, nil
		}
	}
	err := s.in.Err()
	if err == nil {
		return Packet{}, io.EOF
	}
	if errors.Is(err, bufio.ErrTooLong) {
		err = &TextError{Line: s.line + 1, Column: 1, Reason: "line of more than " + strconv.Itoa(maxTextLine) + " bytes"}
	}
	return Packet{}, &CaptureError{Packet: s.packets + 1, Offset: s.off, Reason: "cannot be read", Err: err}
}

// packet reads a line. Data is nil if there is no packet in it.
func (s *textSource) packet(line string) (Packet, error) {
	if s.line == 1 {
		line = strings.TrimPrefix(line, "\ufeff")
	}
	text := stripComment(line)
	word := strings.TrimLeft(text, " \t")
	rest := word
	if i := strings.IndexAny(word, " \t\r\n"); i >= 0 {
		word, rest = word[:i], word[i:]
	} else {
		rest = ""
	}
	if strings.TrimSpace(word) == "" {
		return Packet{}, nil
	}
	indent := len(text) - len(word) - len(rest)
	if d, relative, ok := parseStamp(word); ok {
		if relative {
			if d > math.MaxInt64-s.now {
				return Packet{}, &TextError{Line: s.line, Column: indent + 1, Reason: "stamp " + word + " is too late"}
			}
			d += s.now
		}
		s.now = d
		text = strings.Repeat(" ", indent+len(word)) + rest
	}
	data, link, err := ParseTextLink(text)
	if err != nil {
		var te *TextError
		if errors.As(err, &te) {
			te.Line = s.line
			return Packet{}, te
		}
		return Packet{}, &TextError{Line: s.line, Column: indent + 1, Reason: err.Error()}
	}
	if data == nil {
		data = []byte{}
	}
	return Packet{Time: s.base.Add(s.now), Data: data, OrigLen: len(data), LinkType: link}, nil
}

// stripComment cuts a line at a # outside of a string.
func stripComment(line string) string {
	inString := false
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			if inString {
				i++
			}
		case '"':
			inString = !inString
		case '#':
			if !inString && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
				return line[:i]
			}
		}
	}
	return line
}

// parseStamp reads 1.5, 1.5s, 250ms, +0.5 or +0.5s.
func parseStamp(s string) (d time.Duration, relative, ok bool) {
	s, relative = strings.CutPrefix(s, "+")
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false, false
	}
	if last := s[len(s)-1]; last >= '0' && last <= '9' {
		s += "s"
	}
	d, err := time.ParseDuration(s)
	return d, relative, err == nil && d >= 0
}

// formatStamp writes seconds with nanoseconds: 1.500000000.
func formatStamp(d time.Duration) string {
	frac := strconv.Itoa(int(d % time.Second))
	return strconv.FormatInt(int64(d/time.Second), 10) + "." + strings.Repeat("0", 9-len(frac)) + frac
}
