package pkt

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// push adds n zero bytes at off of the packet: what is before moves to the
// front (bpf_skb_generic_push). Positions of headers stay.
func (s *Skb) push(at vm.Site, off, n int) error {
	err := s.rebuild(at, s.headLen()+uint32(n), func(dst, old []byte) {
		copy(dst, old[:off])
		copy(dst[off+n:], old[off:])
	})
	if err == nil {
		s.dataPos -= n
	}
	return err
}

// pop takes n bytes at off out (bpf_skb_generic_pop); false when the packet is
// shorter.
func (s *Skb) pop(c *vm.CPU, off, n int) bool {
	if s.ensureWritable(c, uint32(off+n)) != 0 {
		return false
	}
	s.pullCsum(s.linear()[off : off+n])
	err := s.rebuild(c.Site(), s.headLen()-uint32(n), func(dst, old []byte) {
		copy(dst, old[:off])
		copy(dst[off:], old[off+n:])
	})
	if err != nil {
		return false
	}
	s.dataPos += n
	return true
}

// moveHeaders moves the link layer and network headers by n, after bytes behind
// them came or went.
func (s *Skb) moveHeaders(n int) {
	same := s.transportSet && s.transport == s.network
	s.mac += n
	s.network += n
	if same {
		s.transport = s.network
	}
}

// pushHeader is push with the headers before moving along
// (bpf_skb_net_hdr_push).
func (s *Skb) pushHeader(c *vm.CPU, off, n int) errno.Errno {
	// The kernel does not check that the packet reaches to off; what it moves
	// beyond its end nobody sees.
	off = min(off, int(s.headLen()))
	if s.push(c.Site(), off, n) != nil {
		return errno.ENOMEM
	}
	s.moveHeaders(-n)
	return 0
}

// popHeader is pop with the headers before moving along.
func (s *Skb) popHeader(c *vm.CPU, off, n int) errno.Errno {
	if !s.pop(c, off, n) {
		return errno.ENOMEM
	}
	s.moveHeaders(n)
	return 0
}

// changeProtocol sets skb->protocol.
func (s *Skb) changeProtocol(p uint16) {
	s.protocol = p
	s.route = nil
}

func skbChangeHead(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	n, flags := uint32(args[1]), args[2]
	if flags != 0 || !s.isGSO() && s.Len()+n > skbMaxLen || s.Len()+n < s.Len() {
		return errno.EINVAL.Neg(), nil
	}
	if n > kmallocMax {
		return errno.ENOMEM.Neg(), nil
	}
	if err := s.push(c.Site(), 0, int(n)); err != nil {
		return memoryResult(0, err)
	}
	s.mac = s.dataPos
	s.macLen = s.network - s.mac
	return 0, nil
}

// minLen is the length below which a packet may not be cut: its headers.
func (s *Skb) minLen() uint32 {
	n := max(s.offset(s.network), 0)
	if s.transportSet && s.offset(s.transport) > 0 {
		n = s.offset(s.transport)
	}
	return uint32(n)
}

func skbChangeTail(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	n, flags := uint32(args[1]), args[2]
	if flags != 0 || n > skbMaxLen || n < s.minLen() {
		return errno.EINVAL.Neg(), nil
	}
	if s.encapsulation {
		return errno.ENOTSUPP.Neg(), nil
	}
	if e := s.ensureWritable(c, s.Len()); e != 0 {
		return e.Neg(), nil
	}
	if n != s.Len() {
		if s.csum == CsumComplete || s.csum == CsumPartial && n < s.Len() {
			s.csum = CsumNone
		}
		if err := s.rebuild(c.Site(), n, keep); err != nil {
			return memoryResult(0, err)
		}
	}
	if s.isGSO() {
		s.gsoSize, s.gsoSegs, s.gsoType = 0, 0, 0
	}
	return 0, nil
}

// skbChangeProto turns IPv4 into IPv6 and back, as far as lengths go.
func skbChangeProto(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	const lenDiff = 40 - 20
	to, flags := bswap16(uint16(args[1])), args[2]
	if flags != 0 {
		return errno.EINVAL.Neg(), nil
	}
	off := s.network - s.mac
	var e errno.Errno
	switch {
	case s.protocol == ethPIP && to == ethPIPv6:
		e = s.pushHeader(c, off, lenDiff)
	case s.protocol == ethPIPv6 && to == ethPIP:
		e = s.popHeader(c, off, lenDiff)
	default:
		e = errno.ENOTSUPP
	}
	if e != 0 {
		return e.Neg(), nil
	}
	if s.isGSO() {
		v4, v6 := uint32(GSOTCPv4), uint32(GSOTCPv6)
		if to == ethPIP {
			v4, v6 = v6, v4
		}
		if s.gsoType&v4 != 0 {
			s.gsoType = s.gsoType&^v4 | v6
		}
		s.gsoType |= GSODodgy
	}
	s.changeProtocol(to)
	s.clearHash()
	return 0, nil
}

func skbChangeType(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	const otherHost = 3 // the highest type that may be set
	t := uint32(args[1])
	if s.pktType > otherHost || t > otherHost {
		return errno.EINVAL.Neg(), nil
	}
	s.pktType = uint8(t)
	s.sync()
	return 0, nil
}
