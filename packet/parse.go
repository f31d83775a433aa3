package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// VLAN is one tag of a frame.
type VLAN struct {
	TPID uint16 // EtherTypeVLAN or EtherTypeQinQ
	TCI  uint16 // priority (3 bits), drop eligible (1), id (12)
}

// ID is the VLAN number, 0 to 4095.
func (v VLAN) ID() uint16 { return v.TCI & 0xfff }

// Priority is the priority code point, 0 to 7.
func (v VLAN) Priority() uint8 { return uint8(v.TCI >> 13) }

// DEI is the drop eligible indicator.
func (v VLAN) DEI() bool { return v.TCI&0x1000 != 0 }

// Info is what Parse finds in a frame: offsets into it and the fields that
// decide where the next header is. It holds no reference to the frame.
type Info struct {
	Link      LinkType
	EtherType uint16 // of the network layer, behind VLAN tags
	NumVLANs  uint8
	VLANs     [2]VLAN // outermost first

	IPInfo        // the packet itself
	Inner  IPInfo // the packet quoted by an ICMP error; Version 0 if there is none
}

// IPInfo describes an IP packet inside a frame. Every offset counts from the
// start of the frame and lies in it; the zero Transport and Payload mean that
// there is none, which is no valid offset as an IP header comes before.
type IPInfo struct {
	Version uint8 // 4, 6, or 0 when the network layer is no IP
	Proto   uint8 // of the transport layer, behind IPv6 extension headers

	Fragment      bool // part of a fragmented packet, the first included
	MoreFragments bool
	Truncated     bool // the frame ends before the length in the IP header says so

	ICMPType, ICMPCode uint8
	SrcPort, DstPort   uint16 // of TCP, UDP, UDP-Lite, SCTP and DCCP

	FragOffset int    // in bytes
	FragID     uint32 // IPv4 identification; that of the IPv6 fragment header

	Network   int // the IP header; of any network layer if Version is 0
	Transport int // the TCP, UDP, ICMP, ... header; 0 in all fragments but the first
	Payload   int // what follows the transport header; in later fragments, the fragment's data
	End       int // first byte behind the packet; a frame may be padded behind it
	FragHdr   int // the IPv6 fragment header, 0 if there is none
}

// Src is the source address. The frame is the one that was parsed.
func (p *IPInfo) Src(frame []byte) netip.Addr {
	switch p.Version {
	case 4:
		return netip.AddrFrom4([4]byte(frame[p.Network+12:]))
	case 6:
		return netip.AddrFrom16([16]byte(frame[p.Network+8:]))
	}
	return netip.Addr{}
}

// Dst is the destination address. The frame is the one that was parsed.
func (p *IPInfo) Dst(frame []byte) netip.Addr {
	switch p.Version {
	case 4:
		return netip.AddrFrom4([4]byte(frame[p.Network+16:]))
	case 6:
		return netip.AddrFrom16([16]byte(frame[p.Network+24:]))
	}
	return netip.Addr{}
}

// Parse walks the headers of a frame that starts as first says, without
// allocating memory. A network layer other than IP is no error: Version is 0.
//
// The error, if there is one, is an *Error, and Info holds what was found
// before the fault. A frame that a capture cut short parses if its headers are
// whole; it is marked Truncated. Checksums are not looked at, see VerifyL3 and
// VerifyL4.
func Parse(frame []byte, first LinkType) (Info, error) {
	var info Info
	if err := info.parseLink(frame, first); err != nil {
		return info, err
	}
	if err := info.parseNetwork(frame); err != nil {
		return info, err
	}
	return info, nil
}

func (i *Info) parseNetwork(frame []byte) *Error {
	var err *Error
	switch i.EtherType {
	case EtherTypeIPv4:
		err = i.parseIPv4(frame, i.Network, len(frame), false)
	case EtherTypeIPv6:
		err = i.parseIPv6(frame, i.Network, len(frame), false)
	default:
		i.End = len(frame)
		return nil
	}
	if err != nil || i.Transport == 0 || !isICMPError(i.Proto, i.ICMPType) {
		return err
	}
	if i.Proto == ProtoICMP && i.Version == 4 {
		return i.Inner.parseIPv4(frame, i.Payload, i.End, true)
	}
	if i.Proto == ProtoICMPv6 && i.Version == 6 {
		return i.Inner.parseIPv6(frame, i.Payload, i.End, true)
	}
	return nil
}

