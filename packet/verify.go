package packet

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
)

// VerifyL3 checks the header checksum of IPv4. It is nil where there is none
// to check. info is what Parse found in the frame.
func VerifyL3(frame []byte, info *Info) error { return info.verifyL3(frame) }

// VerifyL4 checks the checksum of TCP, UDP, UDP-Lite, ICMP, ICMPv6 and SCTP.
// It is nil also where nothing can be checked: in a fragment, in a frame that
// a capture cut short, in UDP over IPv4 without a checksum, and for any other
// protocol. info is what Parse found in the frame.
func VerifyL4(frame []byte, info *Info) error {
	c, ok := info.l4sum(frame)
	if !ok {
		return nil
	}
	if c.proto == ProtoUDP && c.have == 0 {
		if info.Version == 6 {
			return &Error{"udp", c.field, "checksum 0 is not allowed over IPv6"}
		}
		return nil
	}
	if !c.right() {
		return &Error{ProtoName(c.proto), c.field, fmt.Sprintf("checksum %#0*x, right is %#0*x", 2*c.size, c.have, 2*c.size, c.want)}
	}
	return nil
}

// FixChecksums writes the right checksums of the IPv4 header and the transport
// header into a frame. What VerifyL4 cannot check stays as it is, but UDP gets
// a checksum also where it had none. The packet that an ICMP error quotes is
// left alone: it is evidence, right or wrong.
func FixChecksums(frame []byte, link LinkType) error {
	info, err := Parse(frame, link)
	if err != nil {
		return err
	}
	if info.Version == 4 {
		fixIPv4(frame[info.Network:])
	}
	if c, ok := info.l4sum(frame); ok {
		c.put(frame)
	}
	return nil
}

func fixIPv4(h []byte) {
	h = h[:int(h[0]&0xf)*4]
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], Checksum(h))
}

func (p *IPInfo) verifyL3(frame []byte) error {
	if p.Version != 4 {
		return nil
	}
	h := frame[p.Network:]
	h = h[:int(h[0]&0xf)*4]
	if Checksum(h) == 0 {
		return nil
	}
	have := binary.BigEndian.Uint16(h[10:])
	want := ^CsumFrom32To16(uint32(^Checksum(h)) + uint32(^have))
	return &Error{"ipv4", p.Network + 10, fmt.Sprintf("checksum %#04x, right is %#04x", have, want)}
}

// l4check is the checksum of a transport header: where it stands, what stands
// there and what should.
type l4check struct {
	proto      uint8
	field      int // offset in the frame
	size       int // 2 or 4 bytes
	have, want uint32
}

// right takes the two forms of zero in ones' complement for the same, as a
// receiver does.
func (c *l4check) right() bool {
	return c.have == c.want || c.size == 2 && c.have%0xffff == 0 && c.want%0xffff == 0
}

func (c *l4check) put(frame []byte) {
	if c.size == 4 {
		binary.BigEndian.PutUint32(frame[c.field:], c.want)
		return
	}
	binary.BigEndian.PutUint16(frame[c.field:], uint16(c.want))
}

// l4sum computes the transport checksum. It is not ok where it cannot be
// known.
func (p *IPInfo) l4sum(frame []byte) (c l4check, ok bool) {
	if p.Version == 0 || p.Transport == 0 || p.Truncated || p.MoreFragments {
		return c, false
	}
	seg := frame[p.Transport:p.End]
	c = l4check{proto: p.Proto, size: 2}
	at, cover, pseudo := 0, len(seg), true
	switch p.Proto {
	case ProtoTCP:
		at = 16
	case ProtoUDP:
		at = 6
		if n := int(binary.BigEndian.Uint16(seg[4:])); n != 0 {
			if n < 8 || n > len(seg) {
				return c, false
			}
			seg = seg[:n]
			cover = n
		}
	case ProtoUDPLite:
		at = 6
		if n := int(binary.BigEndian.Uint16(seg[4:])); n != 0 {
			if n < 8 || n > len(seg) {
				return c, false
			}
			cover = n
		}
	case ProtoICMP:
		at, pseudo = 2, false
	case ProtoICMPv6:
		at = 2
	case ProtoSCTP:
		c.size, c.field = 4, p.Transport+8
		c.have, c.want = binary.BigEndian.Uint32(seg[8:]), ChecksumSCTP(seg)
		return c, true
	default:
		return c, false
	}
	c.field = p.Transport + at
	have := binary.BigEndian.Uint16(seg[at:])
	var sum uint32
	if pseudo {
		sum = CsumPseudo(p.Src(frame), p.finalDst(frame), p.Proto, len(seg))
	}
	sum = CsumPartial(seg[:at], sum)
	sum = CsumPartial(seg[at+2:cover], sum)
	want := bits.ReverseBytes16(CsumFold(sum))
	if want == 0 && (p.Proto == ProtoUDP || p.Proto == ProtoUDPLite) {
		want = 0xffff // 0 says that there is none
	}
	c.have, c.want = uint32(have), uint32(want)
	return c, true
}

// finalDst is the destination that the pseudo header has: with an IPv6 routing
// header that has segments left, the last address on the way (RFC 8200, 8.1).
func (p *IPInfo) finalDst(frame []byte) netip.Addr {
	dst := p.Dst(frame)
	if p.Version != 6 {
		return dst
	}
	next, off := frame[p.Network+6], p.Network+40
	for off < p.Transport {
		size := 8 * (int(frame[off+1]) + 1)
		switch next {
		case ProtoAH:
			size = 4 * (int(frame[off+1]) + 2)
		case ProtoFragment:
			size = 8
		case ProtoRouting:
			if frame[off+3] == 0 || size < 24 {
				break // no segments left: the header's destination is the last
			}
			switch frame[off+2] {
			case 0, 2:
				return netip.AddrFrom16([16]byte(frame[off+size-16:]))
			case 4: // segment routing lists the way backwards
				return netip.AddrFrom16([16]byte(frame[off+8:]))
			}
		}
		next = frame[off]
		off += size
	}
	return dst
}
