package ctframe

import (
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

// rightChecksum verifies the transport checksum as the tracker of Linux does:
// over all that the IP packet has, whatever length the transport header names.
// There need be none in UDP.
func (h *header) rightChecksum(p *conntrack.Packet) bool {
	b := h.frame[h.at:h.end]
	switch p.Tuple.Proto {
	case packet.ProtoTCP, packet.ProtoICMPv6:
		return h.sum(p, b, true)
	case packet.ProtoUDP:
		return h.u16(6) == 0 || h.sum(p, b, true)
	case packet.ProtoUDPLite:
		if n := int(h.u16(4)); n != 0 {
			b = b[:min(n, len(b))]
		}
		return h.sum(p, b, true)
	case packet.ProtoICMP:
		return h.sum(p, b, false)
	case packet.ProtoSCTP:
		return packet.ChecksumSCTP(b) == h.u32(8)
	}
	return true
}

// sum says whether b adds up to zero, with the pseudo header where pseudo.
func (h *header) sum(p *conntrack.Packet, b []byte, pseudo bool) bool {
	seed := uint32(0)
	if pseudo {
		src, dst := p.Tuple.Src.Netip(p.Tuple.Family), p.Tuple.Dst.Netip(p.Tuple.Family)
		seed = packet.CsumPseudo(src, dst, p.Tuple.Proto, h.end-h.at)
	}
	return packet.CsumFold(packet.CsumPartial(b, seed)) == 0
}
