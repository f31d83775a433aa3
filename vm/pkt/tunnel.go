package pkt

import (
	"net/netip"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// Tunnel is the key and the options of a tunnel (struct ip_tunnel_info): of the
// tunnel that a packet came by, or of that it shall take.
type Tunnel struct {
	ID uint64
	// Src and Dst are the outer addresses.
	Src, Dst netip.Addr
	TOS, TTL uint8
	// Label is the IPv6 flow label.
	Label uint32
	// Flags are the tunnel's flags (TUNNEL_*).
	Flags uint16
	// Options are those of the tunnel's protocol.
	Options []byte

	set bool // by the program
}

// Bits of Tunnel.Flags.
const (
	TunnelCsum         = 1 << 0
	TunnelKey          = 1 << 2
	TunnelSeq          = 1 << 3
	TunnelDontFragment = 1 << 8
	TunnelNoCache      = 1 << 13
	// TunnelOptions are the bits that say of which protocol the options are.
	TunnelOptions = 1<<11 | 1<<12 | 1<<14 | 1<<15
)

// Flags of the tunnel helpers.
const (
	fTunIPv6      = 1 << 0
	fZeroCsumTX   = 1 << 1
	fDontFragment = 1 << 2
	fSeqNumber    = 1 << 3
	fTunFlags     = 1 << 4 // get
	fNoTunnelKey  = 1 << 4 // set
	maxTunnelOpts = 255
)

// Offsets of struct bpf_tunnel_key. It grew with time, and helpers take its
// older sizes: up to the second word of the remote address, to ext, label, and
// local address.
const (
	tkID     = 0
	tkRemote = 4
	tkTOS    = 20
	tkTTL    = 21
	tkExt    = 22
	tkLabel  = 24
	tkLocal  = 28
	tkSize   = 44
	tkOldest = 8
)

func tunnelKeySize(n uint32) bool {
	return n == tkSize || n == tkLocal || n == tkLabel || n == tkExt || n == tkOldest
}

// Tunnel is the tunnel of the packet: after the run that which the program set,
// nil for none.
func (s *Skb) Tunnel() *Tunnel { return s.tunnel }

func skbGetTunnelKey(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	n, flags := uint32(args[2]), args[3]
	to, err := c.Write("R2", args[1], n)
	if err != nil {
		return 0, err
	}
	t := s.tunnel
	is6 := flags&fTunIPv6 != 0
	e := errno.Errno(0)
	switch {
	case t == nil || flags&^(fTunIPv6|fTunFlags) != 0:
		e = errno.EINVAL
	case t.Dst.Is6() != is6:
		e = errno.EPROTO
	case !tunnelKeySize(n) || n == tkOldest && is6:
		e = errno.EINVAL
	}
	if e != 0 {
		clear(to)
		return e.Neg(), nil
	}
	var k [tkSize]byte
	le.PutUint32(k[tkID:], uint32(t.ID))
	k[tkTOS], k[tkTTL] = t.TOS, t.TTL
	if flags&fTunFlags != 0 {
		le.PutUint16(k[tkExt:], bswap16(t.Flags))
	}
	if is6 {
		src, dst := t.Src.As16(), t.Dst.As16()
		copy(k[tkRemote:], src[:])
		copy(k[tkLocal:], dst[:])
		le.PutUint32(k[tkLabel:], t.Label)
	} else {
		src, dst := t.Src.As4(), t.Dst.As4()
		putBE(k[tkRemote:], src)
		putBE(k[tkLocal:], dst)
	}
	copy(to, k[:])
	return 0, nil
}

// putBE writes an address as a number in host order.
func putBE(b []byte, a [4]byte) { b[0], b[1], b[2], b[3] = a[3], a[2], a[1], a[0] }

func skbSetTunnelKey(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	n, flags := uint32(args[2]), args[3]
	from, err := c.Read("R2", args[1], n)
	if err != nil {
		return 0, err
	}
	if flags&^(fTunIPv6|fZeroCsumTX|fDontFragment|fSeqNumber|fNoTunnelKey) != 0 || !tunnelKeySize(n) {
		return errno.EINVAL.Neg(), nil
	}
	var k [tkSize]byte
	copy(k[:], from)
	is6 := flags&fTunIPv6 != 0
	label := le.Uint32(k[tkLabel:])
	if !is6 && label != 0 || le.Uint16(k[tkExt:]) != 0 {
		return errno.EINVAL.Neg(), nil
	}
	t := &Tunnel{ID: uint64(le.Uint32(k[tkID:])), TOS: k[tkTOS], TTL: k[tkTTL], Flags: TunnelNoCache, set: true}
	for _, f := range []struct {
		on  bool
		bit uint16
	}{{flags&fDontFragment != 0, TunnelDontFragment}, {flags&fZeroCsumTX == 0, TunnelCsum},
		{flags&fSeqNumber != 0, TunnelSeq}, {flags&fNoTunnelKey == 0, TunnelKey}} {
		if f.on {
			t.Flags |= f.bit
		}
	}
	if is6 {
		t.Dst, t.Src = netip.AddrFrom16([16]byte(k[tkRemote:])), netip.AddrFrom16([16]byte(k[tkLocal:]))
		t.Label = label & 0xfffff
	} else {
		var dst, src [4]byte
		putBE(dst[:], [4]byte(k[tkRemote:]))
		putBE(src[:], [4]byte(k[tkLocal:]))
		t.Dst, t.Src = netip.AddrFrom4(dst), netip.AddrFrom4(src)
	}
	s.tunnel, s.route = t, nil
	return 0, nil
}

func skbGetTunnelOpt(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	n := uint32(args[2])
	to, err := c.Write("R2", args[1], n)
	if err != nil {
		return 0, err
	}
	t := s.tunnel
	clear(to)
	switch {
	case t == nil || t.Flags&TunnelOptions == 0:
		return errno.ENOENT.Neg(), nil
	case int(n) < len(t.Options):
		return errno.ENOMEM.Neg(), nil
	}
	copy(to, t.Options)
	return uint64(len(t.Options)), nil
}

func skbSetTunnelOpt(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	n := uint32(args[2])
	from, err := c.Read("R2", args[1], n)
	if err != nil {
		return 0, err
	}
	t := s.tunnel
	if t == nil || !t.set || n&3 != 0 {
		return errno.EINVAL.Neg(), nil
	}
	if n > maxTunnelOpts {
		return errno.ENOMEM.Neg(), nil
	}
	t.Options = append([]byte(nil), from...)
	if n > 0 {
		t.Flags |= TunnelOptions
	}
	return 0, nil
}
