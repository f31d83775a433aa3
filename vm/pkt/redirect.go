package pkt

import (
	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// Flags of redirects.
const (
	fIngress        = 1 << 0
	fBroadcast      = 1 << 3
	fExcludeIngress = 1 << 4
	// fRedirectInternal are bits that the kernel keeps for itself.
	fRedirectInternal = 1<<16 | 1<<17 | 1<<18
	// xdpActions are the return codes that a redirect to a map may fall back to.
	xdpActions = 3
	// netDropped is NET_XMIT_DROP and NET_RX_DROP.
	netDropped = 1
	// netCongested is NET_XMIT_CN.
	netCongested = 2
)

// RedirectKind is the helper that chose a target.
type RedirectKind uint8

// The kinds of redirects.
const (
	RedirectDevice RedirectKind = iota // bpf_redirect
	RedirectPeer                       // bpf_redirect_peer: to the other end of a veth pair
	RedirectNeigh                      // bpf_redirect_neigh: with a MAC header for the next hop
	RedirectToMap                      // bpf_redirect_map
)

// Redirect is where a packet goes if the program returns TC_ACT_REDIRECT or
// XDP_REDIRECT: what the last helper said.
type Redirect struct {
	Kind RedirectKind
	// Ifindex is the device; of a RedirectToMap it is the key.
	Ifindex uint32
	// Ingress says that the packet arrives at the device instead of leaving it.
	Ingress bool
	// Nexthop is a struct bpf_redir_neigh where the program gave one, else nil.
	Nexthop []byte
	// Map is the map of a RedirectToMap, and Target the value of its key. Broadcast
	// means all targets, ExcludeIngress all but the device that the packet came by.
	Map                       RedirectMap
	Target                    any
	Broadcast, ExcludeIngress bool
}

// RedirectMap is what a redirect asks of a devmap, cpumap or xskmap; such a map
// implements it as owner of its handle.
type RedirectMap interface {
	// RedirectTarget is the target at key, nil for none.
	RedirectTarget(key uint32) any
	// CanBroadcast reports whether the map takes BPF_F_BROADCAST: a devmap does.
	CanBroadcast() bool
}

// Clone is a copy of a packet that bpf_clone_redirect sent.
type Clone struct {
	// Data is the packet as it arrives at or leaves the device: without the MAC
	// header where the device has none.
	Data    []byte
	Device  *netns.Device
	Ingress bool
	Mark    uint32
	VLAN    VLANTag
}

// Redirect is the target that helpers chose last, nil for none.
func (s *Skb) Redirect() *Redirect { return s.redirect }

// Clones are the packets that bpf_clone_redirect sent, oldest first.
func (s *Skb) Clones() []Clone { return s.clones }

// Redirect is the target that helpers chose last, nil for none.
func (x *XDP) Redirect() *Redirect { return x.redirect }

// redirect is bpf_redirect, of tc and of XDP programs.
func redirect(c *vm.CPU, args *[5]uint64) (uint64, error) {
	ifindex, flags := uint32(args[0]), args[1]
	if x, ok := c.Ctx.(*XDP); ok {
		if flags != 0 {
			return xdpAborted, nil
		}
		x.redirect = &Redirect{Ifindex: ifindex}
		return xdpRedirect, nil
	}
	s, ok := c.Ctx.(*Skb)
	if !ok {
		return failedRedirect(c), nil
	}
	if flags&(^uint64(fIngress)|fRedirectInternal) != 0 {
		return tcActShot, nil
	}
	s.redirect = &Redirect{Ifindex: ifindex, Ingress: flags&fIngress != 0}
	return tcActRedirect, nil
}

// failedRedirect is what a program that runs on no packet gets.
func failedRedirect(c *vm.CPU) uint64 {
	if c.Prog != nil && c.Prog.Type == ebpf.XDP {
		return xdpAborted
	}
	return tcActShot
}

func redirectPeer(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s, ok := c.Ctx.(*Skb)
	if !ok || args[1] != 0 {
		return tcActShot, nil
	}
	s.redirect = &Redirect{Kind: RedirectPeer, Ifindex: uint32(args[0])}
	return tcActRedirect, nil
}

func redirectNeigh(c *vm.CPU, args *[5]uint64) (uint64, error) {
	const nexthopSize = 20 // struct bpf_redir_neigh
	n := int32(args[2])
	s, ok := c.Ctx.(*Skb)
	params, err := c.Read("R2", args[1], uint32(n))
	if err != nil {
		return 0, err
	}
	if !ok || args[3] != 0 || n != 0 && n < nexthopSize {
		return tcActShot, nil
	}
	r := &Redirect{Kind: RedirectNeigh, Ifindex: uint32(args[0])}
	if n != 0 {
		r.Nexthop = append([]byte(nil), params[:nexthopSize]...)
	}
	s.redirect = r
	return tcActRedirect, nil
}

func redirectMap(c *vm.CPU, args *[5]uint64) (uint64, error) {
	m, _, err := vm.OwnerAt[RedirectMap](c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	x, ok := c.Ctx.(*XDP)
	if !ok {
		return xdpAborted, nil
	}
	key, flags := uint32(args[1]), args[2]
	allowed := uint64(xdpActions)
	if m.CanBroadcast() {
		allowed |= fBroadcast | fExcludeIngress
	}
	if flags&^allowed != 0 {
		return xdpAborted, nil
	}
	target := m.RedirectTarget(key)
	if target == nil && flags&fBroadcast == 0 {
		x.redirect = nil
		return flags & xdpActions, nil
	}
	r := &Redirect{Kind: RedirectToMap, Ifindex: key, Map: m, Target: target}
	if flags&fBroadcast != 0 {
		r.Broadcast, r.ExcludeIngress = true, flags&fExcludeIngress != 0
	}
	x.redirect = r
	return xdpRedirect, nil
}

// cloneRedirect sends a copy of the packet at once. What becomes of it at the
// device is not this package's business, so that a device that is there takes it.
func cloneRedirect(c *vm.CPU, s *Skb, args *[5]uint64) (uint64, error) {
	flags := args[2]
	if flags&(^uint64(fIngress)|fRedirectInternal) != 0 {
		return errno.EINVAL.Neg(), nil
	}
	if s.isGSO() && s.gsoType == 0 {
		return errno.EBADMSG.Neg(), nil
	}
	dev := s.ns.Device(int(int32(args[1])))
	if dev == nil {
		return errno.EINVAL.Neg(), nil
	}
	clone := Clone{Data: s.Data(), Device: dev, Ingress: flags&fIngress != 0, Mark: s.Mark(), VLAN: s.vlan}
	if dev.HasMAC() {
		if s.mac >= s.network || s.Len() == 0 {
			return errno.ERANGE.Neg(), nil
		}
	} else {
		n := s.offset(s.network)
		if n < 0 || len(clone.Data) <= n {
			return errno.ERANGE.Neg(), nil
		}
		clone.Data = clone.Data[n:]
	}
	if ret := s.refused(dev, clone.Ingress); ret != 0 {
		return ret, nil
	}
	s.clones = append(s.clones, clone)
	return 0, nil
}

// refused is what the kernel returns where a clone does not get into, or out of,
// dev: 0 where it does.
func (s *Skb) refused(dev *netns.Device, ingress bool) uint64 {
	switch {
	case ingress:
		if !dev.Up {
			return netDropped
		}
	case !dev.Up:
		return netCongested // its queue takes nothing
	case dev.Kind == netns.KindVeth:
		if peer := dev.PeerDevice(); peer == nil || !s.forwardable(peer) {
			return netDropped
		}
	}
	return 0
}
