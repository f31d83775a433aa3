package packet

import (
	"fmt"
	"strconv"
	"strings"
)

// FormatOptions say how a packet is printed. The zero value prints all of it
// and leaves out Ethernet addresses that are the defaults.
type FormatOptions struct {
	// ShowLink prints Ethernet addresses also where they are the defaults.
	ShowLink bool

	// Brief prints the length of payload in place of its bytes, as tcpdump
	// does. The text then reads back to a packet of the same length with
	// zeros for payload, and with the checksums of that.
	Brief bool
}

// Format is the text form of an Ethernet frame. ParseText makes of it the very
// same bytes, whatever they are: what has no words of its own is printed as
// hex digits.
func Format(frame []byte) string { return FormatOptions{}.Format(frame, LinkEthernet) }

// Format is the text form of a frame of any link type. Of one other than
// Ethernet and raw IP it is that of the frame that ToEthernet makes.
func (o FormatOptions) Format(frame []byte, link LinkType) string {
	if o.Brief {
		return o.FormatFrame(Decode(frame, link))
	}
	frame, link = asEthernet(frame, link)
	for d := detailQuote; d > detailBytes; d-- {
		f := decodeAs(frame, link, d)
		if f == nil {
			continue
		}
		s := o.FormatFrame(f)
		if b, _, err := ParseTextLink(s); err == nil && string(b) == string(frame) {
			return s
		}
	}
	return o.FormatFrame(decodeAs(frame, link, detailBytes))
}

// FormatFrame is the text form of a frame that is taken apart already.
func (o FormatOptions) FormatFrame(f *Frame) string {
	w := &textWriter{brief: o.Brief}
	if f.Link != LinkEthernet {
		w.word("raw")
	}
	if f.Bytes != nil {
		w.word("frame")
		w.data(f.Bytes, true)
		return w.String()
	}
	if f.Link == LinkEthernet && (o.ShowLink || f.Src != DefaultSrcMAC || f.Dst != DefaultDstMAC) {
		w.word("eth", f.Src.String()+">"+f.Dst.String())
	}
	for _, v := range f.VLANs {
		w.vlan(v)
	}
	switch {
	case f.IP != nil:
		w.ip(f.IP)
	case f.ARP != nil:
		w.arp(f)
	default:
		w.word("type", fmt.Sprintf("%#04x", f.Type))
		w.data(f.Data, true)
		return w.String()
	}
	w.trailer(f.Trailer)
	return w.String()
}

// textWriter joins words with spaces.
type textWriter struct {
	strings.Builder
	brief bool
}

func (w *textWriter) word(words ...string) {
	for _, s := range words {
		if n := w.Len(); n > 0 && w.String()[n-1] != '(' {
			w.WriteByte(' ')
		}
		w.WriteString(s)
	}
}

// num writes a word and its number, or nothing if the number is zero.
func (w *textWriter) num(name string, n uint32) {
	if n != 0 {
		w.word(name, strconv.FormatUint(uint64(n), 10))
	}
}

func (w *textWriter) hex(name string, n uint32) { w.word(name, fmt.Sprintf("%#x", n)) }

// forced writes a value that Build would not find by itself.
func (w *textWriter) forced(name string, n *uint16) {
	if n != nil {
		w.word(name, strconv.Itoa(int(*n)))
	}
}

func (w *textWriter) sum(name string, n *uint16) {
	if n != nil {
		w.word(name, fmt.Sprintf("%#04x", *n))
	}
}

func (w *textWriter) vlan(v VLAN) {
	name := "vlan"
	if v.TPID == EtherTypeQinQ {
		name = "svlan"
	}
	w.word(name, strconv.Itoa(int(v.ID())))
	w.num("pcp", uint32(v.Priority()))
	if v.DEI() {
		w.word("dei")
	}
}

