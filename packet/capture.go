package packet

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Packet is one packet of a capture.
type Packet struct {
	Time     time.Time // UTC; zero where the capture has none
	Data     []byte    // what was captured, from the link header on
	OrigLen  int       // length on the wire, at least len(Data)
	LinkType LinkType

	Interface     int // index of the interface in its section of a pcapng file, 0 elsewhere
	InterfaceName string
}

// CaptureError says where a capture is broken. The packets before it are good.
type CaptureError struct {
	Packet int   // number of the packet that could not be read, from 1
	Offset int64 // of the record, block or line that is wrong, in the file once it is uncompressed
	Reason string
	Err    error // what lies behind it, or nil
}

func (e *CaptureError) Error() string {
	var text *TextError
	if errors.As(e.Err, &text) {
		return fmt.Sprintf("packet %d: %v", e.Packet, text)
	}
	s := fmt.Sprintf("packet %d at byte %d: %s", e.Packet, e.Offset, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *CaptureError) Unwrap() error { return e.Err }

// CaptureFormat is a format of capture files.
type CaptureFormat int

// Formats of capture files.
const (
	FormatPcapNG CaptureFormat = iota
	FormatPcap
	FormatText // one packet in text form a line
)

func (f CaptureFormat) String() string {
	switch f {
	case FormatPcapNG:
		return "pcapng"
	case FormatPcap:
		return "pcap"
	case FormatText:
		return "text"
	}
	return fmt.Sprintf("capture format %d", int(f))
}

// ReaderOptions change how a capture is read. The zero value is right for most.
type ReaderOptions struct {
	// Base is what stamps in a text file count from. Zero is the start of 1970.
	Base time.Time

	// ReuseBuffer makes Next give a Packet whose Data is only good until the
	// next call.
	ReuseBuffer bool
}

// Reader reads a capture from start to end in bounded memory.
type Reader struct {
	format  CaptureFormat
	source  packetSource
	err     error
	closers []func()
}

// packetSource reads one format. next gives io.EOF at a clean end and a
// *CaptureError else.
type packetSource interface {
	next() (Packet, error)
}

// Open reads the capture in a file. Close closes the file.
func Open(name string, opts ReaderOptions) (*Reader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(f, opts)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.closers = append(r.closers, func() { f.Close() })
	return r, nil
}

// NewReader reads a capture. The format is told by its first bytes: pcap of
// either byte order and resolution, pcapng, text, and each of them compressed
// with gzip or zstd.
func NewReader(in io.Reader, opts ReaderOptions) (*Reader, error) {
	r := &Reader{}
	if err := r.open(in, opts); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(in io.Reader, opts ReaderOptions) error {
	br := bufio.NewReaderSize(in, 65536)
	for layers := 0; ; layers++ {
		magic, err := br.Peek(4)
		if err != nil && err != io.EOF {
			return &CaptureError{Packet: 1, Reason: "cannot be read", Err: err}
		}
		var unpacked io.Reader
		switch {
		case len(magic) == 0:
			return &CaptureError{Packet: 1, Reason: "the file is empty"}
		case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
			if unpacked, err = gzip.NewReader(br); err != nil {
				return &CaptureError{Packet: 1, Reason: "broken gzip header", Err: err}
			}
		case string(magic) == "\x28\xb5\x2f\xfd":
			d, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
			if err != nil {
				return &CaptureError{Packet: 1, Reason: "broken zstd header", Err: err}
			}
			r.closers = append(r.closers, d.Close)
			unpacked = d
		default:
			return r.openPlain(br, magic, opts)
		}
		if layers == 2 {
			return &CaptureError{Packet: 1, Reason: "compressed more than twice"}
		}
		br = bufio.NewReaderSize(unpacked, 65536)
	}
}

func (r *Reader) openPlain(br *bufio.Reader, magic []byte, opts ReaderOptions) (err error) {
	in := &countingReader{r: br}
	switch string(magic) {
	case "\xd4\xc3\xb2\xa1", "\xa1\xb2\xc3\xd4", "\x4d\x3c\xb2\xa1", "\xa1\xb2\x3c\x4d":
		r.format = FormatPcap
		r.source, err = newPcapSource(in, opts)
		return err
	case "\x0a\x0d\x0d\x0a":
		r.format = FormatPcapNG
		r.source, err = newNgSource(in, opts)
		return err
	}
	head, _ := br.Peek(512)
	if !isText(head) {
		return &CaptureError{Packet: 1, Reason: fmt.Sprintf("neither pcap, pcapng nor text: the file starts with % x", magic)}
	}
	r.format = FormatText
	r.source = newTextSource(br, opts)
	return nil
}

// isText reports whether b, the start of a file, is readable text.
func isText(b []byte) bool {
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n == 1 {
			return len(b) < utf8.UTFMax // cut in the middle, perhaps
		}
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return false
		}
		b = b[n:]
	}
	return true
}

// Format is the format that was found.
func (r *Reader) Format() CaptureFormat { return r.format }

// Next gives the next packet. The error is io.EOF behind the last; else a
// *CaptureError, and every later call gives it again.
func (r *Reader) Next() (Packet, error) {
	if r.err != nil {
		return Packet{}, r.err
	}
	p, err := r.source.next()
	if err != nil {
		r.err = err
		return Packet{}, err
	}
	return p, nil
}

// All gives the packets in order, and an error in place of the one that cannot
// be read.
func (r *Reader) All() iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for {
			p, err := r.Next()
			if err == io.EOF || !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// Close frees what the reader holds.
func (r *Reader) Close() error {
	for _, c := range r.closers {
		c()
	}
	r.closers = nil
	if r.err == nil {
		r.err = os.ErrClosed
	}
	return nil
}

// ReadAll reads every packet of a capture. With an error it gives the packets
// before the fault.
func ReadAll(in io.Reader, opts ReaderOptions) ([]Packet, error) {
	opts.ReuseBuffer = false
	r, err := NewReader(in, opts)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var all []Packet
	for p, err := range r.All() {
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

// countingReader knows how far it has read.
type countingReader struct {
	r   *bufio.Reader
	off int64
}

// full reads all of b, or gives io.EOF if there is nothing left, or a reason.
func (c *countingReader) full(b []byte) error {
	n, err := io.ReadFull(c.r, b)
	c.off += int64(n)
	return err
}

// skip reads n bytes and forgets them.
func (c *countingReader) skip(n int64) error {
	for n > 0 {
		m, err := c.r.Discard(int(min(n, 1<<20)))
		c.off += int64(m)
		n -= int64(m)
		if err != nil {
			return err
		}
	}
	return nil
}

// broken makes an error of one from full or skip.
func (c *countingReader) broken(packet int, start int64, what string, err error) *CaptureError {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &CaptureError{Packet: packet, Offset: start, Reason: fmt.Sprintf("%s is cut off: the file ends at byte %d", what, c.off), Err: nil}
	}
	return &CaptureError{Packet: packet, Offset: start, Reason: what + " cannot be read", Err: err}
}
