package packet

import (
	"encoding/binary"
	"net/netip"
)

// detail says how far Decode takes a frame apart. Where taking it apart and
// building it again would lose something, less detail does not.
type detail int

const (
	detailBytes     detail = iota // nothing known
	detailLink                    // the link header
	detailNetwork                 // the IP header or ARP message
	detailTransport               // the TCP, UDP or ICMP header
	detailQuote                   // the packet that an ICMP error quotes
)

// Decode takes a frame apart so that Build makes the same bytes of it. What it
// cannot take apart is left as Data, Payload or Bytes; nothing is refused. The
// slices are those of frame. A frame of another link type than Ethernet or raw
// IP becomes that which ToEthernet makes of it.
func Decode(frame []byte, link LinkType) *Frame {
	frame, link = asEthernet(frame, link)
	for d := detailQuote; d > detailBytes; d-- {
		f := decodeAs(frame, link, d)
		if f == nil {
			continue
		}
		if b, err := f.Build(); err == nil && string(b) == string(frame) {
			return f
		}
	}
	return decodeAs(frame, link, detailBytes)
}

// asEthernet makes an Ethernet frame of one of a link type that the text form
// has no words for, where that is possible.
func asEthernet(frame []byte, link LinkType) ([]byte, LinkType) {
	if link == LinkEthernet || link.raw() {
		return frame, link
	}
	if b, err := ToEthernet(frame, link); err == nil {
		return b, LinkEthernet
	}
	return frame, link
}

func decodeAs(frame []byte, link LinkType, d detail) *Frame {
	f := &Frame{Link: LinkRaw}
	if link == LinkEthernet {
		f.Link = LinkEthernet
	}
	if d == detailBytes {
		f.Bytes = frame
		if frame == nil {
			f.Bytes = []byte{}
		}
		return f
	}
	var info Info
	if info.parseLink(frame, link) != nil {
		return nil
	}
	body := frame[info.Network:]
	if link == LinkEthernet {
		f.Dst, f.Src = MAC(frame[0:6]), MAC(frame[6:12])
		f.VLANs = append(f.VLANs, info.VLANs[:info.NumVLANs]...)
	}
	if d >= detailNetwork {
		switch info.EtherType {
		case EtherTypeIPv4, EtherTypeIPv6:
			f.IP, f.Trailer = decodeIP(body, info.EtherType, d, false)
		case EtherTypeARP:
			if f.ARP = decodeARP(body); f.ARP != nil {
				f.Trailer = body[28:]
			}
		}
		if f.IP != nil || f.ARP != nil {
			return f
		}
		return nil
	}
	if link != LinkEthernet {
		return nil
	}
	f.Type, f.Data = info.EtherType, body
	return f
}

// decodeARP is nil if b is no ARP message for IPv4 over Ethernet.
func decodeARP(b []byte) *ARP {
	if len(b) < 28 || string(b[:6]) != "\x00\x01\x08\x00\x06\x04" {
		return nil
	}
	return &ARP{
		Op:        binary.BigEndian.Uint16(b[6:]),
		SenderMAC: MAC(b[8:14]),
		SenderIP:  netip.AddrFrom4([4]byte(b[14:18])),
		TargetMAC: MAC(b[18:24]),
		TargetIP:  netip.AddrFrom4([4]byte(b[24:28])),
	}
}

// decodeIP takes apart the packet at the start of b and gives what follows it.
// It is nil if that fails at the wanted detail.
func decodeIP(b []byte, etherType uint16, d detail, quoted bool) (*IP, []byte) {
	var info IPInfo
	parse := info.parseIPv4
	if etherType == EtherTypeIPv6 {
		parse = info.parseIPv6
	}
	// A fault behind the IP header is no obstacle, as that part may stay
	// undivided or be cut.
	if parse(b, 0, len(b), quoted); info.Version == 0 {
		return nil, nil
	}
	p := &IP{Src: info.Src(b), Dst: info.Dst(b), Proto: info.Proto}
	whole, rest := b[:info.End], b[info.End:]
	off := 0
	if info.Version == 4 {
		off = p.decodeV4(b)
	} else {
		off = p.decodeV6(whole)
	}
	if d < detailTransport || p.laterFragment() {
		p.Payload = whole[off:]
	} else if !p.decodeTransport(whole[off:], d, info.Truncated) {
		return nil, nil
	}
	if !p.relax(whole, off) {
		return nil, nil
	}
	return p, rest
}

// decodeV4 reads the IPv4 header, which is whole, and gives its length.
func (p *IP) decodeV4(b []byte) int {
	p.TOS, p.TTL, p.ID = b[1], b[8], binary.BigEndian.Uint16(b[4:])
	frag := binary.BigEndian.Uint16(b[6:])
	p.RF, p.DF, p.MF = frag&0x8000 != 0, frag&0x4000 != 0, frag&0x2000 != 0
	p.FragOffset = int(frag&0x1fff) * 8
	p.Proto = b[9]
	p.Len = new(binary.BigEndian.Uint16(b[2:]))
	p.Sum = new(binary.BigEndian.Uint16(b[10:]))
	n := int(b[0]&0xf) * 4
	p.Options = b[20:n]
	return n
}

