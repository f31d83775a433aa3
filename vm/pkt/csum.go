package pkt

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/vm"
)

// Flags of the checksum helpers.
const (
	fHdrFieldMask = 0xf
	fPseudoHdr    = 1 << 4
	fMarkMangled0 = 1 << 5
	fMarkEnforce  = 1 << 6
	fIPv6         = 1 << 7
)

// csumDiff is bpf_csum_diff. Its result has 16 bits.
func csumDiff(c *vm.CPU, args *[5]uint64) (uint64, error) {
	fromSize, toSize, seed := uint32(args[1]), uint32(args[3]), uint32(args[4])
	from, err := c.Read("R1", args[0], fromSize)
	if err != nil {
		return 0, err
	}
	to, err := c.Read("R3", args[2], toSize)
	if err != nil {
		return 0, err
	}
	sum := seed
	switch {
	case fromSize != 0 && toSize != 0:
		sum = packet.CsumSub(packet.CsumPartial(to, seed), packet.CsumPartial(from, 0))
	case toSize != 0:
		sum = packet.CsumPartial(to, seed)
	case fromSize != 0:
		sum = ^packet.CsumPartial(from, ^seed)
	}
	return uint64(packet.CsumFrom32To16(sum)), nil
}

func csumUpdate(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	if s.csum != CsumComplete {
		return errno.ENOTSUPP.Neg(), nil
	}
	s.csumSum = packet.CsumAdd(s.csumSum, uint32(args[1]))
	return uint64(s.csumSum), nil
}

func csumLevel(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	const query, inc, dec, reset = 0, 1, 2, 3
	const maxLevel = 3
	switch args[1] {
	case inc:
		switch {
		case s.csum == CsumUnnecessary && s.csumLevel < maxLevel:
			s.csumLevel++
		case s.csum == CsumNone:
			s.csum, s.csumLevel = CsumUnnecessary, 0
		}
	case dec:
		switch {
		case s.csum != CsumUnnecessary:
		case s.csumLevel == 0:
			s.csum = CsumNone
		default:
			s.csumLevel--
		}
	case reset:
		s.resetCsumLevel()
	case query:
		if s.csum != CsumUnnecessary {
			return errno.EACCES.Neg(), nil
		}
		return uint64(s.csumLevel), nil
	default:
		return errno.EINVAL.Neg(), nil
	}
	return 0, nil
}

func (s *Skb) resetCsumLevel() {
	if s.csum == CsumUnnecessary {
		s.csum, s.csumLevel = CsumNone, 0
	}
}

// checksumField makes the two bytes of a checksum writable, for both replace
// helpers.
func (s *Skb) checksumField(c *vm.CPU, off uint32) ([]byte, errno.Errno) {
	if off > 0xffff || off&1 != 0 || s.ensureWritable(c, off+2) != 0 {
		return nil, errno.EFAULT
	}
	return s.linear()[off : off+2], 0
}

// replaceByDiff and replace are the checksum sum after a change by diff, or of
// from into to.
func replaceByDiff(sum uint16, diff uint32) uint16 {
	return packet.CsumFold(packet.CsumAdd(diff, ^uint32(sum)))
}

func replace4(sum uint16, from, to uint32) uint16 {
	return packet.CsumFold(packet.CsumAdd(packet.CsumSub(^uint32(sum), from), to))
}

func replace2(sum, from, to uint16) uint16 {
	add := func(a, b uint16) uint16 {
		r := uint32(a) + uint32(b)
		return uint16(r) + uint16(r>>16)
	}
	return ^add(add(^sum, ^from), to)
}

func l3CsumReplace(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	off, from, to, flags := uint32(args[1]), args[2], args[3], args[4]
	if flags&^fHdrFieldMask != 0 {
		return errno.EINVAL.Neg(), nil
	}
	field, e := s.checksumField(c, off)
	if e != 0 {
		return e.Neg(), nil
	}
	sum := le.Uint16(field)
	switch flags & fHdrFieldMask {
	case 0:
		if from != 0 {
			return errno.EINVAL.Neg(), nil
		}
		sum = replaceByDiff(sum, uint32(to))
	case 2:
		sum = replace2(sum, uint16(from), uint16(to))
	case 4:
		sum = replace4(sum, uint32(from), uint32(to))
	default:
		return errno.EINVAL.Neg(), nil
	}
	le.PutUint16(field, sum)
	return 0, nil
}

func l4CsumReplace(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	off, from, to, flags := uint32(args[1]), args[2], args[3], args[4]
	if flags&^(fHdrFieldMask|fPseudoHdr|fMarkMangled0|fMarkEnforce|fIPv6) != 0 {
		return errno.EINVAL.Neg(), nil
	}
	field, e := s.checksumField(c, off)
	if e != 0 {
		return e.Neg(), nil
	}
	pseudo := flags&fPseudoHdr != 0
	sum := le.Uint16(field)
	if flags&fMarkMangled0 != 0 && flags&fMarkEnforce == 0 && sum == 0 {
		return 0, nil
	}
	switch flags & fHdrFieldMask {
	case 0:
		if from != 0 {
			return errno.EINVAL.Neg(), nil
		}
		sum = s.transportByDiff(sum, uint32(to), pseudo, flags&fIPv6 != 0)
	case 2:
		sum = s.transportReplace(sum, uint32(uint16(from)), uint32(uint16(to)), pseudo)
	case 4:
		sum = s.transportReplace(sum, uint32(from), uint32(to), pseudo)
	default:
		return errno.EINVAL.Neg(), nil
	}
	if flags&fMarkMangled0 != 0 && sum == 0 {
		sum = 0xffff
	}
	le.PutUint16(field, sum)
	return 0, nil
}

// transportReplace changes a transport checksum, and a complete one of the
// packet where the change is in the pseudo header, which that does not cover. A
// partial one holds the sum of the pseudo header only.
func (s *Skb) transportReplace(sum uint16, from, to uint32, pseudo bool) uint16 {
	if s.csum == CsumPartial {
		if pseudo {
			sum = ^packet.CsumFold(packet.CsumAdd(packet.CsumSub(uint32(sum), from), to))
		}
		return sum
	}
	if s.csum == CsumComplete && pseudo {
		s.csumSum = ^packet.CsumAdd(packet.CsumSub(^s.csumSum, from), to)
	}
	return replace4(sum, from, to)
}

func (s *Skb) transportByDiff(sum uint16, diff uint32, pseudo, ipv6 bool) uint16 {
	if s.csum == CsumPartial {
		if pseudo {
			sum = ^packet.CsumFold(packet.CsumAdd(diff, uint32(sum)))
		}
		return sum
	}
	if s.csum == CsumComplete && pseudo && !ipv6 {
		s.csumSum = ^packet.CsumSub(diff, s.csumSum)
	}
	return replaceByDiff(sum, diff)
}
