package pkt

import (
	"net/netip"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// Sizes of struct bpf_sock_tuple in its two forms.
const (
	tuple4Size = 12
	tuple6Size = 36
)

// sockTuple reads a struct bpf_sock_tuple; ok is false for another size.
func sockTuple(b []byte) (src, dst netip.AddrPort, ok bool) {
	port := func(off int) uint16 { return bswap16(le.Uint16(b[off:])) }
	switch len(b) {
	case tuple4Size:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), port(8)),
			netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), port(10)), true
	case tuple6Size:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)), port(32)),
			netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[16:])), port(34)), true
	}
	return src, dst, false
}

// lookupFunc makes one of the socket lookups. common lookups also give sockets
// that are not full ones.
func lookupFunc(proto uint16, common bool) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		p, err := packetArg(c, args)
		if err != nil {
			return 0, err
		}
		b, err := c.Read("R2", args[1], uint32(args[2]))
		if err != nil {
			return 0, err
		}
		id, flags := args[3], args[4]
		if _, isXDP := p.(*XDP); isXDP {
			id = uint64(uint32(id)) // a 32-bit argument there
		}
		src, dst, ok := sockTuple(b)
		if !ok || flags != 0 || int32(id) >= 0 && id > maxInt32 {
			return 0, nil
		}
		ns := p.Netns()
		if int32(id) >= 0 {
			if ns = ns.ByID(int32(id)); ns == nil {
				return 0, nil
			}
		}
		var sk *netns.Socket
		if proto == netns.ProtoTCP {
			sk = ns.LookupTCP(src, dst, p.Device().Index)
		} else {
			sk = ns.LookupUDP(src, dst, p.Device().Index)
		}
		if sk == nil || !common && !isFull(sk) {
			return 0, nil
		}
		r, err := newSockRef(c.M, sk)
		if err != nil {
			return 0, nil
		}
		c.Acquire(r.obj)
		return r.obj.Addr(), nil
	}
}

func isFull(sk *netns.Socket) bool {
	return sk.State != netns.StateTimeWait && sk.State != netns.StateNewSynRecv
}

// sockArg is the socket that a program gave in the register, in any form.
func sockArg(c *vm.CPU, reg string, addr uint64) (*sockRef, error) {
	r, _, err := vm.OwnerAt[*sockRef](c, reg, addr)
	return r, err
}

// skRelease is bpf_sk_release: all forms of the socket end.
func skRelease(c *vm.CPU, args *[5]uint64) (uint64, error) {
	r, err := sockArg(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	if err := c.Release("R1", r.obj); err != nil {
		return 0, err
	}
	r.freeViews(c.Site())
	return 0, nil
}

// skAssign is bpf_sk_assign of tc programs.
func skAssign(c *vm.CPU, args *[5]uint64) (uint64, error) {
	s, err := skbArg(c, args)
	if err != nil {
		return 0, err
	}
	if args[1] == 0 || args[2] != 0 {
		return errno.EINVAL.Neg(), nil
	}
	r, err := sockArg(c, "R2", args[1])
	if err != nil {
		return 0, err
	}
	switch {
	case !s.ingress:
		return errno.EOPNOTSUPP.Neg(), nil
	case r.sock.Netns != s.ns:
		return errno.ENETUNREACH.Neg(), nil
	case !s.ns.HasSocket(r.sock):
		return errno.EOPNOTSUPP.Neg(), nil
	}
	if err := s.attach(r.sock); err != nil {
		return memoryResult(0, err)
	}
	s.sync()
	return 0, nil
}

// skFullsock and the others give another view of the socket in r1, or NULL.
func skFullsock(c *vm.CPU, args *[5]uint64) (uint64, error) {
	r, err := sockArg(c, "R1", args[0])
	if err != nil || !r.full() {
		return 0, err
	}
	return r.obj.Addr(), nil
}

func getListenerSock(c *vm.CPU, args *[5]uint64) (uint64, error) {
	r, err := sockArg(c, "R1", args[0])
	if err != nil || r.sock.State != netns.StateListen {
		return 0, err
	}
	return r.obj.Addr(), nil
}

func tcpSock(c *vm.CPU, args *[5]uint64) (uint64, error) {
	r, err := sockArg(c, "R1", args[0])
	if err != nil || !r.full() || r.sock.Protocol != netns.ProtoTCP {
		return 0, err
	}
	if r.tcp == nil {
		o, err := c.M.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindSocket, Name: "struct bpf_tcp_sock", Size: bpfTCPSockSize, ReadOnly: true, Owner: r})
		if err != nil {
			return 0, nil
		}
		fillTCPSock(o.Bytes(), r.sock.TCP)
		r.tcp = o
	}
	return r.tcp.Addr(), nil
}

const bpfTCPSockSize = 112

func fillTCPSock(b []byte, t *netns.TCPState) {
	if t == nil {
		return
	}
	for i, v := range []uint32{
		t.SndCwnd, t.SrttUs, t.RttMin, t.SndSsthresh, t.RcvNxt, t.SndNxt, t.SndUna, t.MssCache, t.EcnFlags,
		t.RateDelivered, t.RateIntervalUs, t.PacketsOut, t.RetransOut, t.TotalRetrans, t.SegsIn, t.DataSegsIn,
		t.SegsOut, t.DataSegsOut, t.LostOut, t.SackedOut,
	} {
		le.PutUint32(b[4*i:], v)
	}
	le.PutUint64(b[80:], t.BytesReceived)
	le.PutUint64(b[88:], t.BytesAcked)
	for i, v := range []uint32{t.DsackDups, t.Delivered, t.DeliveredCe, t.IcskRetransmits} {
		le.PutUint32(b[96+4*i:], v)
	}
}