// data writes payload: a string if it reads as one, its length if it is zeros,
// hex digits else. Nothing is written as len 0 where always asks for it.
func (w *textWriter) data(b []byte, always bool) {
	switch {
	case len(b) == 0 && !always:
	case w.brief || allZero(b):
		w.word("len", strconv.Itoa(len(b)))
	case printable(b):
		w.word(strconv.Quote(string(b)))
	default:
		w.word(fmt.Sprintf("hex:%x", b))
	}
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func printable(b []byte) bool {
	for _, c := range b {
		if (c < 0x20 || c > 0x7e) && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

func (w *textWriter) trailer(b []byte) {
	if len(b) > 0 {
		w.word("trailer")
		w.data(b, true)
	}
}

func (w *textWriter) arp(f *Frame) {
	a := f.ARP
	sha, tha := f.Src, MAC{}
	switch a.Op {
	case 1:
		w.word("arp who-has", a.TargetIP.String(), "tell", a.SenderIP.String())
	case 2:
		w.word("arp reply", a.SenderIP.String(), "is-at", a.SenderMAC.String(), "to", a.TargetIP.String())
		sha, tha = a.SenderMAC, f.Dst
	default:
		w.word("arp op", strconv.Itoa(int(a.Op)), "spa", a.SenderIP.String(), "tpa", a.TargetIP.String())
	}
	if a.SenderMAC != sha {
		w.word("sha", a.SenderMAC.String())
	}
	if a.TargetMAC != tha {
		w.word("tha", a.TargetMAC.String())
	}
}

func (w *textWriter) ip(p *IP) {
	src, dst := p.Src.String(), p.Dst.String()
	switch {
	case p.TCP != nil:
		src, dst = withPort(p, src, p.TCP.Src), withPort(p, dst, p.TCP.Dst)
	case p.UDP != nil:
		src, dst = withPort(p, src, p.UDP.Src), withPort(p, dst, p.UDP.Dst)
	}
	w.word(src, ">", dst)
	if p.TOS != 0 {
		w.hex("tos", uint32(p.TOS))
	}
	if p.TTL != 64 {
		w.word("ttl", strconv.Itoa(int(p.TTL)))
	}
	if p.V6() {
		if p.FlowLabel != 0 {
			w.hex("flow", p.FlowLabel)
		}
		for _, e := range p.Ext {
			w.ext(e)
		}
	} else {
		w.ipv4(p)
	}
	w.forced("iplen", p.Len)
	w.sum("ipsum", p.Sum)
	w.transport(p)
	if p.Cut != nil {
		w.word("cut", strconv.Itoa(*p.Cut))
	}
}

func withPort(p *IP, addr string, port uint16) string {
	if p.V6() {
		addr = "[" + addr + "]"
	}
	return addr + ":" + strconv.Itoa(int(port))
}

func (w *textWriter) ipv4(p *IP) {
	w.num("ipid", uint32(p.ID))
	if p.RF {
		w.word("rf")
	}
	if p.DF {
		w.word("df")
	}
	switch {
	case p.MF:
		w.word("frag", strconv.Itoa(p.FragOffset)+"+")
	case p.FragOffset != 0:
		w.word("frag", strconv.Itoa(p.FragOffset))
	}
	if len(p.Options) > 0 {
		s := formatIPOptions(p.Options)
		if string(newTextParser(s).ipOptions()) != string(p.Options) {
			s = formatList(nil, p.Options)
		}
		w.word("ipopt", s)
	}
}

func (w *textWriter) ext(e Ext) {
	s := formatExt(e)
	var back IP
	p := newTextParser(s)
	t := p.next()
	if t.text == "frag" {
		back.Src = unspecified6
		p.frag(&back)
	} else {
		p.ext(&back, t)
	}
	// The first byte is what follows, and Build knows it.
	if p.err != nil || len(back.Ext) != 1 || string(back.Ext[0].Data[1:]) != string(e.Data[1:]) {
		s = formatExtHex(e)
	}
	w.word(s)
}

func (w *textWriter) transport(p *IP) {
	payload := p.Payload
	switch {
	case p.TCP != nil:
		h := p.TCP
		w.word("tcp", FlagLetters(h.Flags))
		w.num("res", uint32(h.Flags>>9&7))
		w.num("seq", h.Seq)
		if h.Flags&FlagACK != 0 || h.Ack != 0 {
			w.word("ack", strconv.FormatUint(uint64(h.Ack), 10))
		}
		if p.Cut == nil || *p.Cut >= 16 {
			w.word("win", strconv.Itoa(int(h.Window)))
		}
		w.num("urg", uint32(h.Urgent))
		if len(h.Options) > 0 {
			s := formatTCPOptions(h.Options)
			if string(newTextParser(s).tcpOptions()) != string(h.Options) {
				s = formatList(nil, h.Options)
			}
			w.word(s)
		}
		w.sum("sum", h.Sum)
	case p.UDP != nil:
		w.word("udp")
		w.forced("ulen", p.UDP.Len)
		w.sum("sum", p.UDP.Sum)
	case p.ICMP != nil:
		w.icmp(p)
		return
	case p.laterFragment() && (p.Proto == ProtoTCP || p.Proto == ProtoUDP || p.Proto == ProtoICMP || p.Proto == ProtoICMPv6):
		w.word(ProtoName(p.Proto))
	default:
		s := ProtoName(p.Proto)
		if n, ok := protoWords[s]; !ok || n != p.Proto {
			s = "proto " + strconv.Itoa(int(p.Proto))
		}
		w.word(s)
	}
	w.data(payload, p.Cut == nil)
}

func (w *textWriter) icmp(p *IP) {
	h, proto := p.ICMP, p.icmpProto()
	w.word(ProtoName(proto))
	rest := w.icmpMessage(proto, h)
	if rest != h.Rest {
		w.hex("rest", h.Rest)
	}
	w.sum("sum", h.Sum)
	if p.Quote == nil {
		w.data(p.Payload, false)
		return
	}
	w.word("(")
	w.ip(p.Quote)
	w.trailer(p.Quote.Trailer)
	w.WriteByte(')')
}

// icmpMessage writes what kind of message it is and gives the second header
// word that the text stands for.
func (w *textWriter) icmpMessage(proto uint8, h *ICMP) (rest uint32) {
	echo := map[uint8][2]uint8{ProtoICMP: {8, 0}, ProtoICMPv6: {128, 129}}[proto]
	if h.Code == 0 && (h.Type == echo[0] || h.Type == echo[1]) {
		kind := "request"
		if h.Type == echo[1] {
			kind = "reply"
		}
		w.word("echo", kind, "id", strconv.Itoa(int(h.Rest>>16)), "seq", strconv.Itoa(int(h.Rest&0xffff)))
		return h.Rest
	}
	codes := icmpCodes[proto][h.Type]
	for name, typ := range icmpTypes[proto] {
		if typ != h.Type || codes == nil && h.Code != 0 || codes != nil && int(h.Code) >= len(codes) {
			continue
		}
		w.word(name)
		if codes != nil {
			w.word(codes[h.Code])
		}
		word, mask := icmpRestWord(proto, h.Type, h.Code)
		rest = h.Rest & mask
		switch {
		case word == "":
		case word == "to":
			w.word("to", fmt.Sprintf("%d.%d.%d.%d", rest>>24, rest>>16&0xff, rest>>8&0xff, rest&0xff))
		case mask == 0xff000000:
			w.word(word, strconv.Itoa(int(rest>>24)))
		default:
			w.word(word, strconv.FormatUint(uint64(rest), 10))
		}
		return rest
	}
	w.word("type", strconv.Itoa(int(h.Type)))
	w.num("code", uint32(h.Code))
	return 0
}
