package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Options are lists of items in < >, separated by commas. Each kind of list
// has a reader that makes the bytes of one item; a list as a whole, of any
// bytes, can also be written <hex:...>.

// list reads < item, item ... > with the reader of one item.
func (p *textParser) list(what string, limit int, item func(t token) []byte) []byte {
	start := p.tok.pos
	p.want("<", "before "+what)
	var b []byte
	for p.err == nil && !p.is(">") {
		t := p.next()
		switch {
		case t.text == "":
			p.fail(t.pos, "%s have no >", what)
		case strings.HasPrefix(t.text, "hex:"):
			b = append(b, p.hex(t)...)
		case t.text == "kind":
			b = append(b, p.kind()...)
		default:
			b = append(b, item(t)...)
		}
		if len(b) > limit {
			p.fail(start, "%s are %d bytes, more than %d", what, len(b), limit)
		}
		if !p.accept(",") && !p.is(">") {
			p.fail(p.tok.pos, "want a comma or > in %s, not %s", what, p.tok.show())
		}
	}
	p.want(">", "behind "+what)
	return b
}

// kind reads the rest of kind N hex:..., an option with a length byte that
// counts the whole.
func (p *textParser) kind() []byte {
	k := byte(p.number("kind", 0xff))
	var data []byte
	if strings.HasPrefix(p.tok.text, "hex:") {
		data = p.hex(p.next())
	}
	if len(data) > 253 {
		p.fail(p.tok.pos, "option of %d bytes is too long", len(data))
	}
	return append([]byte{k, byte(2 + len(data))}, data...)
}

