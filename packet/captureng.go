package packet

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Block types of pcapng that are handed on; all others are skipped.
const (
	ngSection   = 0x0a0d0d0a
	ngInterface = 1
	ngPacketOld = 2
	ngSimple    = 3
	ngEnhanced  = 6
)

// Bounds on what one file may make the reader keep.
const (
	ngMaxHeader     = 1 << 20 // bytes of a section header or interface description
	ngMaxInterfaces = 1 << 14 // interfaces of a section
)

// ngSource reads pcapng files as pcapSource does pcap files. It hands on
// sections, interfaces and packets, without the options of sections and
// packets, which may lie about their lengths and say nothing of use here.
type ngSource struct {
	in    *countingReader
	out   *pcapgo.NgReader
	reuse bool

	order interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}
	names   []string // of the interfaces of this section
	snap    uint32   // of its first interface, 0 for no limit
	packets int      // handed on
	number  int      // of the packet that the current block is or comes before
	start   int64
	pending []byte
	buf     []byte
	err     error
}

func newNgSource(in *countingReader, opts ReaderOptions) (*ngSource, error) {
	s := &ngSource{in: in, reuse: opts.ReuseBuffer, buf: make([]byte, 0, 2048), order: binary.LittleEndian}
	var err error
	s.out, err = pcapgo.NewNgReader(s, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		if err := captureFault(s.err, err, 1, s.start); err != io.EOF {
			return nil, err
		}
		return nil, in.broken(1, 0, "the section header", io.EOF)
	}
	return s, nil
}

