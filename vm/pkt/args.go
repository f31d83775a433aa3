package pkt

import (
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// skbArg is the packet that a program gave in r1.
func skbArg(c *vm.CPU, args *[5]uint64) (*Skb, error) {
	s, _, err := vm.OwnerAt[*Skb](c, "R1", args[0])
	return s, err
}

// xdpArg is the packet that an XDP program gave in r1.
func xdpArg(c *vm.CPU, args *[5]uint64) (*XDP, error) {
	x, _, err := vm.OwnerAt[*XDP](c, "R1", args[0])
	return x, err
}

// anyPacket is a Skb or an XDP.
type anyPacket interface {
	vm.Context
	Device() *netns.Device
	Len() uint32
}

// packetArg is the packet of either kind that a program gave in r1.
func packetArg(c *vm.CPU, args *[5]uint64) (anyPacket, error) {
	p, _, err := vm.OwnerAt[anyPacket](c, "R1", args[0])
	return p, err
}

// skbFunc makes a helper on a Skb of f.
func skbFunc(f func(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error)) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		s, err := skbArg(c, args)
		if err != nil {
			return 0, err
		}
		return f(c, s, args)
	}
}

// movingFunc is skbFunc for helpers after which the verifier forgets packet
// pointers: if f left the bytes where they were, they are moved.
func movingFunc(f func(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error)) vm.Func {
	return skbFunc(func(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
		before := s.obj
		ret, err := f(c, s, args)
		if err != nil {
			return 0, err
		}
		if s.obj == before {
			if err := s.relocate(c.Site()); err != nil {
				return memoryResult(0, err)
			}
		}
		s.sync()
		return ret, nil
	})
}

// xdpFunc makes a helper on an XDP of f.
func xdpFunc(f func(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error)) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		x, err := xdpArg(c, args)
		if err != nil {
			return 0, err
		}
		return f(c, x, args)
	}
}
