package pkt

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

const macAddrs = 12 // bytes of the two MAC addresses

func isVLAN(proto uint16) bool { return proto == eth8021Q || proto == eth8021AD }

// withMAC runs f, a change of the link layer header. At ingress a complete
// checksum does not cover that header, so it is added before and taken away
// after.
func (s *Skb) withMAC(f func() errno.Errno) errno.Errno {
	sum := func(change func([]byte)) {
		if !s.ingress {
			return
		}
		at := s.offset(s.mac)
		if at >= 0 && at+s.macLen <= int(s.headLen()) {
			change(s.linear()[at : at+s.macLen])
		}
	}
	sum(s.pushCsum)
	e := f()
	sum(s.pullCsum)
	return e
}

// skbVLANPush puts a tag beside the packet, and one that is there already into
// it.
func skbVLANPush(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	proto, tci := bswap16(uint16(args[1])), uint16(args[2])
	if !isVLAN(proto) {
		proto = eth8021Q
	}
	e := s.withMAC(func() errno.Errno { return s.vlanPush(c, proto, tci) })
	// The length of the link layer header is noted anew in any case.
	s.macLen = s.network - s.mac
	return e.Neg(), nil
}

func (s *Skb) vlanPush(c *vm.CPU, proto, tci uint16) errno.Errno {
	if s.vlan != (VLANTag{}) {
		if s.offset(s.mac) != 0 {
			return errno.EINVAL
		}
		if s.ensureWritable(c, ethHLen) != 0 {
			return errno.EINVAL
		}
		if s.push(c.Site(), macAddrs, vlanHLen) != nil {
			return errno.ENOMEM
		}
		s.mac -= vlanHLen
		tag := s.linear()[macAddrs : macAddrs+vlanHLen]
		binary.BigEndian.PutUint16(tag, s.vlan.Proto)
		binary.BigEndian.PutUint16(tag[2:], s.vlan.TCI)
		s.protocol = s.vlan.Proto
		s.network -= vlanHLen
		s.pushCsum(tag)
	}
	s.vlan = VLANTag{proto, tci}
	return 0
}

// skbVLANPop takes the outermost tag off; one that lies behind it in the packet
// moves beside it.
func skbVLANPop(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	return s.withMAC(func() errno.Errno { return s.vlanPop(c) }).Neg(), nil
}

func (s *Skb) vlanPop(c *vm.CPU) errno.Errno {
	if s.vlan != (VLANTag{}) {
		s.vlan = VLANTag{}
	} else {
		if !isVLAN(s.protocol) {
			return 0
		}
		if _, e := s.takeVLAN(c); e != 0 {
			return e
		}
	}
	if !isVLAN(s.protocol) {
		return 0
	}
	proto := s.protocol
	tci, e := s.takeVLAN(c)
	if e != 0 {
		return e
	}
	s.vlan = VLANTag{proto, tci}
	return 0
}

// takeVLAN takes a tag out of the packet.
func (s *Skb) takeVLAN(c *vm.CPU) (tci uint16, e errno.Errno) {
	if s.offset(s.mac) != 0 {
		return 0, errno.EINVAL
	}
	if e := s.ensureWritable(c, ethHLen+vlanHLen); e != 0 {
		return 0, e
	}
	tci = binary.BigEndian.Uint16(s.linear()[ethHLen:])
	if !s.pop(c, macAddrs, vlanHLen) {
		return 0, errno.ENOMEM
	}
	s.mac += vlanHLen
	s.protocol = s.typeBehindTag()
	if s.offset(s.network) < ethHLen {
		s.network = s.dataPos + ethHLen
	}
	s.macLen = s.network - s.mac
	return tci, 0
}

// typeBehindTag is the protocol that follows a tag just removed, which stands
// where that of the frame does.
func (s *Skb) typeBehindTag() uint16 {
	b := s.linear()
	if p := binary.BigEndian.Uint16(b[macAddrs:]); p >= eth8023Min {
		return p
	}
	if len(b) >= ethHLen+2 && b[ethHLen] == 0xff && b[ethHLen+1] == 0xff {
		return ethP8023
	}
	return ethP8022
}
