package ctframe

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

// Fill sets everything in p that comes from the frame: Zone, Mark and
// Untracked stay as they are. info is what [packet.Parse] found in the frame,
// also where it gave an error. With checksum the transport checksum is
// verified, as Linux does in prerouting.
//
// It is false where the frame has no IP packet, or one whose IP header is so
// wrong that a host drops it before the tracker sees it.
func Fill(p *conntrack.Packet, frame []byte, info *packet.Info, checksum bool) bool {
	*p = conntrack.Packet{Zone: p.Zone, Mark: p.Mark, Untracked: p.Untracked}
	if info.Version == 0 || info.End <= info.Network {
		return false
	}
	h := header{frame: frame, at: info.Transport, end: info.End}
	p.Len = uint32(claimed(frame, info) - info.Network)
	switch info.Version {
	case 4:
		p.Tuple.Family = conntrack.IPv4
		copy(p.Tuple.Src[:4], frame[info.Network+12:])
		copy(p.Tuple.Dst[:4], frame[info.Network+16:])
		if h.at == 0 {
			h.at = info.Network + int(frame[info.Network]&0xf)*4
		}
	default:
		p.Tuple.Family = conntrack.IPv6
		p.Tuple.Src = [16]byte(frame[info.Network+8:])
		p.Tuple.Dst = [16]byte(frame[info.Network+24:])
	}
	p.Tuple.Proto = info.Proto
	if info.FragOffset != 0 || info.Version == 6 && (info.Transport == 0 || info.Proto == packet.ProtoNoNext) {
		p.Fault = conntrack.ReasonNoTransport
		if info.Version == 6 && info.FragOffset == 0 && info.Proto != packet.ProtoNoNext {
			p.Fault = conntrack.ReasonNoTuple // the header is there but cut
		}
		return true
	}
	if !h.tuple(&p.Tuple) {
		p.Fault = conntrack.ReasonNoTuple
		if isICMP(info.Proto) {
			p.Fault, p.FaultN = conntrack.ReasonShort, [3]uint32{8, uint32(h.len())}
		}
		return true
	}
	h.fill(p, claimed(frame, info)-h.at, info)
	if checksum && p.Fault == conntrack.ReasonNone {
		p.BadChecksum = !info.Truncated && !h.rightChecksum(p)
	}
	return true
}

func isICMP(proto uint8) bool { return proto == packet.ProtoICMP || proto == packet.ProtoICMPv6 }

// claimed is where the packet ends by its own account; a capture may have cut
// it before.
func claimed(frame []byte, info *packet.Info) int {
	if !info.Truncated {
		return info.End
	}
	h := frame[info.Network:]
	if info.Version == 4 {
		return info.Network + int(binary.BigEndian.Uint16(h[2:]))
	}
	return info.Network + 40 + int(binary.BigEndian.Uint16(h[4:]))
}

// A header is a transport header: frame[at:end] and what follows it.
type header struct {
	frame   []byte
	at, end int
}

func (h *header) len() int         { return max(h.end-h.at, 0) }
func (h *header) u8(i int) uint8   { return h.frame[h.at+i] }
func (h *header) u16(i int) uint16 { return binary.BigEndian.Uint16(h.frame[h.at+i:]) }
func (h *header) u32(i int) uint32 { return binary.BigEndian.Uint32(h.frame[h.at+i:]) }

// tuple reads what layer 4 has of a tuple.
func (h *header) tuple(t *conntrack.Tuple) bool {
	switch t.Proto {
	case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoUDPLite, packet.ProtoSCTP:
		if h.len() < 4 {
			return false
		}
		t.SrcPort, t.DstPort = h.u16(0), h.u16(2)
	case packet.ProtoICMP, packet.ProtoICMPv6:
		if h.len() < 8 {
			return false
		}
		t.SrcPort, t.DstPort = h.u16(4), h.u16(0)
	case packet.ProtoGRE:
		// Only the version that PPTP uses has a key that tells calls apart.
		if h.len() < 4 || h.u16(0)&7 != 1 {
			return true
		}
		if h.u16(2) != 0x880b {
			return false
		}
		if h.len() < 8 {
			return true
		}
		t.DstPort = h.u16(6)
	}
	return true
}

// fill reads the header. size is how many bytes the packet says to have from
// it on.
func (h *header) fill(p *conntrack.Packet, size int, info *packet.Info) {
	switch p.Tuple.Proto {
	case packet.ProtoTCP:
		h.tcp(p, size)
	case packet.ProtoUDP:
		if !h.need(p, 8) {
			return
		}
		if n := int(h.u16(4)); n < 8 || n > size {
			p.Fault, p.FaultN = conntrack.ReasonBadLength, [3]uint32{uint32(n), uint32(size)}
		}
	case packet.ProtoUDPLite:
		if !h.need(p, 8) {
			return
		}
		if n := int(h.u16(4)); n != 0 && (n < 8 || n > size) {
			p.Fault, p.FaultN = conntrack.ReasonBadCoverage, [3]uint32{uint32(n), uint32(size)}
		} else if h.u16(6) == 0 {
			p.Fault = conntrack.ReasonMissingChecksum
		}
	case packet.ProtoICMP, packet.ProtoICMPv6:
		p.ICMPType, p.ICMPCode = h.u8(0), h.u8(1)
		if p.Tuple.Proto == packet.ProtoICMP && p.Tuple.Family == conntrack.IPv4 ||
			p.Tuple.Proto == packet.ProtoICMPv6 && p.Tuple.Family == conntrack.IPv6 && p.ICMPType < 128 {
			h.quoted(p, info)
		}
	case packet.ProtoSCTP:
		if !h.need(p, 12) {
			return
		}
		p.VTag = h.u32(4)
		p.Chunks = h.frame[h.at+12 : h.end]
	}
}

func (h *header) need(p *conntrack.Packet, n int) bool {
	if h.len() >= n {
		return true
	}
	p.Fault, p.FaultN = conntrack.ReasonShort, [3]uint32{uint32(n), uint32(h.len())}
	return false
}

// quoted reads the tuple of the packet in an ICMP message.
func (h *header) quoted(p *conntrack.Packet, info *packet.Info) {
	q := header{frame: h.frame, at: h.at + 8, end: h.end}
	t := conntrack.Tuple{Family: p.Tuple.Family}
	if t.Family == conntrack.IPv4 {
		if q.len() < 20 || q.u16(6)&0x1fff != 0 {
			return
		}
		copy(t.Src[:4], q.frame[q.at+12:])
		copy(t.Dst[:4], q.frame[q.at+16:])
		t.Proto = q.u8(9)
		q.at += int(q.u8(0)&0xf) * 4
	} else {
		in := &info.Inner
		if in.Version != 6 || in.Transport == 0 || in.Proto == packet.ProtoNoNext {
			return
		}
		t.Src = [16]byte(q.frame[in.Network+8:])
		t.Dst = [16]byte(q.frame[in.Network+24:])
		t.Proto = in.Proto
		q.at = in.Transport
	}
	if q.at > q.end || !q.tuple(&t) {
		return
	}
	p.Quoted, p.HasQuoted = t, true
}
