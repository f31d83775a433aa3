package packet

import (
	"encoding/binary"
	"fmt"
)

// Build makes the bytes of a frame. The error is an *Error whose Offset is
// where the part that cannot be would start.
func (f *Frame) Build() ([]byte, error) {
	b, err := f.build()
	if err != nil {
		return nil, err
	}
	if len(b) > MaxFrame {
		return nil, &Error{"frame", 0, fmt.Sprintf("%d bytes are more than %d", len(b), MaxFrame)}
	}
	return b, nil
}

func (f *Frame) build() ([]byte, error) {
	if f.Bytes != nil {
		return append([]byte{}, f.Bytes...), nil
	}
	var b []byte
	switch f.Link {
	case LinkEthernet:
		b = append(b, f.Dst[:]...)
		b = append(b, f.Src[:]...)
		for _, v := range f.VLANs {
			b = binary.BigEndian.AppendUint16(b, v.TPID)
			b = binary.BigEndian.AppendUint16(b, v.TCI)
		}
		b = binary.BigEndian.AppendUint16(b, f.etherType())
	case LinkRaw:
		if f.IP == nil && f.ARP != nil {
			return nil, &Error{"arp", 0, "needs an Ethernet header"}
		}
	default:
		return nil, &Error{"link", 0, fmt.Sprintf("%v frames cannot be built", f.Link)}
	}
	switch {
	case f.IP != nil:
		var err error
		if b, err = f.IP.append(b, 0); err != nil {
			return nil, err
		}
	case f.ARP != nil:
		a := f.ARP
		if !a.SenderIP.Is4() || !a.TargetIP.Is4() {
			return nil, &Error{"arp", len(b), "needs IPv4 addresses"}
		}
		b = append(b, 0, 1, 8, 0, 6, 4)
		b = binary.BigEndian.AppendUint16(b, a.Op)
		b = append(b, a.SenderMAC[:]...)
		b = append(b, a.SenderIP.AsSlice()...)
		b = append(b, a.TargetMAC[:]...)
		b = append(b, a.TargetIP.AsSlice()...)
	default:
		return append(b, f.Data...), nil
	}
	return append(b, f.Trailer...), nil
}

func (f *Frame) etherType() uint16 {
	switch {
	case f.IP != nil && f.IP.V6():
		return EtherTypeIPv6
	case f.IP != nil:
		return EtherTypeIPv4
	case f.ARP != nil:
		return EtherTypeARP
	}
	return f.Type
}

// maxQuotes bounds how deep packets may quote packets.
const maxQuotes = 8

// append builds the packet at the end of b.
func (p *IP) append(b []byte, depth int) ([]byte, error) {
	if depth > maxQuotes {
		return nil, &Error{"ip", len(b), fmt.Sprintf("packets quoted more than %d deep", maxQuotes)}
	}
	start := len(b)
	var err error
	if p.V6() {
		b, err = p.appendV6(b)
	} else {
		b, err = p.appendV4(b)
	}
	if err != nil {
		return nil, err
	}
	transport := len(b)
	if b, err = p.appendTransport(b, depth); err != nil {
		return nil, err
	}
	if err := p.setLengths(b[start:], transport-start, start); err != nil {
		return nil, err
	}
	if p.Cut != nil {
		if *p.Cut < 0 || *p.Cut > len(b)-transport {
			return nil, &Error{"ip", start, fmt.Sprintf("cannot cut at byte %d of %d", *p.Cut, len(b)-transport)}
		}
		b = b[:transport+*p.Cut]
	}
	return b, nil
}

// setLengths fills in the IP length and the IPv4 checksum of the packet b
// whose transport header is at hlen and which starts at byte off of its frame.
func (p *IP) setLengths(b []byte, hlen, off int) error {
	at, n := 2, len(b)
	if p.V6() {
		at, n = 4, len(b)-40
	}
	switch {
	case p.Len != nil:
		n = int(*p.Len)
	case n > 0xffff:
		return &Error{"ip", off, fmt.Sprintf("length %d is more than %d", n, 0xffff)}
	}
	binary.BigEndian.PutUint16(b[at:], uint16(n))
	if p.V6() {
		return nil
	}
	if p.Sum != nil {
		binary.BigEndian.PutUint16(b[10:], *p.Sum)
	} else {
		binary.BigEndian.PutUint16(b[10:], Checksum(b[:hlen]))
	}
	return nil
}

func (p *IP) appendV4(b []byte) ([]byte, error) {
	switch {
	case !p.Src.Is4() || !p.Dst.Is4():
		return nil, &Error{"ip", len(b), fmt.Sprintf("addresses %v and %v are not of one family", p.Src, p.Dst)}
	case len(p.Options)%4 != 0 || len(p.Options) > 40:
		return nil, &Error{"ipv4", len(b), fmt.Sprintf("%d bytes of options, want a multiple of 4 up to 40", len(p.Options))}
	case p.FragOffset%8 != 0 || p.FragOffset < 0 || p.FragOffset > 0x1fff*8:
		return nil, &Error{"ipv4", len(b), fmt.Sprintf("fragment offset %d, want a multiple of 8 up to %d", p.FragOffset, 0x1fff*8)}
	case len(p.Ext) > 0:
		return nil, &Error{"ipv4", len(b), "extension headers are for IPv6"}
	}
	frag := uint16(p.FragOffset / 8)
	for _, f := range []struct {
		set bool
		bit uint16
	}{{p.RF, 0x8000}, {p.DF, 0x4000}, {p.MF, 0x2000}} {
		if f.set {
			frag |= f.bit
		}
	}
	b = append(b, 0x40|uint8(5+len(p.Options)/4), p.TOS, 0, 0)
	b = binary.BigEndian.AppendUint16(b, p.ID)
	b = binary.BigEndian.AppendUint16(b, frag)
	b = append(b, p.TTL, p.proto(), 0, 0)
	b = append(b, p.Src.AsSlice()...)
	b = append(b, p.Dst.AsSlice()...)
	return append(b, p.Options...), nil
}

