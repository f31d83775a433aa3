package packet

import "strings"

// protoWords are the protocols that have a word of their own but whose header
// is payload to the text form.
var protoWords = map[string]uint8{
	"igmp": ProtoIGMP, "ipip": ProtoIPIP, "dccp": ProtoDCCP, "ipv6": ProtoIPv6, "gre": ProtoGRE,
	"esp": ProtoESP, "ah": ProtoAH, "nonext": ProtoNoNext, "sctp": ProtoSCTP, "udplite": ProtoUDPLite,
}

// transport reads the word for the protocol and what must follow it.
func (p *textParser) transport(ip *IP, src, dst endpoint) {
	t := p.next()
	ports, later := false, ip.laterFragment()
	switch t.text {
	case "tcp":
		if ip.Proto = ProtoTCP; later {
			break
		}
		ports = true
		ip.TCP = &TCP{Src: src.port, Dst: dst.port, Window: defaultWindow}
		ip.TCP.Flags = p.tcpFlags()
	case "udp":
		if ip.Proto = ProtoUDP; later {
			break
		}
		ports = true
		ip.UDP = &UDP{Src: src.port, Dst: dst.port}
	case "icmp", "icmp6":
		if ip.Proto = ProtoICMP; t.text == "icmp6" {
			ip.Proto = ProtoICMPv6
		}
		if !later {
			ip.ICMP = &ICMP{}
			p.icmp(ip)
		}
	case "proto":
		ip.Proto = uint8(p.number("proto", 0xff))
	default:
		n, ok := protoWords[t.text]
		if !ok {
			p.fail(t.pos, "want tcp, udp, icmp, icmp6, proto N or another protocol, not %s", t.show())
		}
		ip.Proto = n
	}
	for _, e := range []endpoint{src, dst} {
		switch {
		case p.err != nil || e.has == ports:
		case ports && e.addr.Is6():
			p.fail(e.tok.pos, "%s needs a port: [%v]:80", t.text, e.addr)
		case ports:
			p.fail(e.tok.pos, "%s needs a port: %v:80", t.text, e.addr)
		case later:
			p.fail(e.tok.pos, "a fragment behind the first has no ports")
		default:
			p.fail(e.tok.pos, "%s has no ports", t.text)
		}
	}
}

// defaultWindow is the window of a TCP header whose text has none: the first
// window of a Linux host on Ethernet.
const defaultWindow = 64240

func (p *textParser) tcpFlags() (flags uint16) {
	t := p.next()
	if t.text == "none" {
		return 0
	}
	for _, c := range t.text {
		i := strings.IndexRune(tcpFlagLetters, c)
		if i < 0 || flags>>i&1 != 0 {
			flags = 0
			break
		}
		flags |= 1 << i
	}
	if flags == 0 {
		p.fail(t.pos, "want TCP flags, letters of %s or none, not %s", tcpFlagLetters, t.show())
	}
	return flags
}

// transportAttr reads one attribute of the transport header, if one is next.
func (p *textParser) transportAttr(ip *IP, seen map[string]bool) bool {
	t := p.tok
	var set func()
	switch {
	case ip.TCP != nil:
		set = p.tcpAttr(ip.TCP)
	case ip.UDP != nil:
		switch t.text {
		case "ulen":
			set = func() { ip.UDP.Len = new(uint16(p.number("ulen", 0xffff))) }
		case "sum":
			set = func() { ip.UDP.Sum = new(uint16(p.number("sum", 0xffff))) }
		}
	case ip.ICMP != nil:
		switch t.text {
		case "rest":
			set = func() { ip.ICMP.Rest = uint32(p.number("rest", 0xffffffff)) }
		case "sum":
			set = func() { ip.ICMP.Sum = new(uint16(p.number("sum", 0xffff))) }
		}
	}
	if set == nil || !p.once(t.text, seen) {
		return false
	}
	if t.text != "<" {
		p.next()
	}
	set()
	return p.err == nil
}

func (p *textParser) tcpAttr(h *TCP) func() {
	switch p.tok.text {
	case "seq":
		return func() { h.Seq = uint32(p.number("seq", 0xffffffff)) }
	case "ack":
		return func() { h.Ack = uint32(p.number("ack", 0xffffffff)) }
	case "win":
		return func() { h.Window = uint16(p.number("win", 0xffff)) }
	case "urg":
		return func() { h.Urgent = uint16(p.number("urg", 0xffff)) }
	case "res":
		return func() { h.Flags |= uint16(p.number("res", 7)) << 9 }
	case "sum":
		return func() { h.Sum = new(uint16(p.number("sum", 0xffff))) }
	case "<":
		return func() { h.Options = p.tcpOptions() }
	}
	return nil
}

