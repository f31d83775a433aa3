package pkt

import (
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// view is guest memory laid out as a type of the profile's BTF, with members
// filled in by name. A member that the profile's kernel does not have is left
// out: no program of that kernel reads it.
type view struct {
	p   *kernel.Profile
	typ string
	b   []byte
}

func (v view) field(path string) (kernel.Field, bool) {
	f, err := v.p.FieldInfo(v.typ, path)
	return f, err == nil && uint64(f.Offset)+uint64(f.Size) <= uint64(len(v.b))
}

// set writes a number to the member.
func (v view) set(path string, value uint64) {
	f, ok := v.field(path)
	if !ok {
		return
	}
	if f.Bits != 0 {
		mask := uint64(1)<<f.Bits - 1
		old := v.load(f)
		v.store(f, old&^(mask<<f.Shift)|(value&mask)<<f.Shift)
		return
	}
	v.store(f, value)
}

func (v view) load(f kernel.Field) (value uint64) {
	for i := range f.Size {
		value |= uint64(v.b[f.Offset+i]) << (8 * i)
	}
	return value
}

func (v view) store(f kernel.Field, value uint64) {
	for i := range min(f.Size, 8) {
		v.b[f.Offset+i] = byte(value >> (8 * i))
	}
}

// put copies bytes to the member.
func (v view) put(path string, data []byte) {
	if f, ok := v.field(path); ok {
		copy(v.b[f.Offset:f.Offset+f.Size], data)
	}
}

// newView makes an object of the type; nil where the profile does not have it or
// memory is out.
func newView(m *vm.Machine, typ string, owner any) (*vm.Object, view) {
	size, err := m.Profile.Sizeof(typ)
	if err != nil {
		return nil, view{}
	}
	o, err := m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindView, Name: "struct " + typ, Size: size, ReadOnly: true, Owner: owner})
	if err != nil {
		return nil, view{}
	}
	return o, view{m.Profile, typ, o.Bytes()}
}

// castFunc makes one of the bpf_skc_to_* casts: to the kernel's struct typ, of
// sockets that fit.
func castFunc(typ string, fits func(sk *netns.Socket) bool) vm.Func {
	return func(c *vm.CPU, args *[5]uint64) (uint64, error) {
		r, err := sockArg(c, "R1", args[0])
		if err != nil || !fits(r.sock) {
			return 0, err
		}
		if o := r.views[typ]; o != nil {
			return o.Addr(), nil
		}
		o, v := newView(c.M, typ, r)
		if o == nil {
			return 0, nil
		}
		fillSockView(v, r.sock)
		if r.views == nil {
			r.views = make(map[string]*vm.Object)
		}
		r.views[typ] = o
		return o.Addr(), nil
	}
}

// fillSockView writes what is known of a socket. All socket structs start with
// struct sock_common.
func fillSockView(v view, sk *netns.Socket) {
	common := view{v.p, "sock_common", v.b}
	var local4, remote4 [4]byte
	var local6, remote6 [16]byte
	putLocal(local4[:], local6[:], sk)
	putAddr(remote4[:], remote6[:], sk.Remote.Addr())
	common.put("skc_rcv_saddr", local4[:])
	common.put("skc_daddr", remote4[:])
	common.put("skc_v6_rcv_saddr", local6[:])
	common.put("skc_v6_daddr", remote6[:])
	common.set("skc_num", uint64(sk.Local.Port()))
	common.set("skc_dport", uint64(bswap16(sk.Remote.Port())))
	common.set("skc_family", uint64(sk.Family))
	common.set("skc_state", uint64(sk.State))
	common.set("skc_bound_dev_if", uint64(sk.BoundDevice))
	common.set("skc_cookie.counter", sk.Cookie)
	common.set("skc_reuseport", b2u(sk.Reuseport))
	common.set("skc_ipv6only", b2u(sk.V6Only))
	common.set("skc_rx_queue_mapping", uint64(uint16(sk.RxQueue)))
	if !isFull(sk) {
		return
	}
	full := view{v.p, "sock", v.b}
	full.set("sk_mark", uint64(sk.Mark))
	full.set("sk_priority", uint64(sk.Priority))
	full.set("sk_protocol", uint64(sk.Protocol))
	full.set("sk_type", uint64(sk.Type))
	full.set("sk_uid.val", uint64(sk.UID))
	if t := sk.TCP; t != nil && sk.Protocol == netns.ProtoTCP {
		fillTCPView(view{v.p, "tcp_sock", v.b}, t)
	}
}

func fillTCPView(v view, t *netns.TCPState) {
	for path, value := range map[string]uint64{
		"snd_cwnd": uint64(t.SndCwnd), "srtt_us": uint64(t.SrttUs), "rtt_min.s[0].v": uint64(t.RttMin),
		"snd_ssthresh": uint64(t.SndSsthresh), "rcv_nxt": uint64(t.RcvNxt), "snd_nxt": uint64(t.SndNxt),
		"snd_una": uint64(t.SndUna), "mss_cache": uint64(t.MssCache), "ecn_flags": uint64(t.EcnFlags),
		"rate_delivered": uint64(t.RateDelivered), "rate_interval_us": uint64(t.RateIntervalUs),
		"packets_out": uint64(t.PacketsOut), "retrans_out": uint64(t.RetransOut),
		"total_retrans": uint64(t.TotalRetrans), "segs_in": uint64(t.SegsIn), "data_segs_in": uint64(t.DataSegsIn),
		"segs_out": uint64(t.SegsOut), "data_segs_out": uint64(t.DataSegsOut), "lost_out": uint64(t.LostOut),
		"sacked_out": uint64(t.SackedOut), "bytes_received": t.BytesReceived, "bytes_acked": t.BytesAcked,
		"dsack_dups": uint64(t.DsackDups), "delivered": uint64(t.Delivered), "delivered_ce": uint64(t.DeliveredCe),
		"inet_conn.icsk_retransmits": uint64(t.IcskRetransmits),
	} {
		v.set(path, value)
	}
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func registerCasts(r *vm.Registry) {
	tcp := func(sk *netns.Socket) bool { return isFull(sk) && sk.Protocol == netns.ProtoTCP }
	never := func(*netns.Socket) bool { return false }
	for name, cast := range map[string]struct {
		typ  string
		fits func(*netns.Socket) bool
	}{
		"bpf_skc_to_tcp_sock":  {"tcp_sock", tcp},
		"bpf_skc_to_tcp6_sock": {"tcp6_sock", func(sk *netns.Socket) bool { return tcp(sk) && sk.Family == netns.FamilyINET6 }},
		"bpf_skc_to_tcp_timewait_sock": {"tcp_timewait_sock", func(sk *netns.Socket) bool {
			return sk.State == netns.StateTimeWait && sk.Protocol == netns.ProtoTCP
		}},
		"bpf_skc_to_tcp_request_sock": {"tcp_request_sock", func(sk *netns.Socket) bool {
			return sk.State == netns.StateNewSynRecv && sk.Protocol == netns.ProtoTCP
		}},
		"bpf_skc_to_udp6_sock": {"udp6_sock", func(sk *netns.Socket) bool {
			return isFull(sk) && sk.Protocol == netns.ProtoUDP && sk.Type == netns.SockDgram && sk.Family == netns.FamilyINET6
		}},
		// A namespace has no sockets of these kinds.
		"bpf_skc_to_unix_sock":  {"unix_sock", never},
		"bpf_skc_to_mptcp_sock": {"mptcp_sock", never},
	} {
		r.Add(name, castFunc(cast.typ, cast.fits))
	}
}