func (p *IP) appendV6(b []byte) ([]byte, error) {
	if !p.Dst.Is6() {
		return nil, &Error{"ip", len(b), fmt.Sprintf("addresses %v and %v are not of one family", p.Src, p.Dst)}
	}
	b = binary.BigEndian.AppendUint32(b, 6<<28|uint32(p.TOS)<<20|p.FlowLabel&0xfffff)
	b = append(b, 0, 0, p.proto(), p.TTL)
	s, d := p.Src.As16(), p.Dst.As16()
	b = append(b, s[:]...)
	b = append(b, d[:]...)
	next := len(b) - 40 + 6
	for _, e := range p.Ext {
		if len(e.Data) < 8 || len(e.Data)%8 != 0 {
			return nil, &Error{"ipv6 extension header", len(b), fmt.Sprintf("%d bytes, want a multiple of 8", len(e.Data))}
		}
		b[next] = e.Proto
		next = len(b)
		b = append(b, e.Data...)
		b[next] = p.proto()
	}
	return b, nil
}

// proto is the number of the transport protocol.
func (p *IP) proto() uint8 {
	switch {
	case p.TCP != nil:
		return ProtoTCP
	case p.UDP != nil:
		return ProtoUDP
	case p.ICMP != nil && p.Proto == 0 && p.V6():
		return ProtoICMPv6
	case p.ICMP != nil && p.Proto == 0:
		return ProtoICMP
	}
	return p.Proto
}

// appendTransport builds what follows the IP header.
func (p *IP) appendTransport(b []byte, depth int) ([]byte, error) {
	start, sumAt := len(b), 0
	var sum *uint16
	switch {
	case p.TCP != nil:
		t := p.TCP
		if len(t.Options)%4 != 0 || len(t.Options) > 40 {
			return nil, &Error{"tcp", start, fmt.Sprintf("%d bytes of options, want a multiple of 4 up to 40", len(t.Options))}
		}
		b = binary.BigEndian.AppendUint16(b, t.Src)
		b = binary.BigEndian.AppendUint16(b, t.Dst)
		b = binary.BigEndian.AppendUint32(b, t.Seq)
		b = binary.BigEndian.AppendUint32(b, t.Ack)
		b = binary.BigEndian.AppendUint16(b, uint16(5+len(t.Options)/4)<<12|t.Flags&0xfff)
		b = binary.BigEndian.AppendUint16(b, t.Window)
		b = append(b, 0, 0)
		b = binary.BigEndian.AppendUint16(b, t.Urgent)
		b = append(b, t.Options...)
		sum, sumAt = t.Sum, start+16
	case p.UDP != nil:
		u := p.UDP
		n := 8 + len(p.Payload)
		if u.Len != nil {
			n = int(*u.Len)
		} else if n > 0xffff {
			return nil, &Error{"udp", start, fmt.Sprintf("length %d is more than %d", n, 0xffff)}
		}
		b = binary.BigEndian.AppendUint16(b, u.Src)
		b = binary.BigEndian.AppendUint16(b, u.Dst)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
		b = append(b, 0, 0)
		sum, sumAt = u.Sum, start+6
	case p.ICMP != nil:
		if n := p.proto(); n != ProtoICMP && n != ProtoICMPv6 {
			return nil, &Error{"icmp", start, fmt.Sprintf("protocol %d is not ICMP", n)}
		}
		b = append(b, p.ICMP.Type, p.ICMP.Code, 0, 0)
		b = binary.BigEndian.AppendUint32(b, p.ICMP.Rest)
		sum, sumAt = p.ICMP.Sum, start+2
	}
	if p.ICMP != nil && p.Quote != nil {
		var err error
		if b, err = p.Quote.append(b, depth+1); err != nil {
			return nil, err
		}
		b = append(b, p.Quote.Trailer...)
	} else {
		b = append(b, p.Payload...)
	}
	if sumAt == 0 {
		return b, nil
	}
	if sum == nil {
		sum = new(p.checksum(b[start:], sumAt-start))
	}
	binary.BigEndian.PutUint16(b[sumAt:], *sum)
	return b, nil
}

// checksum is the transport checksum of seg, which holds 0 in its place.
func (p *IP) checksum(seg []byte, at int) uint16 {
	// The IP header that the sum depends on may have a routing header; one
	// reader of those is enough.
	info := IPInfo{Proto: p.proto(), Version: 4, Transport: 20, End: 20 + len(seg)}
	hdr := IP{Src: p.Src, Dst: p.Dst, Ext: p.Ext, Proto: p.proto()}
	var b []byte
	if p.V6() {
		b, _ = hdr.appendV6(nil)
		info.Version, info.Transport, info.End = 6, len(b), len(b)+len(seg)
	} else {
		b, _ = hdr.appendV4(nil)
	}
	c, ok := info.l4sum(append(b, seg...))
	if !ok {
		// A UDP length beyond the packet: the sum is over what is there.
		return ChecksumTransport(p.Src, p.Dst, p.proto(), seg)
	}
	return uint16(c.want)
}
