package packet

import (
	"encoding/binary"
	"fmt"
)

// LinkType says what a captured frame starts with. The values are those of
// pcap and pcapng files (https://www.tcpdump.org/linktypes.html).
type LinkType uint32

// Link types that carry IP and that Parse understands.
const (
	LinkNull      LinkType = 0   // BSD loopback: address family in the byte order of the capturing host
	LinkEthernet  LinkType = 1   // Ethernet with up to two VLAN tags
	LinkPPP       LinkType = 9   // PPP, with or without the HDLC-like address and control bytes
	LinkRawBSD    LinkType = 12  // raw IP as most BSDs number it
	LinkRawOBSD   LinkType = 14  // raw IP as OpenBSD numbers it
	LinkPPPHDLC   LinkType = 50  // PPP in HDLC-like framing, or Cisco HDLC
	LinkPPPoE     LinkType = 51  // PPP over Ethernet, from the PPPoE header on
	LinkRaw       LinkType = 101 // raw IP, version told by the first four bits
	LinkCHDLC     LinkType = 104 // Cisco HDLC
	LinkLoop      LinkType = 108 // OpenBSD loopback: address family in network byte order
	LinkLinuxSLL  LinkType = 113 // Linux cooked capture
	LinkIPv4      LinkType = 228 // raw IPv4
	LinkIPv6      LinkType = 229 // raw IPv6
	LinkLinuxSLL2 LinkType = 276 // Linux cooked capture, version 2
)

// String is the name that tcpdump prints for the link type, without LINKTYPE_.
func (l LinkType) String() string {
	switch l {
	case LinkNull:
		return "NULL"
	case LinkEthernet:
		return "EN10MB"
	case LinkPPP:
		return "PPP"
	case LinkRawBSD, LinkRawOBSD, LinkRaw:
		return "RAW"
	case LinkPPPHDLC:
		return "PPP_HDLC"
	case LinkPPPoE:
		return "PPP_ETHER"
	case LinkCHDLC:
		return "C_HDLC"
	case LinkLoop:
		return "LOOP"
	case LinkLinuxSLL:
		return "LINUX_SLL"
	case LinkIPv4:
		return "IPV4"
	case LinkIPv6:
		return "IPV6"
	case LinkLinuxSLL2:
		return "LINUX_SLL2"
	}
	return fmt.Sprintf("link type %d", uint32(l))
}

// raw reports whether a frame of this type starts with an IP header.
func (l LinkType) raw() bool {
	switch l {
	case LinkRaw, LinkRawBSD, LinkRawOBSD, LinkIPv4, LinkIPv6:
		return true
	}
	return false
}

// Known reports whether Parse knows where the network layer of such a frame is.
func (l LinkType) Known() bool {
	switch l {
	case LinkNull, LinkEthernet, LinkPPP, LinkPPPHDLC, LinkPPPoE, LinkCHDLC, LinkLoop, LinkLinuxSLL, LinkLinuxSLL2:
		return true
	}
	return l.raw()
}

// Network tells where the network layer of a frame starts, behind all VLAN
// tags up to the second, and what it is as an EtherType.
func (l LinkType) Network(frame []byte) (offset int, etherType uint16, err error) {
	var info Info
	if e := info.parseLink(frame, l); e != nil {
		return 0, 0, e
	}
	return info.Network, info.EtherType, nil
}

// ToEthernet gives a frame of any known link type an Ethernet header in place
// of its own, VLAN tags kept, for a consumer that takes Ethernet only. An
// Ethernet frame is returned as it is. The addresses are DefaultSrcMAC and
// DefaultDstMAC.
func ToEthernet(frame []byte, link LinkType) ([]byte, error) {
	if link == LinkEthernet {
		return frame, nil
	}
	var info Info
	if e := info.parseLink(frame, link); e != nil {
		return nil, e
	}
	if info.EtherType == 0 {
		return nil, &Error{"link", 0, "holds a control protocol of PPP, which Ethernet does not carry"}
	}
	out := make([]byte, 0, 22+len(frame)-info.Network)
	out = append(out, DefaultDstMAC[:]...)
	out = append(out, DefaultSrcMAC[:]...)
	for _, v := range info.VLANs[:info.NumVLANs] {
		out = binary.BigEndian.AppendUint16(out, v.TPID)
		out = binary.BigEndian.AppendUint16(out, v.TCI)
	}
	out = binary.BigEndian.AppendUint16(out, info.EtherType)
	return append(out, frame[info.Network:]...), nil
}