// Read is for pcapgo.
func (s *ngSource) Read(b []byte) (int, error) {
	for len(s.pending) == 0 {
		if s.err == nil {
			s.err = s.block()
		}
		if s.err != nil {
			return 0, s.err
		}
	}
	n := copy(b, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

func (s *ngSource) next() (Packet, error) {
	read := s.out.ReadPacketData
	if s.reuse {
		read = s.out.ZeroCopyReadPacketData
	}
	data, ci, err := read()
	if err != nil {
		return Packet{}, captureFault(s.err, err, s.number, s.start)
	}
	p := packetOf(data, ci, 0)
	if len(ci.AncillaryData) > 0 {
		if l, ok := ci.AncillaryData[0].(layers.LinkType); ok {
			p.LinkType = LinkType(l)
		}
	}
	if ci.InterfaceIndex < len(s.names) {
		p.InterfaceName = s.names[ci.InterfaceIndex]
	}
	return p, nil
}

// wrong is an error about the current block.
func (s *ngSource) wrong(format string, args ...any) error {
	return &CaptureError{Packet: s.number, Offset: s.start, Reason: fmt.Sprintf(format, args...)}
}

func (s *ngSource) cutOff(err error) error {
	return s.in.broken(s.number, s.start, "the block", err)
}

// block reads the next block. What is handed on of it is in pending, which
// stays empty for a block that is skipped.
func (s *ngSource) block() error {
	s.start = s.in.off
	s.number = s.packets + 1
	s.buf = s.buf[:8]
	if err := s.in.full(s.buf); err == io.EOF {
		return io.EOF
	} else if err != nil {
		return s.cutOff(err)
	}
	typ := s.order.Uint32(s.buf)
	if typ == ngSection {
		s.buf = s.buf[:12]
		if err := s.in.full(s.buf[8:]); err != nil {
			return s.cutOff(err)
		}
		switch binary.BigEndian.Uint32(s.buf[8:]) {
		case 0x1a2b3c4d:
			s.order = binary.BigEndian
		case 0x4d3c2b1a:
			s.order = binary.LittleEndian
		default:
			return s.wrong("byte-order magic of a section header is % x", s.buf[8:12])
		}
	}
	total := s.order.Uint32(s.buf[4:])
	if total < 12 || total%4 != 0 {
		return s.wrong("block of type %#x has length %d", typ, total)
	}
	keep, err := s.header(typ, total)
	if err != nil {
		return err
	}
	if err := s.in.skip(int64(total) - 4 - (s.in.off - s.start)); err != nil {
		return s.cutOff(err)
	}
	var trailer [4]byte
	if err := s.in.full(trailer[:]); err != nil {
		return s.cutOff(err)
	}
	if n := s.order.Uint32(trailer[:]); n != total {
		return s.wrong("block of type %#x has length %d in front and %d behind", typ, total, n)
	}
	if !keep {
		return nil
	}
	// What is handed on ends here: a block of its own with a length that fits.
	for len(s.buf)%4 != 0 {
		s.buf = append(s.buf, 0)
	}
	n := uint32(len(s.buf) + 4)
	s.order.PutUint32(s.buf[4:], n)
	s.buf = s.order.AppendUint32(s.buf, n)
	s.pending = s.buf
	return nil
}

// more reads on until n bytes of the block are in buf.
func (s *ngSource) more(n int, total uint32) error {
	if uint32(n) > total-4 {
		return s.wrong("block of length %d is too short for its contents", total)
	}
	have := len(s.buf)
	if n <= have {
		return nil
	}
	s.buf = sized(s.buf, n)
	if err := s.in.full(s.buf[have:]); err != nil {
		return s.cutOff(err)
	}
	return nil
}

// header reads as much of a block as is handed on.
func (s *ngSource) header(typ, total uint32) (keep bool, err error) {
	switch typ {
	case ngSection:
		if err := s.more(24, total); err != nil {
			return false, err
		}
		if major, minor := s.order.Uint16(s.buf[12:]), s.order.Uint16(s.buf[14:]); major != 1 || minor != 0 && minor != 2 {
			return false, s.wrong("section is of version %d.%d, want 1.0", major, minor)
		}
		s.order.PutUint16(s.buf[14:], 0) // 1.2 is the same (it was written by mistake)
		s.names = nil
		return true, nil
	case ngInterface:
		return true, s.interfaceBlock(total)
	case ngPacketOld, ngEnhanced, ngSimple:
		err := s.packetBlock(typ, total)
		return true, err
	}
	return false, nil
}

func (s *ngSource) interfaceBlock(total uint32) error {
	switch {
	case total > ngMaxHeader:
		return s.wrong("interface description of %d bytes", total)
	case len(s.names) == ngMaxInterfaces:
		return s.wrong("more than %d interfaces", ngMaxInterfaces)
	}
	if err := s.more(max(int(total)-4, 16), total); err != nil {
		return err
	}
	name := ""
	opts := s.buf[16:]
	for len(opts) > 0 {
		n := (int(s.order.Uint16(opts[2:])) + 3) &^ 3
		if n > len(opts)-4 {
			return s.wrong("option %d of an interface is longer than its block", s.order.Uint16(opts))
		}
		code := s.order.Uint16(opts)
		if code == 0 {
			break
		}
		if code == 2 {
			name = string(opts[4 : 4+s.order.Uint16(opts[2:])])
		}
		opts = opts[4+n:]
	}
	if len(s.names) == 0 {
		s.snap = s.order.Uint32(s.buf[12:])
	}
	s.names = append(s.names, name)
	return nil
}

// packetBlock reads a packet block up to the end of the data.
func (s *ngSource) packetBlock(typ, total uint32) error {
	at := 28
	if typ == ngSimple {
		at = 12
	}
	if err := s.more(at, total); err != nil {
		return err
	}
	var iface int
	var n, orig uint32
	switch typ {
	case ngSimple:
		orig = s.order.Uint32(s.buf[8:])
		if n = orig; s.snap != 0 {
			n = min(n, s.snap)
		}
	case ngEnhanced:
		iface = int(s.order.Uint32(s.buf[8:]))
	case ngPacketOld:
		iface = int(s.order.Uint16(s.buf[8:]))
	}
	if typ != ngSimple {
		n, orig = s.order.Uint32(s.buf[20:]), s.order.Uint32(s.buf[24:])
	}
	switch {
	case iface < 0 || iface >= len(s.names):
		return s.wrong("packet of interface %d, the section has %d", iface, len(s.names))
	case n > MaxFrame:
		return s.wrong("captured length %d is more than %d", n, MaxFrame)
	case n > orig:
		return s.wrong("captured length %d is more than the packet's length %d", n, orig)
	case orig > 1<<31-1:
		return s.wrong("packet length %d is too large", orig)
	case uint32(at)+n > total-4:
		return s.wrong("captured length %d does not fit into a block of %d bytes", n, total)
	}
	if err := s.more(at+int(n), total); err != nil {
		return err
	}
	s.packets++
	return nil
}
