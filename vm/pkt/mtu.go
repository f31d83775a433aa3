package pkt

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// What bpf_check_mtu returns.
const (
	mtuOK           = 0
	mtuFragNeeded   = 1
	mtuSegsTooBig   = 2
	mtuCheckSegs    = 1 // flag
	maxVLANOnDevice = vlanHLen
)

// checkMTU is bpf_check_mtu, of tc and of XDP programs.
func checkMTU(c *vm.CPU, args *[5]uint64) (uint64, error) {
	p, err := packetArg(c, args)
	if err != nil {
		return 0, err
	}
	field, err := c.Write("R3", args[2], 4)
	if err != nil {
		return 0, err
	}
	ifindex, diff, flags := uint32(args[1]), int32(args[3]), args[4]
	given := le.Uint32(field)
	s, isSkb := p.(*Skb)
	if isSkb {
		if flags&^mtuCheckSegs != 0 || flags != 0 && (diff != 0 || given != 0) {
			return errno.EINVAL.Neg(), nil
		}
	} else if flags != 0 {
		return errno.EINVAL.Neg(), nil
	}
	dev := p.Device()
	if ifindex != 0 {
		dev = p.Netns().Device(int(int32(ifindex)))
	}
	if dev == nil {
		return errno.ENODEV.Neg(), nil
	}
	length := int32(p.Len())
	if x, ok := p.(*XDP); ok {
		length = int32(x.headLen())
	}
	if given != 0 {
		length = int32(given) + int32(dev.HardHeaderLen())
	}
	ret := uint64(mtuOK)
	if length+diff > int32(dev.MTU)+int32(dev.HardHeaderLen()) {
		ret = mtuFragNeeded
		if isSkb && s.isGSO() {
			ret = mtuOK
			if flags&mtuCheckSegs != 0 {
				if !s.transportSet {
					return errno.EINVAL.Neg(), nil
				}
				if s.segmentLen() > int(dev.MTU) {
					ret = mtuSegsTooBig
				}
			}
		}
	}
	le.PutUint32(field, dev.MTU)
	return ret, nil
}

// segmentLen is the length of a segment's network packet.
func (s *Skb) segmentLen() int {
	n := s.transport - s.network + int(s.gsoSize)
	at := s.offset(s.transport)
	switch {
	case s.gsoType&(GSOTCPv4|GSOTCPv6) != 0:
		var b [1]byte
		if at >= 0 && s.LoadBytes(uint32(at)+12, b[:]) {
			n += int(b[0]>>4) * 4
		}
	case s.gsoType&GSOUDPL4 != 0:
		n += 8
	}
	return n
}

// forwardable reports whether dev would take the packet (is_skb_forwardable).
func (s *Skb) forwardable(dev *netns.Device) bool {
	return dev.Up && (s.Len() <= dev.MTU+uint32(dev.HardHeaderLen())+maxVLANOnDevice || s.isGSO())
}