// pad4 appends zero bytes, which are end-of-list options, up to a multiple of 4.
func pad4(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (p *textParser) tcpOptions() []byte {
	return pad4(p.list("TCP options", 40, func(t token) []byte {
		switch t.text {
		case "eol":
			return []byte{0}
		case "nop":
			return []byte{1}
		case "mss":
			return binary.BigEndian.AppendUint16([]byte{2, 4}, uint16(p.number("mss", 0xffff)))
		case "wscale":
			return []byte{3, 3, byte(p.number("wscale", 0xff))}
		case "sackOK":
			return []byte{4, 2}
		case "sack":
			b := []byte{5, 2}
			for p.err == nil && !p.is(",", ">") {
				w := p.next()
				left, right, _ := strings.Cut(w.text, ":")
				l, ok1 := parseNumber(left)
				r, ok2 := parseNumber(right)
				if !ok1 || !ok2 || l > 0xffffffff || r > 0xffffffff || len(b) >= 34 {
					p.fail(w.pos, "want up to 4 ranges LEFT:RIGHT for sack, not %s", w.show())
				}
				b = binary.BigEndian.AppendUint32(b, uint32(l))
				b = binary.BigEndian.AppendUint32(b, uint32(r))
				b[1] += 8
			}
			return b
		case "TS":
			p.want("val", "after TS")
			b := binary.BigEndian.AppendUint32([]byte{8, 10}, uint32(p.number("val", 0xffffffff)))
			p.want("ecr", "after the value")
			return binary.BigEndian.AppendUint32(b, uint32(p.number("ecr", 0xffffffff)))
		}
		p.fail(t.pos, "want a TCP option (mss, wscale, sackOK, sack, TS, nop, eol, kind N hex:...), not %s", t.show())
		return nil
	}))
}

// formatTCPOptions is the list for the bytes of TCP options.
func formatTCPOptions(b []byte) string {
	items, rest := splitOptions(b, func(o []byte) string {
		switch {
		case o[0] == 2 && len(o) == 4:
			return fmt.Sprintf("mss %d", binary.BigEndian.Uint16(o[2:]))
		case o[0] == 3 && len(o) == 3:
			return fmt.Sprintf("wscale %d", o[2])
		case o[0] == 4 && len(o) == 2:
			return "sackOK"
		case o[0] == 5 && len(o) > 2 && len(o) <= 34 && len(o)%8 == 2:
			s := "sack"
			for i := 2; i < len(o); i += 8 {
				s += fmt.Sprintf(" %d:%d", binary.BigEndian.Uint32(o[i:]), binary.BigEndian.Uint32(o[i+4:]))
			}
			return s
		case o[0] == 8 && len(o) == 10:
			return fmt.Sprintf("TS val %d ecr %d", binary.BigEndian.Uint32(o[2:]), binary.BigEndian.Uint32(o[6:]))
		}
		return ""
	})
	return formatList(items, rest)
}

// splitOptions makes items of options whose kinds 0 and 1 are single bytes and
// whose others have a length. What cannot be split is the rest.
func splitOptions(b []byte, item func(o []byte) string) (items []string, rest []byte) {
	for len(b) > 0 {
		if b[0] == 0 {
			// Zeros up to the next multiple of 4 come by themselves.
			if len(b) < 4 && strings.Trim(string(b), "\x00") == "" {
				return items, nil
			}
			items = append(items, "eol")
			b = b[1:]
			continue
		}
		if b[0] == 1 {
			items = append(items, "nop")
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return items, b
		}
		o := b[:b[1]]
		s := item(o)
		if s == "" {
			s = formatKind(o)
		}
		items = append(items, s)
		b = b[len(o):]
	}
	return items, nil
}

func formatKind(o []byte) string {
	if len(o) == 2 {
		return fmt.Sprintf("kind %d", o[0])
	}
	return fmt.Sprintf("kind %d hex:%x", o[0], o[2:])
}

func formatList(items []string, rest []byte) string {
	if len(rest) > 0 {
		items = append(items, fmt.Sprintf("hex:%x", rest))
	}
	return "<" + strings.Join(items, ",") + ">"
}

// ipRouteOptions are the IPv4 options that hold a pointer and addresses.
var ipRouteOptions = map[string]byte{"rr": 7, "lsrr": 131, "ssrr": 137}

func (p *textParser) ipOptions() []byte {
	return pad4(p.list("IP options", 40, func(t token) []byte {
		switch t.text {
		case "eol":
			return []byte{0}
		case "nop":
			return []byte{1}
		case "ra":
			n := uint16(0)
			if !p.is(",", ">") {
				n = uint16(p.number("ra", 0xffff))
			}
			return binary.BigEndian.AppendUint16([]byte{148, 4}, n)
		case "rr", "lsrr", "ssrr":
			b := []byte{ipRouteOptions[t.text], 3, 4}
			if p.accept("ptr") {
				b[2] = byte(p.number("ptr", 0xff))
			}
			for p.err == nil && !p.is(",", ">") {
				if len(b) > 36 {
					p.fail(p.tok.pos, "more than 9 addresses")
				}
				if a := p.addr4(t.text); p.err == nil {
					b = append(b, a.AsSlice()...)
					b[1] += 4
				}
			}
			return b
		}
		p.fail(t.pos, "want an IP option (ra, rr, lsrr, ssrr, nop, eol, kind N hex:...), not %s", t.show())
		return nil
	}))
}

// formatIPOptions is the list for the bytes of IPv4 options.
func formatIPOptions(b []byte) string {
	items, rest := splitOptions(b, func(o []byte) string {
		switch {
		case o[0] == 148 && len(o) == 4:
			if n := binary.BigEndian.Uint16(o[2:]); n != 0 {
				return fmt.Sprintf("ra %d", n)
			}
			return "ra"
		case (o[0] == 7 || o[0] == 131 || o[0] == 137) && len(o) >= 3 && len(o)%4 == 3:
			s := map[byte]string{7: "rr", 131: "lsrr", 137: "ssrr"}[o[0]]
			if o[2] != 4 {
				s += fmt.Sprintf(" ptr %d", o[2])
			}
			for i := 3; i < len(o); i += 4 {
				s += " " + netip.AddrFrom4([4]byte(o[i:])).String()
			}
			return s
		}
		return ""
	})
	return formatList(items, rest)
}

// ext reads what follows the word of an IPv6 extension header: for hbh and
// dstopts a list of options, for routing its type, the segments left and a
// list of addresses, or for any of them and for ext N the bytes behind the
// length.
func (p *textParser) ext(ip *IP, t token) {
	e := Ext{Data: []byte{0, 0}}
	switch t.text {
	case "hbh":
		e.Proto = ProtoHopByHop
	case "dstopts":
		e.Proto = ProtoDstOpts
	case "routing":
		e.Proto = ProtoRouting
	case "ext":
		e.Proto = uint8(p.number("ext", 0xff))
		// The byte behind the first is a length only for some of them.
		e.Data = e.Data[:1]
	}
	switch {
	case t.text == "ext":
		e.Data = append(e.Data, p.hex(p.next())...)
		if p.err == nil && len(e.Data)%8 != 0 {
			p.fail(t.pos, "%d bytes, want 7 more than a multiple of 8", len(e.Data)-1)
		}
	case e.Proto == ProtoRouting:
		e.Data = append(e.Data, byte(p.number("routing", 0xff)), 0)
		p.want("left", "after the routing type")
		e.Data[3] = byte(p.number("left", 0xff))
		if strings.HasPrefix(p.tok.text, "hex:") {
			e.Data = append(e.Data, p.hex(p.next())...)
		} else {
			e.Data = append(e.Data, p.segments(e.Data[2])...)
		}
	default:
		e.Data = append(e.Data, p.list("IPv6 options", 2046, p.ipv6Option)...)
		e.Data = padIPv6(e.Data)
	}
	if p.err != nil {
		return
	}
	if t.text != "ext" {
		if len(e.Data)%8 != 0 || len(e.Data) > 2048 {
			p.fail(t.pos, "%s of %d bytes, want a multiple of 8 up to 2048", t.text, len(e.Data))
			return
		}
		e.Data[1] = byte(len(e.Data)/8 - 1)
	}
	ip.Ext = append(ip.Ext, e)
}

// segments reads the addresses of a routing header. Segment routing (type 4)
// has the index of the last in front of them.
func (p *textParser) segments(typ byte) []byte {
	b := make([]byte, 4)
	addrs := p.list("addresses", 2040, func(t token) []byte {
		a, err := netip.ParseAddr(t.text)
		if err != nil || !a.Is6() || a.Zone() != "" {
			p.fail(t.pos, "want an IPv6 address, not %s", t.show())
			return nil
		}
		return a.AsSlice()
	})
	if typ == 4 && len(addrs) > 0 {
		b[0] = byte(len(addrs)/16 - 1)
	}
	return append(b, addrs...)
}

func (p *textParser) ipv6Option(t token) []byte {
	switch t.text {
	case "pad1":
		return []byte{0}
	case "padn":
		n := p.number("padn", 257)
		if n < 2 {
			p.fail(t.pos, "padn has at least 2 bytes")
			return nil
		}
		return append([]byte{1, byte(n - 2)}, make([]byte, n-2)...)
	case "ra":
		return binary.BigEndian.AppendUint16([]byte{5, 2}, uint16(p.number("ra", 0xffff)))
	case "jumbo":
		return binary.BigEndian.AppendUint32([]byte{0xc2, 4}, uint32(p.number("jumbo", 0xffffffff)))
	case "opt":
		k := byte(p.number("opt", 0xff))
		var data []byte
		if strings.HasPrefix(p.tok.text, "hex:") {
			data = p.hex(p.next())
		}
		if len(data) > 255 {
			p.fail(t.pos, "option of %d bytes is too long", len(data))
		}
		return append([]byte{k, byte(len(data))}, data...)
	}
	p.fail(t.pos, "want an IPv6 option (pad1, padn N, ra N, jumbo N, opt N hex:...), not %s", t.show())
	return nil
}

// padIPv6 fills an extension header up to a multiple of 8 with one option.
func padIPv6(b []byte) []byte {
	switch n := -len(b) & 7; n {
	case 0:
		return b
	case 1:
		return append(b, 0)
	default:
		return append(append(b, 1, byte(n-2)), make([]byte, n-2)...)
	}
}

// formatExt is the text of an extension header. It may not read back to the
// same bytes where they are odd; formatExtHex does.
func formatExt(e Ext) string {
	d := e.Data
	if len(d) < 8 {
		return formatExtHex(e) // Build refuses it
	}
	switch e.Proto {
	case ProtoHopByHop:
		return "hbh " + formatIPv6Options(d[2:])
	case ProtoDstOpts:
		return "dstopts " + formatIPv6Options(d[2:])
	case ProtoRouting:
		var addrs []string
		for i := 8; i+16 <= len(d); i += 16 {
			addrs = append(addrs, netip.AddrFrom16([16]byte(d[i:])).String())
		}
		return fmt.Sprintf("routing %d left %d <%s>", d[2], d[3], strings.Join(addrs, ","))
	case ProtoFragment:
		f := binary.BigEndian.Uint16(d[2:])
		s := "frag " + strconv.Itoa(int(f&^7))
		if f&1 != 0 {
			s += "+"
		}
		if id := binary.BigEndian.Uint32(d[4:]); id != 0 {
			s += fmt.Sprintf(" fragid %d", id)
		}
		return s
	}
	return formatExtHex(e)
}

func formatExtHex(e Ext) string {
	return fmt.Sprintf("ext %d hex:%x", e.Proto, e.Data[min(1, len(e.Data)):])
}

func formatIPv6Options(b []byte) string {
	var items []string
	whole := b
	for len(b) > 0 {
		if b[0] == 0 {
			items = append(items, "pad1")
			b = b[1:]
			continue
		}
		if len(b) < 2 || int(b[1])+2 > len(b) {
			return formatList(items, b)
		}
		o := b[:int(b[1])+2]
		switch {
		case o[0] == 1 && strings.Trim(string(o[2:]), "\x00") == "":
			items = append(items, fmt.Sprintf("padn %d", len(o)))
		case o[0] == 5 && len(o) == 4:
			items = append(items, fmt.Sprintf("ra %d", binary.BigEndian.Uint16(o[2:])))
		case o[0] == 0xc2 && len(o) == 6:
			items = append(items, fmt.Sprintf("jumbo %d", binary.BigEndian.Uint32(o[2:])))
		case len(o) == 2:
			items = append(items, fmt.Sprintf("opt %d", o[0]))
		default:
			items = append(items, fmt.Sprintf("opt %d hex:%x", o[0], o[2:]))
		}
		b = b[len(o):]
	}
	if n := len(items); n > 0 {
		// Padding at the end comes by itself.
		last := 1
		if s, ok := strings.CutPrefix(items[n-1], "padn "); ok {
			last, _ = strconv.Atoi(s)
		} else if items[n-1] != "pad1" {
			last = 0
		}
		if last > 0 && len(padIPv6(make([]byte, 2+len(whole)-last))) == 2+len(whole) {
			items = items[:n-1]
		}
	}
	return formatList(items, nil)
}
