package conntrack

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Dir is the direction of a tuple: IP_CT_DIR_ORIGINAL or IP_CT_DIR_REPLY.
type Dir uint8

// The directions.
const (
	Original Dir = 0 // as the first packet went
	Reply    Dir = 1 // as its answers come
)

// String is "original" or "reply".
func (d Dir) String() string {
	if d == Original {
		return "original"
	}
	return "reply"
}

// Family is an address family, with Linux' numbers on every system.
type Family uint8

// The families that are tracked.
const (
	IPv4 Family = 2  // AF_INET
	IPv6 Family = 10 // AF_INET6
)

// String is "ipv4" or "ipv6".
func (f Family) String() string {
	switch f {
	case IPv4:
		return "ipv4"
	case IPv6:
		return "ipv6"
	}
	return fmt.Sprintf("family %d", uint8(f))
}

// The layer 4 protocols that mean something to the tracker.
const (
	ProtoICMP    = 1
	ProtoTCP     = 6
	ProtoUDP     = 17
	ProtoGRE     = 47
	ProtoICMPv6  = 58
	ProtoSCTP    = 132
	ProtoUDPLite = 136
)

// Addr is an address as union nf_inet_addr has it: network order, an IPv4
// address in the first four bytes. The tracker's own tuples have zeros in the
// other twelve; a NAT address of a program may not, which Linux takes into
// account in one place (see [Conn.SetNATInfo]), so the bytes are kept.
type Addr [16]byte

// AddrFrom is a as the tracker has it. An IPv4-mapped IPv6 address stays IPv6.
func AddrFrom(a netip.Addr) Addr {
	var out Addr
	if a.Is4() {
		b := a.As4()
		copy(out[:], b[:])
		return out
	}
	return a.As16()
}

// Netip is the address that a means in family f.
func (a Addr) Netip(f Family) netip.Addr {
	if f == IPv4 {
		return netip.AddrFrom4([4]byte(a[:4]))
	}
	return netip.AddrFrom16(a)
}

// Tuple says whence and whither the packets of one direction go. It is
// comparable; == is nf_ct_tuple_equal.
type Tuple struct {
	Src, Dst Addr
	// SrcPort is the port, the ICMP id or the GRE key, in host order.
	SrcPort uint16
	// DstPort is the port, or type<<8|code of an ICMP message.
	DstPort uint16
	Family  Family
	Proto   uint8
}

// TupleFrom is the tuple of a packet of proto from src to dst. The family is
// that of src.
func TupleFrom(proto uint8, src, dst netip.AddrPort) Tuple {
	f := IPv6
	if src.Addr().Is4() {
		f = IPv4
	}
	return Tuple{
		Src: AddrFrom(src.Addr()), Dst: AddrFrom(dst.Addr()),
		SrcPort: src.Port(), DstPort: dst.Port(), Family: f, Proto: proto,
	}
}

// ICMPTuple is the tuple of an ICMP or ICMPv6 message with an id.
func ICMPTuple(proto uint8, src, dst netip.Addr, typ, code uint8, id uint16) Tuple {
	return TupleFrom(proto, netip.AddrPortFrom(src, id),
		netip.AddrPortFrom(dst, uint16(typ)<<8|uint16(code)))
}

// SrcAddrPort is the source as the standard library has it.
func (t Tuple) SrcAddrPort() netip.AddrPort {
	return netip.AddrPortFrom(t.Src.Netip(t.Family), t.SrcPort)
}

// DstAddrPort is the destination as the standard library has it.
func (t Tuple) DstAddrPort() netip.AddrPort {
	return netip.AddrPortFrom(t.Dst.Netip(t.Family), t.DstPort)
}

// String is "tcp 10.0.0.1:1 -> 10.0.0.2:80".
func (t Tuple) String() string {
	return fmt.Sprintf("%s %s -> %s", protoName(t.Proto), t.SrcAddrPort(), t.DstAddrPort())
}

// Invert is the tuple of the answer, as nf_ct_invert_tuple makes it. It is
// false for an ICMP type that has no answer and for a family that is not
// tracked.
func (t Tuple) Invert() (Tuple, bool) {
	r := Tuple{Family: t.Family, Proto: t.Proto}
	switch t.Family {
	case IPv4: // bytes past the fourth mean nothing and are dropped
		copy(r.Src[:4], t.Dst[:4])
		copy(r.Dst[:4], t.Src[:4])
	case IPv6:
		r.Src, r.Dst = t.Dst, t.Src
	default:
		return Tuple{}, false
	}
	switch t.Proto {
	case ProtoICMP, ProtoICMPv6:
		typ, ok := invertICMP(t.Proto, uint8(t.DstPort>>8))
		if !ok {
			return Tuple{}, false
		}
		r.SrcPort = t.SrcPort
		r.DstPort = uint16(typ)<<8 | t.DstPort&0xff
	default:
		r.SrcPort, r.DstPort = t.DstPort, t.SrcPort
	}
	return r, true
}

// invertICMP is the type that answers typ. Only requests that carry an id, and
// their answers, have one.
func invertICMP(proto, typ uint8) (uint8, bool) {
	if proto == ProtoICMP {
		switch typ {
		case 8: // echo request
			return 0, true
		case 0:
			return 8, true
		case 13, 15, 17: // timestamp, information, address mask: request
			return typ + 1, true
		case 14, 16, 18:
			return typ - 1, true
		}
		return 0, false
	}
	switch typ {
	case 128, 139: // echo request, node information query
		return typ + 1, true
	case 129, 140:
		return typ - 1, true
	}
	return 0, false
}

// words packs the tuple and a zone id into five words for hashing; nothing of
// them is lost.
func (t *Tuple) words(zone uint16) (a, b, c, d, e uint64) {
	le := binary.LittleEndian
	return le.Uint64(t.Src[:8]), le.Uint64(t.Src[8:]), le.Uint64(t.Dst[:8]), le.Uint64(t.Dst[8:]),
		uint64(t.SrcPort) | uint64(t.DstPort)<<16 | uint64(t.Family)<<32 | uint64(t.Proto)<<40 | uint64(zone)<<48
}

func protoName(p uint8) string {
	switch p {
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case ProtoUDPLite:
		return "udplite"
	case ProtoICMP:
		return "icmp"
	case ProtoICMPv6:
		return "icmpv6"
	case ProtoSCTP:
		return "sctp"
	case ProtoGRE:
		return "gre"
	}
	return "unknown"
}
