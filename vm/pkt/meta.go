package pkt

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/vm"
)

// vlanDepth is how many tags the kernel looks through for the protocol.
const vlanDepth = 8

// innerProtocol is the protocol behind the tags that are in the packet, 0 where
// it cannot be found (vlan_get_protocol).
func (s *Skb) innerProtocol() uint16 {
	proto := s.protocol
	if !isVLAN(proto) {
		return proto
	}
	at := uint32(ethHLen)
	if s.macLen != 0 {
		at = uint32(s.macLen - vlanHLen)
	}
	for depth := vlanDepth; ; at += vlanHLen {
		var tag [vlanHLen]byte
		depth--
		if !s.LoadBytes(at, tag[:]) || depth == 0 {
			return 0
		}
		if proto = binary.BigEndian.Uint16(tag[2:]); !isVLAN(proto) {
			return proto
		}
	}
}

// ecnSetCE marks the packet as having met congestion, if its transport can
// tell.
func ecnSetCE(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	proto := s.innerProtocol()
	n := ipHeaderLen(proto)
	at := s.offset(s.network)
	if n == 0 || int(s.headLen()) < n || at < 0 || at+n > int(s.headLen()) {
		return 0, nil
	}
	ip := s.linear()[at:]
	if proto == ethPIP {
		return ecn4(ip), nil
	}
	// The traffic class lies across the first two bytes.
	if ip[1]>>4&3 == 0 {
		return 0, nil
	}
	from := le.Uint32(ip)
	ip[1] |= 3 << 4
	if s.csum == CsumComplete {
		s.csumSum = packet.CsumAdd(packet.CsumSub(s.csumSum, from), le.Uint32(ip))
	}
	return 1, nil
}

func ecn4(ip []byte) uint64 {
	ecn := ip[1] & 3
	switch ecn {
	case 0:
		return 0
	case 3:
		return 1
	}
	// The checksum changes by as much as the type of service, which is the low
	// byte of its word: by 2 or 1, downwards.
	sum := uint32(binary.BigEndian.Uint16(ip[10:])) + 0xffff - uint32(3-ecn)
	binary.BigEndian.PutUint16(ip[10:], uint16(sum+sum>>16))
	ip[1] |= 3
	return 1
}

// skbSetTstamp is bpf_skb_set_tstamp.
func skbSetTstamp(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	const realtime, monotonic, tai = 0, 1, 2
	tstamp, clock := args[1], uint32(args[2])
	if ipHeaderLen(s.protocol) == 0 {
		return errno.EOPNOTSUPP.Neg(), nil
	}
	if clock > tai || clock != realtime && tstamp == 0 {
		return errno.EINVAL.Neg(), nil
	}
	le.PutUint64(s.ctx.Bytes()[offTstamp:], tstamp)
	s.tstampType = uint8(clock)
	s.sync()
	return 0, nil
}

// rootCgroup is the id of the cgroup that all is in: the virtual host has no
// other.
const rootCgroup = 1

func skbCgroupID(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	if s.sock == nil || !s.sock.full() {
		return 0, nil
	}
	return rootCgroup, nil
}

func skbAncestorCgroupID(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	if int32(args[1]) != 0 {
		return 0, nil
	}
	return skbCgroupID(c, s, args)
}

func skbCgroupClassid(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) { return 0, nil }

func getRouteRealm(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	if s.route == nil {
		return 0, nil
	}
	return uint64(s.route.Realm), nil
}

func getSocketCookie(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	if s.sock == nil {
		return 0, nil
	}
	return s.sock.sock.Cookie, nil
}

func getSocketUID(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	const overflowUID = 65534
	if s.sock == nil || !s.sock.full() {
		return overflowUID, nil
	}
	return uint64(s.sock.sock.UID), nil
}

// getNetnsCookie is bpf_get_netns_cookie; without a context it is that of the
// host's first namespace.
func getNetnsCookie(c *vm.CPU, args *[5]uint64) (uint64, error) {
	if args[0] == 0 {
		return netns.InitCookie, nil
	}
	p, err := packetArg(c, args)
	if err != nil {
		return 0, err
	}
	return p.Netns().Cookie, nil
}

// skbGetXfrmState is bpf_skb_get_xfrm_state: no packet here has come through
// IPsec.
func skbGetXfrmState(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	to, err := c.Write("R3", args[2], uint32(args[3]))
	if err != nil {
		return 0, err
	}
	clear(to)
	return errno.EINVAL.Neg(), nil
}

// xdpGetXfrmState is the kfunc that looks for an IPsec state; a namespace here
// has none, so that it only tells the errors apart.
func xdpGetXfrmState(c *vm.CPU, x *XDP, args *[5]uint64) (uint64, error) {
	const optsSize = 36 // struct bpf_xfrm_state_opts: error, netns_id, ...
	n := uint32(args[2])
	opts, err := c.Write("R2", args[1], n)
	if err != nil || n < 4 {
		return 0, err
	}
	e := errno.ENOENT
	if n != optsSize {
		e = errno.EINVAL
	} else if id := int32(le.Uint32(opts[4:])); id < -1 {
		e = errno.EINVAL
	} else if id >= 0 && x.ns.ByID(id) == nil {
		e = errno.ENONET
	}
	le.PutUint32(opts, uint32(e.Neg()))
	return 0, nil
}

// xdpXfrmStateRelease can only be given what nobody has.
func xdpXfrmStateRelease(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return 0, c.Fault(vm.BadRelease, "R1", "%#x is not an IPsec state", args[0])
}
