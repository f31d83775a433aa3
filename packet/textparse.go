package packet

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// ParseText makes an Ethernet frame of a packet in text form; see the package
// comment for the form. The error is a *TextError that says in which column it
// went wrong, or an *Error of Build for a packet that cannot be.
func ParseText(text string) ([]byte, error) {
	frame, link, err := ParseTextLink(text)
	if err != nil {
		return nil, err
	}
	if link != LinkEthernet {
		return nil, &TextError{Column: strings.Index(text, "raw") + 1, Reason: "raw: a frame without an Ethernet header is not taken here"}
	}
	return frame, nil
}

// ParseTextLink is ParseText also for text that starts with raw, of which it
// makes an IP packet without a link header.
func ParseTextLink(text string) ([]byte, LinkType, error) {
	f, err := ParseTextFrame(text)
	if err != nil {
		return nil, 0, err
	}
	b, err := f.Build()
	if err != nil {
		return nil, 0, err
	}
	return b, f.Link, nil
}

// MustParseText is ParseText for text that is part of a test: it panics where
// that gives an error.
func MustParseText(text string) []byte {
	b, err := ParseText(text)
	if err != nil {
		panic("packet.MustParseText(" + text + "): " + err.Error())
	}
	return b
}

// ParseTextFrame reads text form without building the frame.
func ParseTextFrame(text string) (*Frame, error) {
	p := newTextParser(text)
	f := p.frame()
	if p.err == nil && p.tok.text != "" {
		p.fail(p.tok.pos, "%s is not expected here", p.tok.show())
	}
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

func (p *textParser) frame() *Frame {
	f := &Frame{Link: LinkEthernet, Src: DefaultSrcMAC, Dst: DefaultDstMAC}
	switch {
	case p.accept("raw"):
		f.Link = LinkRaw
	case p.accept("eth"):
		f.Src = p.mac("the source")
		p.want(">", "after the source address")
		f.Dst = p.mac("the destination")
	}
	if p.accept("frame") {
		if f.Bytes = p.data(); f.Bytes == nil {
			f.Bytes = []byte{}
		}
		return f
	}
	if f.Link == LinkEthernet {
		p.vlans(f)
	}
	switch {
	case f.Link == LinkEthernet && p.accept("type"):
		f.Type = uint16(p.number("type", 0xffff))
		f.Data = p.data()
		return f
	case f.Link == LinkEthernet && p.accept("arp"):
		f.ARP = p.arp(f)
	default:
		f.IP = p.ip()
		// Behind the outermost packet the trailer is the frame's.
		f.Trailer, f.IP.Trailer = f.IP.Trailer, nil
	}
	if p.accept("trailer") {
		f.Trailer = p.data()
	}
	return f
}

func (p *textParser) vlans(f *Frame) {
	for p.is("vlan", "svlan") {
		t := p.next()
		v := VLAN{TPID: EtherTypeVLAN}
		if t.text == "svlan" {
			v.TPID = EtherTypeQinQ
		}
		v.TCI = uint16(p.number(t.text, 4095))
		if p.accept("pcp") {
			v.TCI |= uint16(p.number("pcp", 7)) << 13
		}
		if p.accept("dei") {
			v.TCI |= 0x1000
		}
		if f.VLANs = append(f.VLANs, v); len(f.VLANs) > 2 {
			p.fail(t.pos, "more than two VLAN tags")
		}
	}
}

func (p *textParser) arp(f *Frame) *ARP {
	a := &ARP{SenderMAC: f.Src}
	switch t := p.next(); t.text {
	case "who-has":
		a.Op = 1
		a.TargetIP = p.addr4("who-has")
		p.want("tell", "after the wanted address")
		a.SenderIP = p.addr4("tell")
	case "reply":
		a.Op, a.TargetMAC = 2, f.Dst
		a.SenderIP = p.addr4("reply")
		p.want("is-at", "after the address")
		a.SenderMAC = p.mac("is-at")
		p.want("to", "after the Ethernet address")
		a.TargetIP = p.addr4("to")
	case "op":
		a.Op = uint16(p.number("op", 0xffff))
		p.want("spa", "after the operation")
		a.SenderIP = p.addr4("spa")
		p.want("tpa", "after the sender")
		a.TargetIP = p.addr4("tpa")
	default:
		p.fail(t.pos, "want who-has, reply or op after arp, not %s", t.show())
	}
	if p.accept("sha") {
		a.SenderMAC = p.mac("sha")
	}
	if p.accept("tha") {
		a.TargetMAC = p.mac("tha")
	}
	return a
}

// addr reads an address of either family.
func (p *textParser) addr(what string) netip.Addr {
	t := p.next()
	a, err := netip.ParseAddr(t.text)
	if err != nil || a.Zone() != "" {
		p.fail(t.pos, "want an IP address for %s, not %s", what, t.show())
	}
	return a
}

func (p *textParser) addr4(what string) netip.Addr {
	t := p.tok
	a := p.addr(what)
	if p.err == nil && !a.Is4() {
		p.fail(t.pos, "want an IPv4 address for %s, not %s", what, t.show())
	}
	return a
}

// endpoint is an address with or without a port.
type endpoint struct {
	addr netip.Addr
	port uint16
	has  bool // a port
	tok  token
}

func (p *textParser) endpoint(what string) (e endpoint) {
	e.tok = p.next()
	s := e.tok.text
	var err error
	if e.addr, err = netip.ParseAddr(s); err == nil && e.addr.Zone() == "" {
		return e
	}
	i := strings.LastIndexByte(s, ':')
	host := s
	if i >= 0 {
		host = s[:i]
	}
	bracketed := len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']'
	if bracketed {
		host = host[1 : len(host)-1]
	}
	if e.addr, err = netip.ParseAddr(host); err != nil || i < 0 || e.addr.Zone() != "" || e.addr.Is6() != bracketed {
		p.fail(e.tok.pos, "want an address as 10.0.0.1, 10.0.0.1:80, 2001:db8::1 or [2001:db8::1]:80 for %s, not %s", what, e.tok.show())
		return e
	}
	n, ok := parseNumber(s[i+1:])
	switch {
	case !ok:
		p.fail(e.tok.pos+i+1, "want a number for the port, not %q", s[i+1:])
	case n > 0xffff:
		p.fail(e.tok.pos+i+1, "port %d out of range (0 to 65535)", n)
	}
	e.port, e.has = uint16(n), true
	return e
}

// ip reads an IP packet up to a word that does not belong to it.
func (p *textParser) ip() *IP {
	src := p.endpoint("the source")
	p.want(">", "after the source")
	dst := p.endpoint("the destination")
	ip := &IP{Src: src.addr, Dst: dst.addr, TTL: 64}
	if p.err == nil && src.addr.Is4() != dst.addr.Is4() {
		p.fail(dst.tok.pos, "%v and %v are not of one family", src.addr, dst.addr)
	}
	seen := map[string]bool{}
	for p.err == nil && p.ipAttr(ip, seen) {
	}
	p.transport(ip, src, dst)
	for p.err == nil {
		switch {
		case p.transportAttr(ip, seen) || p.ipAttr(ip, seen):
		case p.isData():
			at := p.tok.pos
			ip.Payload = append(ip.Payload, p.data()...)
			if p.err == nil && ip.Quote != nil && len(ip.Payload) > 0 {
				p.fail(at, "a packet is quoted already, want trailer before data behind it")
			}
		case p.is("(") && ip.ICMP != nil:
			p.quote(ip)
		case p.is("cut") && p.once("cut", seen):
			p.next()
			ip.Cut = new(int(p.number("cut", 0xffff)))
		default:
			if p.is("trailer") {
				p.next()
				ip.Trailer = p.data()
			}
			return ip
		}
	}
	return ip
}

// once notes that an attribute is given and reports a second one.
func (p *textParser) once(name string, seen map[string]bool) bool {
	if seen[name] {
		p.fail(p.tok.pos, "%s is given twice", name)
		return false
	}
	seen[name] = true
	return true
}

func (p *textParser) ipAttr(ip *IP, seen map[string]bool) bool {
	t := p.tok
	v6 := ip.V6()
	switch t.text {
	case "hbh", "dstopts", "routing", "ext":
		if !v6 {
			p.fail(t.pos, "%s is for IPv6 only", t.text)
			return false
		}
		p.next()
		p.ext(ip, t)
		return p.err == nil
	case "df", "mf", "rf", "ipid", "ipopt", "ipsum":
		if v6 {
			p.fail(t.pos, "%s is for IPv4 only", t.text)
			return false
		}
	case "flow":
		if !v6 {
			p.fail(t.pos, "flow is for IPv6 only")
			return false
		}
	case "tos", "ttl", "hlim", "frag", "iplen":
	default:
		return false
	}
	name := t.text
	if name == "hlim" {
		name = "ttl"
	}
	if !(name == "frag" && v6) && !p.once(name, seen) {
		return false
	}
	p.next()
	switch t.text {
	case "df":
		ip.DF = true
	case "mf":
		ip.MF = true
	case "rf":
		ip.RF = true
	case "tos":
		ip.TOS = uint8(p.number("tos", 0xff))
	case "ttl", "hlim":
		ip.TTL = uint8(p.number(t.text, 0xff))
	case "ipid":
		ip.ID = uint16(p.number("ipid", 0xffff))
	case "flow":
		ip.FlowLabel = uint32(p.number("flow", 0xfffff))
	case "iplen":
		ip.Len = new(uint16(p.number("iplen", 0xffff)))
	case "ipsum":
		ip.Sum = new(uint16(p.number("ipsum", 0xffff)))
	case "ipopt":
		ip.Options = p.ipOptions()
	case "frag":
		p.frag(ip)
	}
	return p.err == nil
}

// frag reads an offset with + where more fragments follow, for IPv6 also the
// identification.
func (p *textParser) frag(ip *IP) {
	t := p.next()
	digits, more := strings.CutSuffix(t.text, "+")
	n, ok := parseNumber(digits)
	if !ok || n%8 != 0 || n > 0x1fff*8 {
		p.fail(t.pos, "want a multiple of 8 up to %d for frag, not %s", 0x1fff*8, t.show())
		return
	}
	if !ip.V6() {
		ip.FragOffset = int(n)
		ip.MF = ip.MF || more
		return
	}
	h := make([]byte, 8)
	binary.BigEndian.PutUint16(h[2:], uint16(n))
	if more {
		h[3] |= 1
	}
	if p.accept("fragid") {
		binary.BigEndian.PutUint32(h[4:], uint32(p.number("fragid", 0xffffffff)))
	}
	ip.Ext = append(ip.Ext, Ext{ProtoFragment, h})
}

// quote reads a packet in parentheses.
func (p *textParser) quote(ip *IP) {
	t := p.next()
	switch {
	case !isICMPError(ip.icmpProto(), ip.ICMP.Type):
		p.fail(t.pos, "this ICMP message quotes no packet")
		return
	case ip.Quote != nil || len(ip.Payload) > 0:
		p.fail(t.pos, "the message has its payload already")
		return
	}
	if p.deep++; p.deep > maxQuotes {
		p.fail(t.pos, "packets quoted more than %d deep", maxQuotes)
		return
	}
	at := p.tok.pos
	ip.Quote = p.ip()
	if p.err == nil && ip.Quote.V6() != (ip.icmpProto() == ProtoICMPv6) {
		p.fail(at, "%s cannot quote a packet of the other family", ProtoName(ip.icmpProto()))
	}
	p.want(")", "after the quoted packet")
	p.deep--
}