// decodeV6 reads the IPv6 header and the extension headers that are whole, and
// gives their length. The others are payload of their protocol.
func (p *IP) decodeV6(b []byte) int {
	w := binary.BigEndian.Uint32(b)
	p.TOS, p.TTL, p.FlowLabel = uint8(w>>20), b[7], w&0xfffff
	p.Proto = b[6]
	p.Len = new(binary.BigEndian.Uint16(b[4:]))
	for off := 40; ; {
		size := 8
		switch p.Proto {
		case ProtoHopByHop, ProtoRouting, ProtoDstOpts:
			if len(b) >= off+8 {
				size = 8 * (int(b[off+1]) + 1)
			}
		case ProtoFragment:
		default:
			return off
		}
		if len(b) < off+size || p.laterFragment() {
			return off
		}
		p.Ext = append(p.Ext, Ext{p.Proto, b[off : off+size]})
		p.Proto = b[off]
		off += size
	}
}

// laterFragment reports whether p is a fragment other than the first, which
// has no transport header.
func (p *IP) laterFragment() bool {
	for _, e := range p.Ext {
		if e.Proto == ProtoFragment && len(e.Data) >= 4 && binary.BigEndian.Uint16(e.Data[2:])&^7 != 0 {
			return true
		}
	}
	return p.FragOffset != 0
}

// decodeTransport reads the TCP, UDP or ICMP header at the start of b, which
// may be cut short in a quoted packet; of another protocol all is payload.
// short says that the packet was longer once.
func (p *IP) decodeTransport(b []byte, d detail, short bool) bool {
	need := 8
	switch p.Proto {
	case ProtoTCP:
		need = 20
		if len(b) >= 13 {
			need = int(b[12]>>4) * 4
		}
		if need < 20 {
			return false
		}
	case ProtoUDP, ProtoICMP, ProtoICMPv6:
	default:
		p.Payload = b
		return true
	}
	h := b
	if len(b) < need {
		// Read the fields that are there; Build cuts the others off again.
		p.Cut = new(len(b))
		h = make([]byte, need)
		copy(h, b)
	}
	if len(b) == need && short && p.Proto != ProtoICMP && p.Proto != ProtoICMPv6 {
		p.Cut = new(need) // just the header is left
	}
	p.Payload = h[need:]
	switch p.Proto {
	case ProtoTCP:
		p.TCP = &TCP{
			Src: binary.BigEndian.Uint16(h), Dst: binary.BigEndian.Uint16(h[2:]),
			Seq: binary.BigEndian.Uint32(h[4:]), Ack: binary.BigEndian.Uint32(h[8:]),
			Flags:  binary.BigEndian.Uint16(h[12:]) & 0xfff,
			Window: binary.BigEndian.Uint16(h[14:]), Urgent: binary.BigEndian.Uint16(h[18:]),
			Sum:     new(binary.BigEndian.Uint16(h[16:])),
			Options: h[20:need],
		}
		return true
	case ProtoUDP:
		p.UDP = &UDP{
			Src: binary.BigEndian.Uint16(h), Dst: binary.BigEndian.Uint16(h[2:]),
			Len: new(binary.BigEndian.Uint16(h[4:])), Sum: new(binary.BigEndian.Uint16(h[6:])),
		}
		return true
	}
	p.ICMP = &ICMP{Type: h[0], Code: h[1], Rest: binary.BigEndian.Uint32(h[4:]), Sum: new(binary.BigEndian.Uint16(h[2:]))}
	if p.Cut != nil || d < detailQuote || !isICMPError(p.Proto, p.ICMP.Type) || len(p.Payload) == 0 {
		return true
	}
	et := EtherTypeIPv4
	if p.Proto == ProtoICMPv6 {
		et = EtherTypeIPv6
	}
	quote, trailer := decodeIP(p.Payload, et, d, true)
	if quote == nil {
		return false
	}
	quote.Trailer = trailer
	p.Quote, p.Payload = quote, nil
	return true
}

var unspecified6 = netip.IPv6Unspecified()

// relax takes back every forced value that Build finds by itself, and reports
// whether Build makes whole of p at all. hlen is the length of the IP header.
func (p *IP) relax(whole []byte, hlen int) bool {
	builds := func() bool {
		b, err := p.append(nil, 0)
		return err == nil && string(b) == string(whole)
	}
	if p.Cut != nil && (p.TCP != nil || p.UDP != nil) {
		// The length in the IP header tells how long the payload was.
		n := int(*p.Len) - hlen - 8
		if p.V6() {
			n += 40
		}
		if p.TCP != nil {
			n -= 12 + len(p.TCP.Options)
		}
		p.Payload = make([]byte, max(n, 0))
	}
	forced := []**uint16{&p.Len, &p.Sum}
	switch {
	case p.TCP != nil:
		forced = append(forced, &p.TCP.Sum)
	case p.UDP != nil:
		forced = append(forced, &p.UDP.Len, &p.UDP.Sum)
	case p.ICMP != nil:
		forced = append(forced, &p.ICMP.Sum)
	}
	values := make([]*uint16, len(forced))
	for i, f := range forced {
		values[i], *f = *f, nil
	}
	if builds() {
		return true
	}
	for i, f := range forced {
		*f = values[i]
	}
	if !builds() {
		return false
	}
	for i, f := range forced {
		if *f = nil; !builds() {
			*f = values[i]
		}
	}
	return true
}