// icmpProto is the protocol of p.ICMP.
func (p *IP) icmpProto() uint8 { return p.proto() }

// icmpCodes are the words for the codes of the message types that have any.
// A code's place in the list is its number.
var icmpCodes = map[uint8]map[uint8][]string{
	ProtoICMP: {
		3: {"net", "host", "proto", "port", "frag", "srcroute", "net-unknown", "host-unknown", "isolated",
			"net-prohibited", "host-prohibited", "net-tos", "host-tos", "admin", "precedence", "cutoff"},
		5:  {"net", "host", "tos-net", "tos-host"},
		11: {"in-transit", "reassembly"},
	},
	ProtoICMPv6: {
		1: {"no-route", "admin", "scope", "addr", "port", "policy", "reject"},
		3: {"in-transit", "reassembly"},
		4: {"header", "next-header", "option"},
	},
}

// icmpTypes are the words for message types.
var icmpTypes = map[uint8]map[string]uint8{
	ProtoICMP: {"unreachable": 3, "quench": 4, "redirect": 5, "time-exceeded": 11, "param-problem": 12},
	ProtoICMPv6: {"unreachable": 1, "too-big": 2, "time-exceeded": 3, "param-problem": 4,
		"router-solicitation": 133, "router-advertisement": 134,
		"neighbor-solicitation": 135, "neighbor-advertisement": 136},
}

// icmp reads what kind of message it is.
func (p *textParser) icmp(ip *IP) {
	h, proto := ip.ICMP, ip.Proto
	t := p.next()
	switch {
	case t.text == "echo":
		h.Type = 8
		if proto == ProtoICMPv6 {
			h.Type = 128
		}
		switch k := p.next(); {
		case k.text == "request":
		case k.text == "reply" && proto == ProtoICMP:
			h.Type = 0
		case k.text == "reply":
			h.Type = 129
		default:
			p.fail(k.pos, "want request or reply after echo, not %s", k.show())
		}
		if p.accept("id") {
			h.Rest |= uint32(p.number("id", 0xffff)) << 16
		}
		if p.accept("seq") {
			h.Rest |= uint32(p.number("seq", 0xffff))
		}
		return
	case t.text == "type":
		h.Type = uint8(p.number("type", 0xff))
		if p.accept("code") {
			h.Code = uint8(p.number("code", 0xff))
		}
		return
	}
	var ok bool
	if h.Type, ok = icmpTypes[proto][t.text]; !ok {
		p.fail(t.pos, "want an %s message such as echo, unreachable or type N, not %s", ProtoName(proto), t.show())
		return
	}
	if codes := icmpCodes[proto][h.Type]; codes != nil {
		c := p.next()
		i := 0
		for i < len(codes) && codes[i] != c.text {
			i++
		}
		if i == len(codes) {
			p.fail(c.pos, "want a code of %s: %s; not %s", t.text, strings.Join(codes, ", "), c.show())
		}
		h.Code = uint8(i)
	}
	p.icmpRest(ip)
}

// icmpRest reads the field of the second header word that the message has.
func (p *textParser) icmpRest(ip *IP) {
	h := ip.ICMP
	switch word, _ := icmpRestWord(ip.Proto, h.Type, h.Code); {
	case word == "" || !p.is(word):
	case word == "mtu" && ip.Proto == ProtoICMP:
		p.next()
		h.Rest = uint32(p.number("mtu", 0xffff))
	case word == "to":
		p.next()
		if a := p.addr4("to"); p.err == nil {
			b := a.As4()
			h.Rest = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		}
	case word == "ptr" && ip.Proto == ProtoICMP:
		p.next()
		h.Rest = uint32(p.number("ptr", 0xff)) << 24
	default:
		p.next()
		h.Rest = uint32(p.number(word, 0xffffffff))
	}
}

// icmpRestWord is the word for the field in the second header word of a
// message, and which bits of it the field has; "" if there is none.
func icmpRestWord(proto, typ, code uint8) (word string, mask uint32) {
	switch {
	case proto == ProtoICMP && typ == 3 && code == 4:
		return "mtu", 0xffff
	case proto == ProtoICMP && typ == 5:
		return "to", 0xffffffff
	case proto == ProtoICMP && typ == 12:
		return "ptr", 0xff000000
	case proto == ProtoICMPv6 && typ == 2:
		return "mtu", 0xffffffff
	case proto == ProtoICMPv6 && typ == 4:
		return "ptr", 0xffffffff
	}
	return "", 0
}
