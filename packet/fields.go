package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// field is a part of a frame that has a name. A blob is one whose bytes have
// no meaning here: payload, padding.
type field struct {
	layer, name string
	value       string
	off         int
	blob        []byte
}

func (f *field) key() string { return f.layer + "." + f.name }

// fieldWalker names all the bytes of a frame, in order.
type fieldWalker struct {
	frame  []byte
	pos    int // bytes before it are named
	fields []field
}

// fieldsOf names the bytes of a frame. What Parse does not get through is a
// blob.
func fieldsOf(frame []byte, link LinkType) []field {
	w := &fieldWalker{frame: frame}
	var info Info
	if err := info.parseLink(frame, link); err != nil {
		w.rest("frame", "bytes", len(frame))
		return w.fields
	}
	w.link(&info, link)
	_ = info.parseNetwork(frame) // what it found before a fault is named, the rest a blob
	switch {
	case info.Version != 0:
		w.packet(&info.IPInfo, &info.Inner, "")
	case info.EtherType == EtherTypeARP && decodeARP(frame[info.Network:]) != nil:
		w.arp()
	default:
		w.rest("frame", "payload", len(frame))
	}
	w.rest("frame", "trailer", len(frame))
	return w.fields
}

func (w *fieldWalker) add(layer, name string, off int, value any) {
	w.fields = append(w.fields, field{layer: layer, name: name, off: off, value: fmt.Sprint(value)})
}

// rest makes a blob of the bytes up to end.
func (w *fieldWalker) rest(layer, name string, end int) {
	if end > w.pos {
		w.fields = append(w.fields, field{layer: layer, name: name, off: w.pos, blob: w.frame[w.pos:end]})
		w.pos = end
	}
}

func (w *fieldWalker) u16(off int) uint16 { return binary.BigEndian.Uint16(w.frame[off:]) }
func (w *fieldWalker) u32(off int) uint32 { return binary.BigEndian.Uint32(w.frame[off:]) }

func (w *fieldWalker) link(info *Info, link LinkType) {
	if link != LinkEthernet {
		w.rest("link", "header", info.Network)
		return
	}
	w.add("eth", "dst", 0, MAC(w.frame[0:]))
	w.add("eth", "src", 6, MAC(w.frame[6:]))
	off := 12
	for i, v := range info.VLANs[:info.NumVLANs] {
		layer := "vlan"
		if i > 0 {
			layer = "vlan2"
		}
		w.add(layer, "tpid", off, fmt.Sprintf("%#04x", v.TPID))
		w.add(layer, "pcp", off+2, v.Priority())
		w.add(layer, "dei", off+2, v.DEI())
		w.add(layer, "id", off+2, v.ID())
		off += 4
	}
	w.add("eth", "type", off, fmt.Sprintf("%#04x", info.EtherType))
	w.pos = off + 2
}

func (w *fieldWalker) arp() {
	off := w.pos
	a := decodeARP(w.frame[off:])
	w.add("arp", "op", off+6, a.Op)
	w.add("arp", "sha", off+8, a.SenderMAC)
	w.add("arp", "spa", off+14, a.SenderIP)
	w.add("arp", "tha", off+18, a.TargetMAC)
	w.add("arp", "tpa", off+24, a.TargetIP)
	w.pos = off + 28
}

// packet names an IP packet and all that it carries.
func (w *fieldWalker) packet(p, inner *IPInfo, prefix string) {
	if p.Version == 4 {
		w.ipv4(prefix+"ipv4", p.Network)
	} else {
		w.ipv6(prefix+"ipv6", p)
	}
	layer := prefix + ProtoName(p.Proto)
	if p.Transport != 0 {
		w.rest(prefix+"ipv6", "unread", p.Transport)
		w.transport(layer, p)
	}
	if inner != nil && inner.Version != 0 {
		w.packet(inner, nil, "quoted ")
	}
	w.rest(layer, "payload", p.End)
}

func (w *fieldWalker) ipv4(layer string, off int) {
	h := w.frame[off:]
	size := int(h[0]&0xf) * 4
	w.add(layer, "version", off, h[0]>>4)
	w.add(layer, "hdrlen", off, size)
	w.add(layer, "tos", off+1, fmt.Sprintf("%#02x", h[1]))
	w.add(layer, "length", off+2, w.u16(off+2))
	w.add(layer, "id", off+4, w.u16(off+4))
	frag := w.u16(off + 6)
	var flags []string
	for i, name := range []string{"rf", "df", "mf"} {
		if frag>>(15-i)&1 != 0 {
			flags = append(flags, name)
		}
	}
	if flags == nil {
		flags = []string{"none"}
	}
	w.add(layer, "flags", off+6, strings.Join(flags, ","))
	w.add(layer, "frag", off+6, int(frag&0x1fff)*8)
	w.add(layer, "ttl", off+8, h[8])
	w.add(layer, "proto", off+9, ProtoName(h[9]))
	w.add(layer, "checksum", off+10, fmt.Sprintf("%#04x", w.u16(off+10)))
	w.add(layer, "src", off+12, netip.AddrFrom4([4]byte(h[12:])))
	w.add(layer, "dst", off+16, netip.AddrFrom4([4]byte(h[16:])))
	if size > 20 {
		w.add(layer, "options", off+20, formatIPOptions(h[20:size]))
	}
	w.pos = off + size
}