// parseIPv4 reads an IPv4 packet at off that may not reach beyond limit. One
// that an ICMP error quotes usually ends early.
func (p *IPInfo) parseIPv4(frame []byte, off, limit int, quoted bool) *Error {
	if limit-off < 20 {
		return tooShort(layerName("ipv4", quoted), off, 20, limit-off)
	}
	h := frame[off : off+20]
	hlen := int(h[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(h[2:]))
	switch {
	case h[0]>>4 != 4:
		return &Error{layerName("ipv4", quoted), off, fmt.Sprintf("version is %d", h[0]>>4)}
	case hlen < 20:
		return &Error{layerName("ipv4", quoted), off, fmt.Sprintf("header length %d is less than 20", hlen)}
	case hlen > limit-off:
		return tooShort(layerName("ipv4", quoted), off, hlen, limit-off)
	case total < hlen:
		return &Error{layerName("ipv4", quoted), off + 2, fmt.Sprintf("total length %d is less than the header's %d", total, hlen)}
	}
	p.Version = 4
	p.Network = off
	p.Proto = h[9]
	p.End = off + total
	if p.End > limit {
		p.End = limit
		p.Truncated = true
	}
	frag := binary.BigEndian.Uint16(h[6:])
	p.FragID = uint32(binary.BigEndian.Uint16(h[4:]))
	p.FragOffset = int(frag&0x1fff) * 8
	p.MoreFragments = frag&0x2000 != 0
	p.Fragment = p.MoreFragments || p.FragOffset != 0
	return p.parseTransport(frame, off+hlen, quoted)
}

// parseIPv6 reads an IPv6 packet and its extension headers.
func (p *IPInfo) parseIPv6(frame []byte, off, limit int, quoted bool) *Error {
	if limit-off < 40 {
		return tooShort(layerName("ipv6", quoted), off, 40, limit-off)
	}
	h := frame[off : off+40]
	if h[0]>>4 != 6 {
		return &Error{layerName("ipv6", quoted), off, fmt.Sprintf("version is %d", h[0]>>4)}
	}
	p.Version = 6
	p.Network = off
	p.Proto = h[6]
	payload := int(binary.BigEndian.Uint16(h[4:]))
	p.End = off + 40 + payload
	if payload == 0 && p.Proto == ProtoHopByHop {
		p.End = limit // a jumbogram (RFC 2675): its length is in the option, the frame's end says the same
	}
	if p.End > limit {
		p.End = limit
		p.Truncated = true
	}
	off += 40
	for {
		size := 0
		switch p.Proto {
		case ProtoHopByHop, ProtoRouting, ProtoDstOpts, ProtoAH:
			if p.End-off < 8 {
				return tooShort(layerName("ipv6 extension header", quoted), off, 8, p.End-off)
			}
			size = 8 * (int(frame[off+1]) + 1)
			if p.Proto == ProtoAH {
				size = 4 * (int(frame[off+1]) + 2)
			}
			if p.End-off < size {
				return tooShort(layerName("ipv6 extension header", quoted), off, size, p.End-off)
			}
		case ProtoFragment:
			if p.End-off < 8 {
				return tooShort(layerName("ipv6 fragment header", quoted), off, 8, p.End-off)
			}
			size = 8
			frag := binary.BigEndian.Uint16(frame[off+2:])
			p.FragHdr = off
			p.FragID = binary.BigEndian.Uint32(frame[off+4:])
			p.FragOffset = int(frag &^ 7)
			p.MoreFragments = frag&1 != 0
			// An atomic fragment (offset 0, no more) is one too: RFC 6946.
			p.Fragment = true
		default:
			return p.parseTransport(frame, off, quoted)
		}
		p.Proto = frame[off]
		off += size
		if p.FragOffset != 0 {
			// What follows is the middle of something, not a header.
			return p.parseTransport(frame, off, quoted)
		}
	}
}

// parseTransport reads the transport header at off. Of a quoted packet only
// the first eight bytes need be there.
func (p *IPInfo) parseTransport(frame []byte, off int, quoted bool) *Error {
	if p.FragOffset != 0 {
		p.Payload = off
		return nil
	}
	left := p.End - off
	need := 0
	switch p.Proto {
	case ProtoTCP:
		need = 20
	case ProtoUDP, ProtoUDPLite, ProtoICMP, ProtoICMPv6:
		need = 8
	case ProtoSCTP, ProtoDCCP:
		need = 12
	}
	if quoted {
		need = min(need, 8)
	}
	if left < need {
		return tooShort(layerName(ProtoName(p.Proto), quoted), off, need, left)
	}
	p.Transport = off
	p.Payload = off
	switch p.Proto {
	case ProtoTCP:
		p.ports(frame[off:])
		size := 20
		if left >= 13 {
			size = int(frame[off+12]>>4) * 4
			if size < 20 {
				return &Error{layerName("tcp", quoted), off + 12, fmt.Sprintf("header length %d is less than 20", size)}
			}
		}
		if size > left {
			if !quoted {
				return tooShort("tcp", off, size, left)
			}
			size = left
		}
		p.Payload = off + size
	case ProtoUDP:
		p.ports(frame[off:])
		if n := binary.BigEndian.Uint16(frame[off+4:]); n < 8 && n != 0 {
			return &Error{layerName("udp", quoted), off + 4, fmt.Sprintf("length %d is less than 8", n)}
		}
		p.Payload = off + 8
	case ProtoUDPLite:
		p.ports(frame[off:])
		p.Payload = off + 8
	case ProtoSCTP, ProtoDCCP:
		p.ports(frame[off:])
		p.Payload = off + min(12, left)
	case ProtoICMP, ProtoICMPv6:
		p.ICMPType, p.ICMPCode = frame[off], frame[off+1]
		p.Payload = off + 8
	}
	return nil
}

func (p *IPInfo) ports(h []byte) {
	p.SrcPort = binary.BigEndian.Uint16(h)
	p.DstPort = binary.BigEndian.Uint16(h[2:])
}

func layerName(name string, quoted bool) string {
	if quoted {
		return "quoted " + name
	}
	return name
}
