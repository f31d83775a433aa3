package replay

import (
	"bytes"
	"encoding/binary"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

// translate gives the frame as it leaves: destination changed in prerouting, source
// in postrouting, as the connection says. A frame that changes is copied.
//
// With programs, which may make connections that are translated, the host has NAT
// hooks: a first packet that nobody translates gets a null binding there.
func (p *Player) translate(x *Explanation, i *conntrack.Info, frame []byte, info *packet.Info) []byte {
	if !i.Conn.Valid() {
		return frame
	}
	nat, copied := len(p.progs) > 0, false
	for _, manip := range [...]conntrack.Manip{conntrack.ManipDst, conntrack.ManipSrc} {
		if nat && i.State() != conntrack.StateEstablished && !i.Conn.NATDecided(manip) {
			// Refused only where there is nothing to decide.
			_ = i.Conn.NullBinding(manip)
		}
		to, ok := i.Translate(manip)
		if !ok {
			continue
		}
		if x != nil {
			x.translated(manip, &to)
		}
		if !copied {
			frame, copied = bytes.Clone(frame), true
		}
		mangle(frame, info, manip, &to)
	}
	return frame
}

// mangle writes what manip changes into a frame: the address and, for protocols that
// have them, the port of to. The packet that an ICMP error quotes went the other way,
// so that its other end changes.
func mangle(frame []byte, info *packet.Info, manip conntrack.Manip, to *conntrack.Tuple) {
	if info.Inner.Version == 0 {
		mangleIP(frame, &info.IPInfo, manip, to, true)
		return
	}
	icmp := frame[info.Transport:info.End]
	before := bytes.Clone(icmp)
	inner := *to
	inner.Src, inner.Dst, inner.SrcPort, inner.DstPort = to.Dst, to.Src, to.DstPort, to.SrcPort
	if to.Proto == packet.ProtoICMP || to.Proto == packet.ProtoICMPv6 {
		inner.SrcPort = to.SrcPort // the id is the same both ways
	}
	mangleIP(frame, &info.Inner, 1-manip, &inner, true)
	fixSum(icmp[2:], before, icmp)
	mangleIP(frame, &info.IPInfo, manip, to, false)
}

// mangleIP changes one IP packet; with ports, those too.
func mangleIP(frame []byte, p *packet.IPInfo, manip conntrack.Manip, to *conntrack.Tuple, ports bool) {
	off, size := p.Network+12, 4
	if p.Version == 6 {
		off, size = p.Network+8, 16
	}
	addrs := frame[off : off+2*size]
	before := bytes.Clone(addrs)
	if manip == conntrack.ManipSrc {
		copy(addrs[:size], to.Src[:])
	} else {
		copy(addrs[size:], to.Dst[:])
	}
	if p.Version == 4 {
		fixSum(frame[p.Network+10:], before, addrs)
	}
	if p.Transport == 0 {
		return
	}
	h := frame[p.Transport:p.End]
	if p.Proto == packet.ProtoSCTP {
		// The checksum is over the packet alone.
		if ports && len(h) >= 12 && !p.Truncated {
			setPort(h, manip, to)
			binary.BigEndian.PutUint32(h[8:], packet.ChecksumSCTP(h))
		}
		return
	}
	sum := checksumAt(p, h)
	if sum != nil && p.Proto != packet.ProtoICMP {
		fixSum(sum, before, addrs) // they are in the pseudo header
	}
	if ports {
		setL4(p, h, sum, manip, to)
	}
	if sum != nil && (p.Proto == packet.ProtoUDP || p.Proto == packet.ProtoUDPLite) && sum[0]|sum[1] == 0 {
		sum[0], sum[1] = 0xff, 0xff // 0 would say that there is none
	}
}

// checksumAt is where the transport checksum stands; nil where there is none.
func checksumAt(p *packet.IPInfo, h []byte) []byte {
	at := 0
	switch p.Proto {
	case packet.ProtoTCP:
		at = 16
	case packet.ProtoUDP, packet.ProtoUDPLite:
		at = 6
	case packet.ProtoICMP, packet.ProtoICMPv6:
		at = 2
	}
	if at == 0 || len(h) < at+2 || p.Proto == packet.ProtoUDP && h[6]|h[7] == 0 {
		return nil
	}
	return h[at : at+2]
}

// setL4 changes the port or the ICMP id.
func setL4(p *packet.IPInfo, h, sum []byte, manip conntrack.Manip, to *conntrack.Tuple) {
	if len(h) < 8 {
		return
	}
	var field []byte
	switch p.Proto {
	case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoUDPLite:
		field = h[:4]
	case packet.ProtoICMP, packet.ProtoICMPv6:
		field = h[4:8]
	default:
		return
	}
	before := [4]byte(field)
	if p.Proto == packet.ProtoICMP || p.Proto == packet.ProtoICMPv6 {
		binary.BigEndian.PutUint16(field, to.SrcPort)
	} else {
		setPort(field, manip, to)
	}
	if sum != nil {
		fixSum(sum, before[:], field)
	}
}

func setPort(h []byte, manip conntrack.Manip, to *conntrack.Tuple) {
	if manip == conntrack.ManipSrc {
		binary.BigEndian.PutUint16(h, to.SrcPort)
	} else {
		binary.BigEndian.PutUint16(h[2:], to.DstPort)
	}
}

// fixSum corrects the Internet checksum at sum for bytes under it that changed.
func fixSum(sum, before, after []byte) {
	old := binary.LittleEndian.Uint16(sum)
	new := packet.CsumFold(packet.CsumDiff(before, after, uint32(^old)))
	binary.LittleEndian.PutUint16(sum, new)
}