func (w *fieldWalker) ipv6(layer string, p *IPInfo) {
	off := p.Network
	h := w.frame[off:]
	first := w.u32(off)
	w.add(layer, "version", off, h[0]>>4)
	w.add(layer, "tclass", off, fmt.Sprintf("%#02x", uint8(first>>20)))
	w.add(layer, "flow", off+1, fmt.Sprintf("%#05x", first&0xfffff))
	w.add(layer, "length", off+4, w.u16(off+4))
	w.add(layer, "next", off+6, ProtoName(h[6]))
	w.add(layer, "hlim", off+7, h[7])
	w.add(layer, "src", off+8, netip.AddrFrom16([16]byte(h[8:])))
	w.add(layer, "dst", off+24, netip.AddrFrom16([16]byte(h[24:])))
	w.pos = off + 40
	var ext IP
	ext.decodeV6(h[:p.End-off])
	times := map[string]int{}
	for _, e := range ext.Ext {
		name := ProtoName(e.Proto)
		if times[name]++; times[name] > 1 {
			name += strconv.Itoa(times[name])
		}
		_, value, _ := strings.Cut(formatExt(e), " ") // behind the header's own name
		w.add(layer, name, w.pos, value)
		w.add(layer, name+".next", w.pos, ProtoName(e.Data[0]))
		w.pos += len(e.Data)
	}
}

func (w *fieldWalker) transport(layer string, p *IPInfo) {
	off := p.Transport
	h := w.frame[off:p.Payload]
	switch {
	case len(h) < 8:
	case p.Proto == ProtoTCP:
		w.ports(layer, off)
		w.add(layer, "seq", off+4, w.u32(off+4))
		if len(h) < 20 {
			w.pos = off + 8
			w.rest(layer, "header", p.Payload)
			return
		}
		w.add(layer, "ack", off+8, w.u32(off+8))
		w.add(layer, "hdrlen", off+12, int(h[12]>>4)*4)
		if r := h[12] >> 1 & 7; r != 0 {
			w.add(layer, "reserved", off+12, r)
		}
		w.add(layer, "flags", off+13, FlagLetters(w.u16(off+12)&0x1ff))
		w.add(layer, "window", off+14, w.u16(off+14))
		w.add(layer, "checksum", off+16, fmt.Sprintf("%#04x", w.u16(off+16)))
		w.add(layer, "urgent", off+18, w.u16(off+18))
		if len(h) > 20 {
			w.add(layer, "options", off+20, formatTCPOptions(h[20:]))
		}
		w.pos = p.Payload
	case p.Proto == ProtoUDP || p.Proto == ProtoUDPLite:
		w.ports(layer, off)
		w.add(layer, "length", off+4, w.u16(off+4))
		w.add(layer, "checksum", off+6, fmt.Sprintf("%#04x", w.u16(off+6)))
		w.pos = p.Payload
	case p.Proto == ProtoICMP || p.Proto == ProtoICMPv6:
		w.add(layer, "type", off, h[0])
		w.add(layer, "code", off+1, h[1])
		w.add(layer, "checksum", off+2, fmt.Sprintf("%#04x", w.u16(off+2)))
		if isICMPError(p.Proto, h[0]) {
			w.add(layer, "rest", off+4, fmt.Sprintf("%#08x", w.u32(off+4)))
		} else {
			w.add(layer, "id", off+4, w.u16(off+4))
			w.add(layer, "seq", off+6, w.u16(off+6))
		}
		w.pos = p.Payload
	case p.Proto == ProtoSCTP && len(h) >= 12:
		w.ports(layer, off)
		w.add(layer, "vtag", off+4, fmt.Sprintf("%#08x", w.u32(off+4)))
		w.add(layer, "checksum", off+8, fmt.Sprintf("%#08x", w.u32(off+8)))
		w.pos = off + 12
	case p.Proto == ProtoDCCP || p.Proto == ProtoSCTP:
		w.ports(layer, off)
		w.pos = off + 4
	}
}

func (w *fieldWalker) ports(layer string, off int) {
	w.add(layer, "sport", off, w.u16(off))
	w.add(layer, "dport", off+2, w.u16(off+2))
}
