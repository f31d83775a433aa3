package pkt_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/pkt"
)

// fakeMap is a redirect map with one target.
type fakeMap struct{ broadcast bool }

func (f fakeMap) RedirectTarget(key uint32) any {
	if key == 3 {
		return "target"
	}
	return nil
}
func (f fakeMap) CanBroadcast() bool { return f.broadcast }

func TestRedirects(t *testing.T) {
	b := newBench(t)
	s := b.skb(pkt.SkbSpec{Data: ipv4Frame(64)})
	if s.Redirect() != nil {
		t.Error("a fresh packet has a target")
	}
	if r := b.call("bpf_redirect", 5, 1); r != 7 || s.Redirect().Ifindex != 5 || !s.Redirect().Ingress {
		t.Errorf("bpf_redirect returns %d, target %+v", r, s.Redirect())
	}
	if r := b.call("bpf_redirect", 6, 2); r != 2 || s.Redirect().Ifindex != 5 {
		t.Errorf("bpf_redirect with a wrong flag returns %d, target %+v", r, s.Redirect())
	}
	if r := b.call("bpf_redirect_peer", 4, 0); r != 7 || s.Redirect().Kind != pkt.RedirectPeer {
		t.Errorf("bpf_redirect_peer returns %d, target %+v", r, s.Redirect())
	}
	hop, _ := b.scratch(bytes.Repeat([]byte{9}, 20))
	if r := b.call("bpf_redirect_neigh", 3, hop, 20, 0); r != 7 || s.Redirect().Kind != pkt.RedirectNeigh || len(s.Redirect().Nexthop) != 20 {
		t.Errorf("bpf_redirect_neigh returns %d, target %+v", r, s.Redirect())
	}
	if r := b.call("bpf_clone_redirect", s.Addr(), 1, 0); r != 0 || len(s.Clones()) != 1 || !bytes.Equal(s.Clones()[0].Data, s.Data()) {
		t.Errorf("bpf_clone_redirect returns %d, clones %v", r, s.Clones())
	}
}

func TestRedirectMap(t *testing.T) {
	b := newBench(t)
	b.c.Prog = &vm.Program{Type: ebpf.XDP}
	handle := func(m fakeMap) uint64 {
		o, err := b.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindMap, Size: 8, Owner: m})
		if err != nil {
			t.Fatal(err)
		}
		return o.Addr()
	}
	cpumap, devmap := handle(fakeMap{}), handle(fakeMap{broadcast: true})
	x := b.xdp(pkt.XDPSpec{Data: ipv4Frame(64)})
	const broadcast = 1 << 3
	for _, c := range []struct {
		m, key, flags uint64
		want          int64
		target        bool
	}{
		{cpumap, 3, 0, 4, true}, {cpumap, 4, 0, 0, false}, {cpumap, 4, 2, 2, false}, {cpumap, 4, 4, 0, false},
		{cpumap, 3, broadcast, 0, false}, {devmap, 9, broadcast, 4, true}, {devmap, 3, broadcast | 1<<4, 4, true},
	} {
		r := b.call("bpf_redirect_map", c.m, c.key, c.flags)
		if r != c.want {
			t.Errorf("key %d flags %#x: %d, want %d", c.key, c.flags, r, c.want)
		}
		if c.want == 4 && (x.Redirect() == nil || x.Redirect().Kind != pkt.RedirectToMap || x.Redirect().Broadcast != (c.flags&broadcast != 0)) {
			t.Errorf("key %d flags %#x: target %+v", c.key, c.flags, x.Redirect())
		}
	}
	b.call("bpf_redirect_map", cpumap, 4, 2)
	if x.Redirect() != nil {
		t.Error("a failed lookup leaves the target of the one before")
	}
}

