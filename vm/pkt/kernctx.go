package pkt

import (
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// kernelView is what bpf_cast_to_kern_ctx makes: the kernel's own struct of the
// context, and the structs that it points to. They are made when first asked
// for, and refreshed when a helper changes the packet.
type kernelView struct {
	m    *vm.Machine
	objs map[string]*vm.Object
}

// at returns the struct of that type, made if it is not there, and its address;
// 0 where it cannot be made.
func (k *kernelView) at(typ string) (view, uint64) {
	if o := k.objs[typ]; o != nil {
		return view{k.m.Profile, typ, o.Bytes()}, o.Addr()
	}
	o, v := newView(k.m, typ, k)
	if o == nil {
		return view{}, 0
	}
	k.objs[typ] = o
	return v, o.Addr()
}

func (k *kernelView) free() {
	if k == nil {
		return
	}
	for _, o := range k.objs {
		k.m.Mem.Free(o, vm.Site{})
	}
}

// device fills in struct net_device and returns its address.
func (k *kernelView) device(d *netns.Device) uint64 {
	const up, loopback, noARP = 1 << 0, 1 << 3, 1 << 7
	v, addr := k.at("net_device")
	if addr == 0 {
		return 0
	}
	v.set("ifindex", uint64(d.Index))
	v.put("name", append([]byte(d.Name), 0))
	v.set("mtu", uint64(d.MTU))
	v.set("hard_header_len", uint64(d.HardHeaderLen()))
	v.set("flags", up*b2u(d.Up)|loopback*b2u(d.Kind == netns.KindLoopback)|noARP*b2u(d.NoARP))
	v.set("addr_len", 6)
	v.set("real_num_rx_queues", uint64(d.Queues))
	if n, naddr := k.at("net"); naddr != 0 {
		n.set("net_cookie", d.Netns.Cookie)
		v.set("nd_net.net", naddr)
	}
	return addr
}

// castToKernCtx is the kfunc bpf_cast_to_kern_ctx.
func castToKernCtx(c *vm.CPU, args *[5]uint64) (uint64, error) {
	p, err := packetArg(c, args)
	if err != nil {
		return 0, err
	}
	switch p := p.(type) {
	case *Skb:
		if p.kernel == nil {
			p.kernel = &kernelView{c.M, make(map[string]*vm.Object)}
		}
		return p.syncKernel(), nil
	case *XDP:
		if p.kernel == nil {
			p.kernel = &kernelView{c.M, make(map[string]*vm.Object)}
		}
		return p.syncKernel(), nil
	}
	return 0, nil
}

// syncKernel fills in struct sk_buff, where the program has asked for it, and
// returns its address.
func (s *Skb) syncKernel() uint64 {
	if s.kernel == nil {
		return 0
	}
	v, addr := s.kernel.at("sk_buff")
	if addr == 0 {
		return 0
	}
	ctx := s.ctx.Bytes()
	data, n := s.Linear()
	room := uint64(netSkbPad)
	v.set("len", uint64(s.Len()))
	v.set("data_len", uint64(s.fragLen()))
	v.set("mac_len", uint64(s.macLen))
	v.set("data", data)
	v.set("tail", room+uint64(n))
	v.set("network_header", room+uint64(s.offset(s.network)))
	v.set("mac_header", room+uint64(s.offset(s.mac)))
	v.set("transport_header", 0xffff)
	if s.transportSet {
		v.set("transport_header", room+uint64(s.offset(s.transport)))
	}
	v.set("protocol", uint64(bswap16(s.protocol)))
	v.set("pkt_type", uint64(s.pktType))
	v.set("mark", uint64(le.Uint32(ctx[offMark:])))
	v.set("priority", uint64(le.Uint32(ctx[offPriority:])))
	v.set("skb_iif", uint64(le.Uint32(ctx[offIngressIfindex:])))
	v.set("hash", uint64(s.hash))
	v.set("queue_mapping", uint64(s.queueMapping))
	v.set("vlan_proto", uint64(bswap16(s.vlan.Proto)))
	v.set("vlan_tci", uint64(s.vlan.TCI))
	v.set("tc_index", uint64(le.Uint32(ctx[offTCIndex:])))
	v.set("tstamp", le.Uint64(ctx[offTstamp:]))
	v.set("tstamp_type", uint64(s.tstampType))
	v.set("ip_summed", uint64(s.csum))
	v.set("csum_level", uint64(s.csumLevel))
	v.set("csum", uint64(s.csumSum))
	v.set("encapsulation", b2u(s.encapsulation))
	v.set("tc_at_ingress", b2u(s.ingress))
	v.set("users.refs.counter", 1)
	v.set("dev", s.kernel.device(s.dev))
	if s.sock != nil {
		if sk, skAddr := s.kernel.at("sock"); skAddr != 0 {
			fillSockView(sk, s.sock.sock)
			v.set("sk", skAddr)
		}
	}
	s.syncSharedInfo(v)
	return addr
}

// syncSharedInfo fills in struct skb_shared_info. The kernel finds it at head +
// end, so that head is chosen to lead there.
func (s *Skb) syncSharedInfo(skb view) {
	v, addr := s.kernel.at("skb_shared_info")
	if addr == 0 {
		return
	}
	end := uint64(netSkbPad) + (uint64(s.headLen())+63)&^63
	if end > addr {
		return
	}
	skb.set("end", end)
	skb.set("head", addr-end)
	v.set("nr_frags", uint64(len(s.frags)))
	v.set("gso_size", uint64(s.gsoSize))
	v.set("gso_segs", uint64(s.gsoSegs))
	v.set("gso_type", uint64(s.gsoType))
	v.set("meta_len", uint64(s.meta))
	v.set("hwtstamps.hwtstamp", s.hwtstamp)
	v.set("dataref.counter", 1)
}

// syncKernel fills in struct xdp_buff, where the program has asked for it, and
// returns its address.
func (x *XDP) syncKernel() uint64 {
	const fragsFlag = 1 << 0
	if x.kernel == nil {
		return 0
	}
	v, addr := x.kernel.at("xdp_buff")
	if addr == 0 {
		return 0
	}
	data, n := x.Linear()
	v.set("data", data)
	v.set("data_end", data+uint64(n))
	v.set("data_meta", data-uint64(x.meta))
	v.set("data_hard_start", data-uint64(x.meta)-uint64(x.headroom))
	v.set("frame_sz", pageSize)
	v.set("flags", fragsFlag*b2u(x.hasFrags))
	if q, qaddr := x.kernel.at("xdp_rxq_info"); qaddr != 0 {
		q.set("dev", x.kernel.device(x.dev))
		q.set("queue_index", uint64(x.queue))
		v.set("rxq", qaddr)
	}
	return addr
}
