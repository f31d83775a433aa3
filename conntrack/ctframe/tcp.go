package ctframe

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/conntrack"
)

// TCP options that the tracker looks at.
const (
	optEnd           = 0
	optNop           = 1
	optWScale        = 3
	optSACKPermitted = 4
	optSACK          = 5
)

func (h *header) tcp(p *conntrack.Packet, size int) {
	if !h.need(p, 20) {
		return
	}
	doff := int(h.u8(12)>>4) * 4
	if doff < 20 || doff > size {
		p.Fault, p.FaultN = conntrack.ReasonBadLength, [3]uint32{uint32(doff), uint32(size)}
		return
	}
	s := &p.TCP
	s.Seq, s.Ack = h.u32(4), h.u32(8)
	s.SACK = s.Ack
	s.Flags = h.u8(13)
	s.Window = h.u16(14)
	s.Len = uint32(size - doff)
	s.HasOptions = doff > 20
	tcpOptions(s, h.frame[h.at+20:min(h.at+doff, h.end)])
}

// tcpOptions walks the options up to the first that cannot be right.
func tcpOptions(s *conntrack.TCPSegment, o []byte) {
	for len(o) > 0 {
		switch o[0] {
		case optEnd:
			return
		case optNop:
			o = o[1:]
			continue
		}
		if len(o) < 2 || int(o[1]) < 2 || int(o[1]) > len(o) {
			return
		}
		n := int(o[1])
		switch {
		case o[0] == optSACKPermitted && n == 2:
			s.SACKPermitted = true
		case o[0] == optWScale && n == 3:
			s.HasWScale, s.WScale = true, o[2]
		case o[0] == optSACK && n >= 10 && n%8 == 2:
			for b := o[2:n]; len(b) >= 8; b = b[8:] {
				if right := binary.BigEndian.Uint32(b[4:]); int32(s.SACK-right) < 0 {
					s.SACK = right
				}
			}
		}
		o = o[n:]
	}
}
