package pkt

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/vm"
)

// Flags of bpf_skb_store_bytes.
const (
	fRecomputeCsum  = 1 << 0
	fInvalidateHash = 1 << 1
)

const maxInt32 = 1<<31 - 1

// ensureWritable makes the first n bytes linear, as helpers do before they
// write: ENOMEM when the packet is shorter.
func (s *Skb) ensureWritable(c *vm.CPU, n uint32) errno.Errno {
	ok, err := s.pull(c.Site(), n)
	if !ok || err != nil {
		return errno.ENOMEM
	}
	return 0
}

func skbLoadBytes(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	off, n := uint32(args[1]), uint32(args[3])
	to, err := c.Write("R3", args[2], n)
	if err != nil {
		return 0, err
	}
	if off > maxInt32 || !s.LoadBytes(off, to) {
		vm.Clear(to)
		return errno.EFAULT.Neg(), nil
	}
	return 0, nil
}

// skbLoadBytesRelative counts from a header; only linear bytes count.
func skbLoadBytesRelative(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	const startMAC, startNet = 0, 1
	off, n := uint32(args[1]), uint32(args[3])
	to, err := c.Write("R3", args[2], n)
	if err != nil {
		return 0, err
	}
	start := 0
	ok := off <= 0xffff
	switch uint32(args[4]) {
	case startMAC:
		start = s.mac
	case startNet:
		start = s.network
	default:
		ok = false
	}
	at := s.offset(start) + int(off)
	if !ok || at+int(n) > int(s.headLen()) {
		vm.Clear(to)
		return errno.EFAULT.Neg(), nil
	}
	s.copyFrom(at, to)
	return 0, nil
}

// copyFrom copies linear bytes from at on. Those before the packet are of a link
// layer header that the program does not see. See vm.Copy for go:norace.
//
//go:norace
func (s *Skb) copyFrom(at int, to []byte) {
	for i := range to {
		to[i] = 0
		if at+i >= 0 {
			to[i] = s.linear()[at+i]
		} else if h := len(s.hidden) + at + i; h >= 0 {
			to[i] = s.hidden[h]
		}
	}
}

// LoadBytes copies the bytes at off to dst; false when they are not all there.
// Negative offsets are those of the legacy load instructions: from SKF_NET_OFF on
// they count from the network header, from SKF_LL_OFF on from that of the link
// layer.
func (s *Skb) LoadBytes(off uint32, dst []byte) bool {
	const fromNetwork, fromLink = -0x100000, -0x200000
	at := int(int32(off))
	switch {
	case at >= 0:
	case at >= fromNetwork:
		at += s.offset(s.network) - fromNetwork
	case at >= fromLink:
		at += s.offset(s.mac) - fromLink
	default:
		return false
	}
	if at >= 0 {
		return s.buffer.LoadBytes(uint32(at), dst)
	}
	if at+len(dst) > int(s.headLen()) {
		return false
	}
	s.copyFrom(at, dst)
	return true
}

func skbStoreBytes(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	off, n, flags := uint32(args[1]), uint32(args[3]), args[4]
	from, err := c.Read("R3", args[2], n)
	if err != nil {
		return 0, err
	}
	if flags&^(fRecomputeCsum|fInvalidateHash) != 0 {
		return errno.EINVAL.Neg(), nil
	}
	if off > maxInt32 {
		return errno.EFAULT.Neg(), nil
	}
	// What is stored may lie in the packet itself, whose bytes move.
	from = vm.Clone(from)
	if s.ensureWritable(c, off+n) != 0 {
		return errno.EFAULT.Neg(), nil
	}
	dst := s.linear()[off : off+n]
	if flags&fRecomputeCsum != 0 {
		s.pullCsumAt(dst, off)
	}
	vm.Copy(dst, from)
	if flags&fRecomputeCsum != 0 {
		s.pushCsumAt(dst, off)
	}
	if flags&fInvalidateHash != 0 {
		s.clearHash()
	}
	return 0, nil
}

func skbPullData(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	n := uint32(args[1])
	if n == 0 {
		n = s.headLen()
	}
	return result(s.ensureWritable(c, n)), nil
}

// pullCsum takes bytes that leave the front of the packet out of a complete
// checksum. Unlike pullCsumAt it keeps a sum of zeros 0, where both are the
// kernel's arithmetic.
func (s *Skb) pullCsum(b []byte) {
	if s.csum == CsumComplete {
		s.csumSum = -packet.CsumPartial(b, -s.csumSum)
	}
}

func (s *Skb) pullCsumAt(b []byte, off uint32) {
	if s.csum == CsumComplete {
		s.csumSum = packet.CsumBlockSub(s.csumSum, packet.CsumPartial(b, 0), int(off))
	}
}

// pushCsum adds bytes that came to the front of the packet.
func (s *Skb) pushCsum(b []byte) { s.pushCsumAt(b, 0) }

func (s *Skb) pushCsumAt(b []byte, off uint32) {
	if s.csum == CsumComplete {
		s.csumSum = packet.CsumBlockAdd(s.csumSum, packet.CsumPartial(b, 0), int(off))
	}
}
