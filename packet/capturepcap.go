package packet

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

// pcapSource reads pcap files. pcapgo decodes them; what it reads from is this
// type, which hands on one record at a time after a look at its header, and so
// knows where it is when something is wrong and never trusts a length.
type pcapSource struct {
	in    *countingReader
	out   *pcapgo.Reader
	reuse bool

	order   binary.ByteOrder
	limit   uint32 // first value of a stamp's fraction that is wrong
	packets int    // handed on
	start   int64  // of the current record
	pending []byte // rest of it
	buf     []byte // all of it
	err     error
}

func newPcapSource(in *countingReader, opts ReaderOptions) (*pcapSource, error) {
	s := &pcapSource{in: in, reuse: opts.ReuseBuffer, buf: make([]byte, 24, 2048)}
	if err := in.full(s.buf); err != nil {
		return nil, in.broken(1, 0, "the file header", err)
	}
	s.order, s.limit = binary.LittleEndian, 1_000_000
	if s.buf[0] == 0xa1 {
		s.order = binary.BigEndian
	}
	if magic := s.order.Uint32(s.buf); magic == 0xa1b23c4d {
		s.limit = 1_000_000_000
	}
	// The upper half of the link type tells of frame check sequences.
	s.order.PutUint32(s.buf[20:], s.order.Uint32(s.buf[20:])&0xffff)
	s.pending = s.buf
	var err error
	if s.out, err = pcapgo.NewReader(s); err != nil {
		return nil, &CaptureError{Packet: 1, Reason: "wrong file header", Err: err}
	}
	return s, nil
}

// Read is for pcapgo.
func (s *pcapSource) Read(b []byte) (int, error) {
	if len(s.pending) == 0 {
		if s.err == nil {
			s.err = s.record()
		}
		if s.err != nil {
			return 0, s.err
		}
	}
	n := copy(b, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

// record reads the next record into pending.
func (s *pcapSource) record() error {
	s.start = s.in.off
	s.buf = s.buf[:16]
	if err := s.in.full(s.buf); err == io.EOF {
		return io.EOF
	} else if err != nil {
		return s.in.broken(s.packets+1, s.start, "the record header", err)
	}
	frac, n, orig := s.order.Uint32(s.buf[4:]), s.order.Uint32(s.buf[8:]), s.order.Uint32(s.buf[12:])
	reason := ""
	switch {
	case n > MaxFrame:
		reason = fmt.Sprintf("captured length %d is more than %d", n, MaxFrame)
	case n > orig:
		reason = fmt.Sprintf("captured length %d is more than the packet's length %d", n, orig)
	case orig > 1<<31-1:
		reason = fmt.Sprintf("packet length %d is too large", orig)
	case frac >= s.limit:
		reason = fmt.Sprintf("fraction %d of the stamp is a second or more", frac)
	}
	if reason != "" {
		return &CaptureError{Packet: s.packets + 1, Offset: s.start, Reason: reason}
	}
	s.buf = sized(s.buf, 16+int(n))
	if err := s.in.full(s.buf[16:]); err != nil {
		return s.in.broken(s.packets+1, s.start, fmt.Sprintf("the record of %d bytes", 16+n), err)
	}
	s.packets++
	s.pending = s.buf
	return nil
}

// sized gives b the length n, its first bytes kept.
func sized(b []byte, n int) []byte {
	if cap(b) >= n {
		return b[:n]
	}
	return append(make([]byte, 0, max(n, 2*cap(b))), b...)[:n]
}

func (s *pcapSource) next() (Packet, error) {
	read := s.out.ReadPacketData
	if s.reuse {
		read = s.out.ZeroCopyReadPacketData
	}
	data, ci, err := read()
	if err != nil {
		return Packet{}, captureFault(s.err, err, s.packets, s.start)
	}
	return packetOf(data, ci, LinkType(s.out.LinkType())), nil
}

// captureFault is the error of a reader whose input gave inner, if that is not
// nil, and of which pcapgo said outer.
func captureFault(inner, outer error, packet int, start int64) error {
	if inner != nil {
		return inner
	}
	return &CaptureError{Packet: packet, Offset: start, Reason: "wrong record", Err: outer}
}

func packetOf(data []byte, ci gopacket.CaptureInfo, link LinkType) Packet {
	return Packet{Time: ci.Timestamp, Data: data, OrigLen: ci.Length, LinkType: link, Interface: ci.InterfaceIndex}
}
