package pkt

import (
	"net/netip"

	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// Offsets of struct bpf_sock.
const (
	skBoundDevIf     = 0
	skFamily         = 4
	skType           = 8
	skProtocol       = 12
	skMark           = 16
	skPriority       = 20
	skSrcIP4         = 24
	skSrcIP6         = 28
	skSrcPort        = 44 // host order
	skDstPort        = 48 // network order
	skDstIP4         = 52
	skDstIP6         = 56
	skState          = 72
	skRxQueueMapping = 76
	bpfSockSize      = 80
)

// sockRef is a socket as programs see it: a struct bpf_sock, and the other
// structs that they asked for. The objects end together.
type sockRef struct {
	sock  *netns.Socket
	obj   *vm.Object // struct bpf_sock: what is acquired and released
	tcp   *vm.Object // struct bpf_tcp_sock, nil until asked for
	views map[string]*vm.Object
	m     *vm.Machine
}

func newSockRef(m *vm.Machine, sk *netns.Socket) (*sockRef, error) {
	r := &sockRef{sock: sk, m: m}
	o, err := m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindSocket, Name: "struct bpf_sock", Size: bpfSockSize, ReadOnly: true, Owner: r})
	if err != nil {
		return nil, err
	}
	r.obj = o
	fillSock(o.Bytes(), sk)
	return r, nil
}

func fillSock(b []byte, sk *netns.Socket) {
	put := func(off int, v uint32) { le.PutUint32(b[off:], v) }
	put(skBoundDevIf, uint32(sk.BoundDevice))
	put(skFamily, uint32(sk.Family))
	put(skType, uint32(sk.Type))
	put(skProtocol, uint32(sk.Protocol))
	put(skMark, sk.Mark)
	put(skPriority, sk.Priority)
	putLocal(b[skSrcIP4:skSrcIP4+4], b[skSrcIP6:skSrcIP6+16], sk)
	put(skSrcPort, uint32(sk.Local.Port()))
	le.PutUint16(b[skDstPort:], bswap16(sk.Remote.Port()))
	putAddr(b[skDstIP4:skDstIP4+4], b[skDstIP6:skDstIP6+16], sk.Remote.Addr())
	put(skState, uint32(sk.State))
	put(skRxQueueMapping, uint32(sk.RxQueue))
}

// putAddr writes an address as a socket keeps it: an IPv4 one in the field of
// its own, and mapped in that of IPv6 only if it was given so.
func putAddr(ip4, ip6 []byte, a netip.Addr) {
	switch {
	case !a.IsValid():
	case a.Is4():
		v := a.As4()
		copy(ip4, v[:])
	default:
		v := a.As16()
		copy(ip6, v[:])
		if a.Is4In6() {
			copy(ip4, v[12:])
		}
	}
}

// putLocal is putAddr for a socket's own address: in the IPv4 field of one that
// is bound to an IPv6 address Linux puts an address that nothing has.
func putLocal(ip4, ip6 []byte, sk *netns.Socket) {
	a := sk.Local.Addr()
	putAddr(ip4, ip6, a)
	if sk.Protocol != 0 && a.Is6() && !a.Is4In6() && !a.IsUnspecified() {
		copy(ip4, []byte{127, 0, 0, 6})
	}
}

// free ends all objects of the reference but, where it is held, obj.
func (r *sockRef) free(m *vm.Machine, at vm.Site) {
	r.freeViews(at)
	m.Mem.Free(r.obj, at)
}

func (r *sockRef) freeViews(at vm.Site) {
	if r.tcp != nil {
		r.m.Mem.Free(r.tcp, at)
	}
	for _, v := range r.views {
		r.m.Mem.Free(v, at)
	}
}

// ReleaseReference is called for a reference that a stopped program held.
func (r *sockRef) ReleaseReference() { r.freeViews(vm.Site{}) }

// attach makes sk the socket of the packet.
func (s *Skb) attach(sk *netns.Socket) error {
	if s.sock != nil {
		s.sock.free(s.m, vm.Site{})
		s.sock = nil
	}
	r, err := newSockRef(s.m, sk)
	if err != nil {
		return err
	}
	s.sock = r
	return nil
}

// testSocket is the socket that BPF_PROG_TEST_RUN gives a packet: closed, of no
// protocol, with the packet's addresses.
func (s *Skb) testSocket(frame []byte) *netns.Socket {
	sk := &netns.Socket{State: netns.StateClose, RxQueue: -1, Netns: s.ns, Cookie: 1}
	switch s.protocol {
	case ethPIP:
		sk.Family = netns.FamilyINET
		src, dst := netip.AddrFrom4([4]byte(frame[26:])), netip.AddrFrom4([4]byte(frame[30:]))
		sk.Local, sk.Remote = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
	case ethPIPv6:
		sk.Family = netns.FamilyINET6
		src, dst := netip.AddrFrom16([16]byte(frame[22:])), netip.AddrFrom16([16]byte(frame[38:]))
		sk.Local, sk.Remote = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
	}
	return sk
}

// full reports whether the socket is more than a request or what is left of a
// connection (sk_fullsock).
func (r *sockRef) full() bool { return isFull(r.sock) }

// StorageKey identifies the socket to socket storage, nil where it can have
// none.
func (r *sockRef) StorageKey() any {
	if !r.full() {
		return nil
	}
	return r.sock
}
