package pkt

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// Flags and modes of bpf_skb_adjust_room.
const (
	roomFixedGSO    = 1 << 0
	roomEncapIPv4   = 1 << 1
	roomEncapIPv6   = 1 << 2
	roomEncapGRE    = 1 << 3
	roomEncapUDP    = 1 << 4
	roomNoCsumReset = 1 << 5
	roomEncapL2Eth  = 1 << 6
	roomDecapIPv4   = 1 << 7
	roomDecapIPv6   = 1 << 8
	roomEncapL2     = 0xff << 56

	roomEncapL3 = roomEncapIPv4 | roomEncapIPv6
	roomDecapL3 = roomDecapIPv4 | roomDecapIPv6
	roomFlags   = roomFixedGSO | roomEncapL3 | roomEncapGRE | roomEncapUDP | roomNoCsumReset | roomEncapL2Eth |
		roomDecapL3 | roomEncapL2

	roomNet = 0 // room behind the IP header
	roomMAC = 1 // room before it
)

// More GSO types, for packets that are encapsulated (SKB_GSO_*).
const (
	gsoGRE       = 1 << 6
	gsoIPXIP4    = 1 << 8
	gsoIPXIP6    = 1 << 9
	gsoUDPTunnel = 1 << 10
)

func skbAdjustRoom(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	diff, mode, flags := int(int32(args[1])), uint32(args[2]), args[3]
	e := s.adjustRoom(c, diff, mode, flags)
	return e.Neg(), nil
}

func (s *Skb) adjustRoom(c *vm.CPU, diff int, mode uint32, flags uint64) errno.Errno {
	n := max(diff, -diff)
	shrink := diff < 0
	if flags&^uint64(roomFlags) != 0 {
		return errno.EINVAL
	}
	if n > 0xfff {
		return errno.EFAULT
	}
	minLen := ipHeaderLen(s.protocol)
	if minLen == 0 {
		return errno.ENOTSUPP
	}
	off := s.network - s.mac
	switch mode {
	case roomNet:
		off += minLen
	case roomMAC:
	default:
		return errno.ENOTSUPP
	}
	if flags&roomDecapL3 != 0 {
		if !shrink {
			return errno.EINVAL
		}
		switch flags & roomDecapL3 {
		case roomDecapIPv4:
			minLen = 20
		case roomDecapIPv6:
			minLen = 40
		default:
			return errno.EINVAL
		}
	}
	// In the kernel these are unsigned.
	cur := s.Len() - uint32(s.offset(s.network))
	if shrink && (uint32(n) >= cur || cur-uint32(n) < uint32(minLen)) ||
		!shrink && s.Len()+uint32(n) > skbMaxLen && !s.isGSO() {
		return errno.ENOTSUPP
	}
	var e errno.Errno
	if shrink {
		e = s.shrinkRoom(c, off, n, flags)
	} else {
		e = s.growRoom(c, off, n, flags)
	}
	if e == 0 && flags&roomNoCsumReset == 0 {
		s.resetCsumLevel()
	}
	return e
}

// ipHeaderLen is the length of the fixed header of IPv4 or IPv6, 0 for others.
func ipHeaderLen(proto uint16) int {
	switch proto {
	case ethPIP:
		return 20
	case ethPIPv6:
		return 40
	}
	return 0
}

// fixedSegments reports whether a packet of several segments may get or lose
// headers: TCP always, UDP if its segments keep their size.
func (s *Skb) fixedSegments(flags uint64) bool {
	return !s.isGSO() || s.gsoType&(GSOTCPv4|GSOTCPv6) != 0 ||
		s.gsoType&GSOUDPL4 != 0 && flags&roomFixedGSO != 0
}

func (s *Skb) growRoom(c *vm.CPU, off, n int, flags uint64) errno.Errno {
	if !s.fixedSegments(flags) {
		return errno.ENOTSUPP
	}
	encap := flags&roomEncapL3 != 0
	innerMAC := int(flags >> 56)
	if encap {
		if e := s.checkEncap(n, innerMAC, flags); e != 0 {
			return e
		}
	}
	macLen := s.network - s.mac
	if e := s.pushHeader(c, off, n); e != 0 {
		return e
	}
	gsoType := uint32(GSODodgy)
	if encap {
		s.encapsulation = true
		s.network = s.dataPos + macLen
		gsoType |= encapGSOType(flags)
		if flags&(roomEncapGRE|roomEncapUDP) != 0 {
			h := 20
			if flags&roomEncapIPv6 != 0 {
				h = 40
			}
			s.transport, s.transportSet = s.dataPos+macLen+h, true
		}
		switch {
		case s.protocol == ethPIP && flags&roomEncapIPv6 != 0:
			s.changeProtocol(ethPIPv6)
		case s.protocol == ethPIPv6 && flags&roomEncapIPv4 != 0:
			s.changeProtocol(ethPIP)
		}
	}
	if s.isGSO() {
		s.gsoType |= gsoType
		s.gsoSegs = 0
		if flags&roomFixedGSO == 0 {
			s.gsoSize -= uint16(n)
		}
	}
	return 0
}

func (s *Skb) checkEncap(n, innerMAC int, flags uint64) errno.Errno {
	switch {
	case flags&roomEncapL3 == roomEncapL3,
		flags&roomEncapGRE != 0 && flags&roomEncapUDP != 0,
		flags&roomEncapL2Eth != 0 && innerMAC < ethHLen:
		return errno.EINVAL
	case s.encapsulation:
		return errno.EALREADY
	case innerMAC > n:
		return errno.EINVAL
	}
	return 0
}

func encapGSOType(flags uint64) uint32 {
	switch {
	case flags&roomEncapUDP != 0:
		return gsoUDPTunnel
	case flags&roomEncapGRE != 0:
		return gsoGRE
	case flags&roomEncapIPv6 != 0:
		return gsoIPXIP6
	}
	return gsoIPXIP4
}

func (s *Skb) shrinkRoom(c *vm.CPU, off, n int, flags uint64) errno.Errno {
	if flags&^uint64(roomFixedGSO|roomDecapL3|roomNoCsumReset) != 0 {
		return errno.EINVAL
	}
	if !s.fixedSegments(flags) {
		return errno.ENOTSUPP
	}
	if e := s.popHeader(c, off, n); e != 0 {
		return e
	}
	switch {
	case s.protocol == ethPIP && flags&roomDecapIPv6 != 0:
		s.changeProtocol(ethPIPv6)
	case s.protocol == ethPIPv6 && flags&roomDecapIPv4 != 0:
		s.changeProtocol(ethPIP)
	}
	if s.isGSO() {
		if flags&roomFixedGSO == 0 {
			s.gsoSize += uint16(n)
		}
		s.gsoType |= GSODodgy
		s.gsoSegs = 0
	}
	return 0
}
