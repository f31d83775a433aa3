package pkt

import (
	"net/netip"
	"slices"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// Offsets of struct bpf_fib_lookup, several of which mean one thing before and
// another after.
const (
	fibFamily  = 0
	fibTotLen  = 6 // mtu_result
	fibIfindex = 8
	fibTOS     = 12 // rt_metric
	fibSrc     = 16
	fibDst     = 32
	fibTable   = 48 // h_vlan_proto, h_vlan_TCI
	fibMark    = 52 // smac
	fibDmac    = 58
	fibSize    = 64
)

// Flags of bpf_fib_lookup.
const (
	fibDirect    = 1 << 0
	fibOutput    = 1 << 1
	fibSkipNeigh = 1 << 2
	fibTbid      = 1 << 3
	fibSetSrc    = 1 << 4
	fibUseMark   = 1 << 5
	fibFlags     = 1<<6 - 1
)

// What bpf_fib_lookup returns (BPF_FIB_LKUP_RET_*).
const (
	fibSuccess = iota
	fibBlackhole
	fibUnreachable
	fibProhibit
	fibNotForwarded
	fibForwardingDisabled
	fibUnsuppLWT
	fibNoNeigh
	fibFragNeeded
	fibNoSrcAddr
)

// fibLookup is bpf_fib_lookup, of tc and of XDP programs.
func fibLookup(c *vm.CPU, args *[5]uint64) (uint64, error) {
	p, err := packetArg(c, args)
	if err != nil {
		return 0, err
	}
	plen, flags := uint32(args[2]), uint32(args[3])
	b, err := c.Write("R2", args[1], plen)
	if err != nil {
		return 0, err
	}
	if int32(plen) < fibSize || flags&^fibFlags != 0 {
		return errno.EINVAL.Neg(), nil
	}
	f := fib{ns: p.Netns(), b: b[:fibSize], flags: flags}
	s, isSkb := p.(*Skb)
	f.checkMTU = !isSkb || le.Uint16(b[fibTotLen:]) != 0
	switch b[fibFamily] {
	case netns.FamilyINET:
	case netns.FamilyINET6:
		f.is6 = true
	default:
		return errno.EAFNOSUPPORT.Neg(), nil
	}
	ret, e := f.lookup()
	if e != 0 {
		return e.Neg(), nil
	}
	if ret == fibSuccess && !f.checkMTU {
		// Nothing was said of a length: the packet's own counts.
		if !s.forwardable(f.out) {
			ret = fibFragNeeded
		}
		le.PutUint16(b[fibTotLen:], uint16(f.out.MTU))
	}
	return ret, nil
}

// fib is one lookup.
type fib struct {
	ns       *netns.Netns
	b        []byte // struct bpf_fib_lookup
	flags    uint32
	is6      bool
	checkMTU bool
	out      *netns.Device // by which the packet leaves
	mtu      uint32
}

func (f *fib) addr(off int) netip.Addr {
	if f.is6 {
		return netip.AddrFrom16([16]byte(f.b[off:]))
	}
	return netip.AddrFrom4([4]byte(f.b[off:]))
}

func (f *fib) setAddr(off int, a netip.Addr) { copy(f.b[off:], a.AsSlice()) }

// strict reports whether an IPv6 address is one that is never forwarded.
func strict(a netip.Addr) bool { return a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsLoopback() }

func (f *fib) lookup() (uint64, errno.Errno) {
	src, dst := f.addr(fibSrc), f.addr(fibDst)
	if f.is6 && (strict(dst) || strict(src)) {
		return fibNotForwarded, 0
	}
	in := int(int32(le.Uint32(f.b[fibIfindex:])))
	dev := f.ns.Device(in)
	if dev == nil {
		return 0, errno.ENODEV
	}
	if f.is6 && !dev.Forwarding6 || !f.is6 && !dev.Forwarding4 {
		return fibForwardingDisabled, 0
	}
	flow := netns.Flow{Src: src, Dst: dst, In: in}
	if f.is6 {
		flow.Prefer = in // only a wish
	} else {
		flow.TOS = f.b[fibTOS] & 0xfc
	}
	if f.flags&fibOutput != 0 {
		flow.In, flow.Out = netns.LoopbackIndex, in
	}
	switch {
	case f.flags&fibDirect != 0:
		flow.Table = netns.TableMain
		if f.flags&fibTbid != 0 {
			if t := le.Uint32(f.b[fibTable:]); t != 0 {
				flow.Table = t
			}
			le.PutUint32(f.b[fibTable:], 0)
		}
		if !f.ns.HasTable(flow.Table, f.is6) {
			return fibNotForwarded, 0
		}
	case f.flags&fibUseMark != 0:
		flow.Mark = le.Uint32(f.b[fibMark:])
	}
	route, err := f.ns.Route(flow)
	switch err {
	case nil:
	case error(errno.EINVAL):
		return fibBlackhole, 0
	case error(errno.EHOSTUNREACH):
		return fibUnreachable, 0
	case error(errno.EACCES):
		return fibProhibit, 0
	default:
		return fibNotForwarded, 0
	}
	if route.Type != netns.Unicast {
		return fibNotForwarded, 0
	}
	return f.take(&route, dst)
}

// take fills in what the route says.
func (f *fib) take(route *netns.Route, dst netip.Addr) (uint64, errno.Errno) {
	if f.out = f.ns.Device(route.Device); f.out == nil {
		return fibNotForwarded, 0
	}
	if f.checkMTU {
		f.mtu = f.routeMTU(route)
		if uint32(le.Uint16(f.b[fibTotLen:])) > f.mtu {
			le.PutUint16(f.b[fibTotLen:], uint16(f.mtu))
			return fibFragNeeded, 0
		}
	}
	gw := route.Gateway
	if f.is6 && gw.IsValid() {
		f.setAddr(fibDst, gw)
	}
	le.PutUint32(f.b[fibTOS:], route.Metric)
	le.PutUint32(f.b[fibIfindex:], uint32(route.Device))
	if f.flags&fibSetSrc != 0 {
		src, ok := f.source(route, dst)
		if !ok {
			return fibNoSrcAddr, 0
		}
		f.setAddr(fibSrc, src)
	}
	if !f.is6 && gw.IsValid() {
		if gw.Is6() {
			f.b[fibFamily] = netns.FamilyINET6
		}
		f.setAddr(fibDst, gw)
	}
	if f.flags&fibSkipNeigh == 0 {
		hop := f.addr(fibDst)
		if gw.IsValid() {
			hop = gw
		}
		neigh, ok := f.ns.Neigh(route.Device, hop)
		if !ok {
			return fibNoNeigh, 0
		}
		copy(f.b[fibDmac:], neigh.MAC[:])
		copy(f.b[fibMark:fibDmac], f.out.MAC[:])
	}
	le.PutUint32(f.b[fibTable:], 0)
	if f.mtu != 0 {
		le.PutUint16(f.b[fibTotLen:], uint16(f.mtu))
	}
	return fibSuccess, 0
}

// routeMTU is the MTU towards the route's destination. Forwarding takes a route's
// own only where it is locked; an IPv4 one also where ip_forward_use_pmtu is set.
func (f *fib) routeMTU(route *netns.Route) uint32 {
	const max4, max6 = 0xffff, 0xffff + 40
	if route.MTU != 0 && (route.MTULock || !f.is6 && f.ns.Sysctl().IPv4ForwardUsePMTU) {
		return route.MTU
	}
	if f.is6 {
		return min(f.out.MTU, max6)
	}
	return min(f.out.MTU, max4)
}

// source is the address that the host would send from.
func (f *fib) source(route *netns.Route, dst netip.Addr) (netip.Addr, bool) {
	if route.Source.IsValid() {
		return route.Source, true
	}
	if f.is6 {
		return f.source6(dst)
	}
	towards := route.Gateway
	if !towards.IsValid() || towards.Is6() {
		towards = dst
	}
	first := netip.IPv4Unspecified()
	for _, d := range append([]*netns.Device{f.out}, f.ns.Devices()...) {
		for _, a := range d.Addrs {
			if !a.Addr().Is4() || a.Addr().IsLoopback() && d != f.out {
				continue
			}
			if d == f.out && a.Contains(towards) {
				return a.Addr(), true
			}
			if first.IsUnspecified() {
				first = a.Addr()
			}
		}
	}
	return first, true
}

// source6 prefers the address of the leaving device that has most in common
// with dst.
func (f *fib) source6(dst netip.Addr) (best netip.Addr, ok bool) {
	top := -1
	for _, d := range f.ns.Devices() {
		for _, a := range slices.Backward(d.Addrs) { // the newest first
			if !a.Addr().Is6() || strict(a.Addr()) {
				continue
			}
			score := min(commonBits(a.Addr(), dst), a.Bits())
			switch {
			case a.Addr() == dst:
				score += 2000
			case d == f.out:
				score += 1000
			}
			if score > top {
				best, top, ok = a.Addr(), score, true
			}
		}
	}
	return best, ok
}

func commonBits(a, b netip.Addr) int {
	for n := a.BitLen(); n > 0; n-- {
		if p, err := a.Prefix(n); err == nil && p.Contains(b) {
			return n
		}
	}
	return 0
}