// parseLink sets Link, VLANs, EtherType and Network.
func (i *Info) parseLink(frame []byte, link LinkType) *Error {
	i.Link = link
	switch link {
	case LinkEthernet:
		if len(frame) < 14 {
			return tooShort("ethernet", 0, 14, len(frame))
		}
		i.EtherType = binary.BigEndian.Uint16(frame[12:])
		i.Network = 14
		return i.parseVLANs(frame)
	case LinkRaw, LinkRawBSD, LinkRawOBSD, LinkIPv4, LinkIPv6:
		return i.parseRaw(frame)
	case LinkLinuxSLL:
		if len(frame) < 16 {
			return tooShort("linux cooked", 0, 16, len(frame))
		}
		i.EtherType = binary.BigEndian.Uint16(frame[14:])
		i.Network = 16
		return i.parseVLANs(frame)
	case LinkLinuxSLL2:
		if len(frame) < 20 {
			return tooShort("linux cooked v2", 0, 20, len(frame))
		}
		i.EtherType = binary.BigEndian.Uint16(frame)
		i.Network = 20
		return i.parseVLANs(frame)
	case LinkNull, LinkLoop:
		return i.parseLoopback(frame)
	case LinkCHDLC:
		if len(frame) < 4 {
			return tooShort("hdlc", 0, 4, len(frame))
		}
		i.EtherType = binary.BigEndian.Uint16(frame[2:])
		i.Network = 4
		return nil
	case LinkPPP:
		return i.parsePPP(frame, 0)
	case LinkPPPHDLC:
		if len(frame) >= 4 && (frame[0] == 0x0f || frame[0] == 0x8f) {
			return i.parseLink(frame, LinkCHDLC)
		}
		return i.parsePPP(frame, 0)
	case LinkPPPoE:
		if len(frame) < 6 {
			return tooShort("pppoe", 0, 6, len(frame))
		}
		return i.parsePPP(frame, 6)
	}
	return &Error{Layer: "link", Reason: fmt.Sprintf("%v is not known", link)}
}

func (i *Info) parseVLANs(frame []byte) *Error {
	for i.NumVLANs < 2 && (i.EtherType == EtherTypeVLAN || i.EtherType == EtherTypeQinQ) {
		if len(frame) < i.Network+4 {
			return tooShort("vlan", i.Network, 4, len(frame)-i.Network)
		}
		i.VLANs[i.NumVLANs] = VLAN{TPID: i.EtherType, TCI: binary.BigEndian.Uint16(frame[i.Network:])}
		i.NumVLANs++
		i.EtherType = binary.BigEndian.Uint16(frame[i.Network+2:])
		i.Network += 4
	}
	return nil
}

func (i *Info) parseRaw(frame []byte) *Error {
	switch i.Link {
	case LinkIPv4:
		i.EtherType = EtherTypeIPv4
		return nil
	case LinkIPv6:
		i.EtherType = EtherTypeIPv6
		return nil
	}
	if len(frame) == 0 {
		return tooShort("ip", 0, 20, 0)
	}
	switch frame[0] >> 4 {
	case 4:
		i.EtherType = EtherTypeIPv4
	case 6:
		i.EtherType = EtherTypeIPv6
	default:
		return &Error{Layer: "ip", Reason: fmt.Sprintf("version %d is neither 4 nor 6", frame[0]>>4)}
	}
	return nil
}

// parseLoopback reads an address family of any system: AF_INET is 2 on all,
// AF_INET6 is 10 on Linux, 24, 28 or 30 on the BSDs. For LinkNull the byte
// order is the capturing host's, which the frame does not tell, but a family
// fits in one byte.
func (i *Info) parseLoopback(frame []byte) *Error {
	if len(frame) < 4 {
		return tooShort("loopback", 0, 4, len(frame))
	}
	i.Network = 4
	af := binary.BigEndian.Uint32(frame)
	if i.Link == LinkNull && af > 0xff {
		af = binary.LittleEndian.Uint32(frame)
	}
	switch af {
	case 2:
		i.EtherType = EtherTypeIPv4
	case 10, 24, 28, 30:
		i.EtherType = EtherTypeIPv6
	default:
		return &Error{Layer: "loopback", Reason: fmt.Sprintf("address family %d is neither IPv4 nor IPv6", af)}
	}
	return nil
}

// parsePPP reads a PPP protocol field at off, which may follow the bytes
// FF 03 and may be compressed to one byte (RFC 1661: then it is odd).
func (i *Info) parsePPP(frame []byte, off int) *Error {
	if len(frame) >= off+2 && frame[off] == 0xff && frame[off+1] == 0x03 {
		off += 2
	}
	if len(frame) < off+2 {
		return tooShort("ppp", off, 2, len(frame)-off)
	}
	proto := uint16(frame[off])
	i.Network = off + 1
	if proto&1 == 0 {
		proto = proto<<8 | uint16(frame[off+1])
		i.Network = off + 2
	}
	switch proto {
	case 0x21:
		i.EtherType = EtherTypeIPv4
	case 0x57:
		i.EtherType = EtherTypeIPv6
	default:
		// Control protocols: no EtherType, no network layer that Parse reads.
		i.EtherType = 0
	}
	return nil
}