func TestPacketOnDevice(t *testing.T) {
	b := newBench(t)
	dev, err := b.ns.AddDevice(netns.Device{Name: "eth0", MAC: [6]byte{2}, Up: true})
	if err != nil {
		t.Fatal(err)
	}
	listener := &netns.Socket{Family: netns.FamilyINET, Type: netns.SockStream, Protocol: netns.ProtoTCP, State: netns.StateListen,
		Local: netip.MustParseAddrPort("0.0.0.0:80"), RxQueue: -1}
	b.ns.AddSocket(listener)
	frame := ipv4Frame(30) // ends in its IP header: only a test run minds
	frame[0] = 2
	s := b.skb(pkt.SkbSpec{Data: frame, Device: dev, Ingress: true, Meta: []byte{1, 2, 3, 4}, VLAN: pkt.VLANTag{Proto: 0x8100, TCI: 7},
		Mark: 5, QueueMapping: 2, Tunnel: &pkt.Tunnel{ID: 42, Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2")}})
	ctx := s.Ctx()
	word := func(off int) uint32 { return binary.LittleEndian.Uint32(ctx[off:]) }
	for name, c := range map[string][2]uint32{
		"pkt_type": {word(4), 0}, "mark": {word(8), 5}, "queue_mapping": {word(12), 2}, "vlan_present": {word(20), 1}, "vlan_tci": {word(24), 7},
		"ifindex": {word(40), uint32(dev.Index)}, "data_meta": {word(76) - word(140), 4}, "sk": {word(168), 0},
	} {
		if c[0] != c[1] {
			t.Errorf("%s is %d, want %d", name, c[0], c[1])
		}
	}
	meta, n := s.Meta()
	if got, err := b.c.Read("R1", meta, n); err != nil || !bytes.Equal(got, []byte{1, 2, 3, 4}) {
		t.Errorf("metadata %x, %v", got, err)
	}
	key, got := b.scratch(make([]byte, 44))
	if r := b.call("bpf_skb_get_tunnel_key", s.Addr(), key, 44, 0); r != 0 || binary.LittleEndian.Uint32(got) != 42 ||
		binary.LittleEndian.Uint32(got[4:]) != 0xc0000201 {
		t.Errorf("tunnel key returns %d, %x", r, got)
	}
	tuple, tb := b.scratch(make([]byte, 12))
	copy(tb, []byte{10, 0, 0, 1, 10, 0, 0, 2, 0, 9, 0, 80})
	sk := b.call("bpf_sk_lookup_tcp", s.Addr(), tuple, 12, ^uint64(0), 0)
	if sk == 0 {
		t.Fatal("the listener is not found")
	}
	if r := b.call("bpf_sk_assign", s.Addr(), uint64(sk), 0); r != 0 || s.Sock() != listener {
		t.Errorf("bpf_sk_assign returns %d, socket %v", r, s.Sock())
	}
	o := b.m.Mem.Find(uint64(sk))
	if !b.c.Holds(o) {
		t.Error("a lookup gives no reference")
	}
	b.call("bpf_sk_release", uint64(sk))
	if b.c.Holds(o) || o.Live() {
		t.Error("the reference outlives its release")
	}
	if _, err := b.try("bpf_sk_release", uint64(sk)); err == nil {
		t.Error("a second release goes through")
	}
}

func TestViewsEndWithTheSocket(t *testing.T) {
	b := newBench(t)
	b.ns.AddSocket(&netns.Socket{Family: netns.FamilyINET, Type: netns.SockStream, Protocol: netns.ProtoTCP, State: netns.StateListen,
		Local: netip.MustParseAddrPort("0.0.0.0:80"), TCP: &netns.TCPState{SndCwnd: 10, BytesAcked: 1 << 40}})
	s := b.skb(pkt.SkbSpec{Data: ipv4Frame(64)})
	tuple, tb := b.scratch(make([]byte, 12))
	copy(tb, []byte{10, 0, 0, 1, 10, 0, 0, 2, 0, 9, 0, 80})
	sk := uint64(b.call("bpf_sk_lookup_tcp", s.Addr(), tuple, 12, ^uint64(0), 0))
	tcp := uint64(b.call("bpf_tcp_sock", sk))
	if got, err := b.c.Read("R1", tcp, 96); err != nil || binary.LittleEndian.Uint32(got) != 10 || binary.LittleEndian.Uint64(got[88:]) != 1<<40 {
		t.Errorf("struct bpf_tcp_sock %x, %v", got, err)
	}
	view := uint64(b.call("bpf_skc_to_tcp_sock", sk))
	b.call("bpf_sk_release", view) // any form of the socket releases it
	for name, addr := range map[string]uint64{"bpf_sock": sk, "bpf_tcp_sock": tcp, "tcp_sock": view} {
		if _, err := b.c.Read("R1", addr, 4); err == nil {
			t.Errorf("struct %s outlives the socket", name)
		}
	}
}

func TestReceiveMetadata(t *testing.T) {
	b := newBench(t)
	out, got := b.scratch(make([]byte, 16))
	stamp := uint64(12345)
	for name, c := range map[string]struct {
		meta *pkt.RxMetadata
		want int64
	}{
		"no support": {nil, -int64(errno.EOPNOTSUPP)}, "not known": {&pkt.RxMetadata{}, -int64(errno.ENODATA)},
		"known": {&pkt.RxMetadata{Timestamp: &stamp, Hash: &pkt.RxHash{Hash: 7, Type: 3}, VLAN: &pkt.VLANTag{Proto: 0x8100, TCI: 9}}, 0},
	} {
		x := b.xdp(pkt.XDPSpec{Data: ipv4Frame(64), Metadata: c.meta})
		for f, args := range map[string][]uint64{
			"bpf_xdp_metadata_rx_timestamp": {x.Addr(), out}, "bpf_xdp_metadata_rx_hash": {x.Addr(), out, out + 8},
			"bpf_xdp_metadata_rx_vlan_tag": {x.Addr(), out, out + 8},
		} {
			clear(got)
			if r := b.call(f, args...); r != c.want {
				t.Errorf("%s, %s: %d, want %d", name, f, r, c.want)
			}
			if c.want == 0 && got[0] == 0 {
				t.Errorf("%s wrote %x", f, got)
			}
		}
	}
}
