package pkt_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/packet"
	"github.com/bpfct/bpfct/vm/pkt"
)

// drawn is a packet of an IP version, complete up to its ports.
func drawn(t *rapid.T) []byte {
	f := rapid.SliceOfN(rapid.Byte(), 80, 200).Draw(t, "frame")
	if rapid.Bool().Draw(t, "ipv6") {
		f[12], f[13], f[14] = 0x86, 0xdd, 0x60
	} else {
		f[12], f[13], f[14] = 8, 0, 0x45
	}
	return f
}

func (b *bench) own(t *rapid.T, data []byte) *pkt.Skb {
	s, err := pkt.NewSkb(b.m, b.ns, pkt.SkbSpec{Data: data, ChecksumComplete: true})
	if err != nil {
		t.Fatal(err)
	}
	b.c.Ctx = s
	return s
}

// TestInverses: what one helper puts in, another takes out again.
func TestInverses(t *testing.T) {
	b := newBench(t)
	for name, pair := range map[string]func(t *rapid.T, s *pkt.Skb){
		"vlan": func(t *rapid.T, s *pkt.Skb) {
			n := rapid.IntRange(1, 3).Draw(t, "tags")
			for range n {
				b.call("bpf_skb_vlan_push", s.Addr(), 0x0081, rapid.Uint64Range(0, 0xffff).Draw(t, "tci"))
			}
			for range n {
				b.call("bpf_skb_vlan_pop", s.Addr())
			}
		},
		"change_proto": func(t *rapid.T, s *pkt.Skb) {
			to, back := uint64(0xdd86), uint64(0x0008)
			if s.Protocol() == 0x86dd {
				// The longer header is cut; only what stays is the same again.
				return
			}
			b.call("bpf_skb_change_proto", s.Addr(), to, 0)
			b.call("bpf_skb_change_proto", s.Addr(), back, 0)
		},
		"adjust_room": func(t *rapid.T, s *pkt.Skb) {
			n, mode := rapid.Int64Range(0, 200).Draw(t, "n"), rapid.Uint64Range(0, 1).Draw(t, "mode")
			if r := b.call("bpf_skb_adjust_room", s.Addr(), uint64(n), mode, 0); r != 0 {
				t.Fatalf("growing returns %d", r)
			}
			if r := b.call("bpf_skb_adjust_room", s.Addr(), uint64(-n), mode, 0); r != 0 {
				t.Fatalf("shrinking returns %d", r)
			}
		},
		"change_tail": func(t *rapid.T, s *pkt.Skb) {
			n := uint64(s.Len())
			b.call("bpf_skb_change_tail", s.Addr(), n+rapid.Uint64Range(0, 500).Draw(t, "n"), 0)
			b.call("bpf_skb_change_tail", s.Addr(), n, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				data := drawn(rt)
				s := b.own(rt, data)
				defer s.Release()
				pair(rt, s)
				if !bytes.Equal(s.Data(), data) {
					rt.Fatalf("the packet is\n %x, was\n %x", s.Data(), data)
				}
				if name != "change_tail" { // which forgets the sum
					if err := s.CheckCsum(); err != nil {
						rt.Fatal(err)
					}
				}
			})
		})
	}
}

// TestXDPRoom: bytes that leave the packet at its head are there again when it
// grows back.
func TestXDPRoom(t *testing.T) {
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		data := drawn(rt)
		x, err := pkt.NewXDP(b.m, b.ns, pkt.XDPSpec{Data: data})
		if err != nil {
			rt.Fatal(err)
		}
		defer x.Release()
		b.c.Ctx = x
		at := int64(0) // of the packet's start
		for range rapid.IntRange(1, 10).Draw(rt, "moves") {
			off := rapid.Int64Range(-60, 60).Draw(rt, "off")
			r := b.call("bpf_xdp_adjust_head", x.Addr(), uint64(off))
			ok := at+off >= -216 && at+off <= int64(len(data))-14
			if ok != (r == 0) || !ok && r != -int64(errno.EINVAL) {
				rt.Fatalf("adjust_head by %d at %d of %d returns %d", off, at, len(data), r)
			}
			if ok {
				at += off
			}
		}
		b.call("bpf_xdp_adjust_head", x.Addr(), uint64(-at))
		if !bytes.Equal(x.Data(), data) {
			rt.Fatalf("the packet is\n %x, was\n %x", x.Data(), data)
		}
	})
}

// TestChecksumReplace: the helpers keep a right checksum right.
func TestChecksumReplace(t *testing.T) {
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		f := drawn(rt)
		copy(f[12:], []byte{8, 0, 0x45})
		const udp, l4 = 17, 34
		f[23] = udp
		addr := func(at int) netip.Addr { return netip.AddrFrom4([4]byte(f[at:])) }
		binary.BigEndian.PutUint16(f[24:], 0)
		binary.BigEndian.PutUint16(f[24:], packet.Checksum(f[14:34]))
		binary.BigEndian.PutUint16(f[l4+6:], 0)
		binary.BigEndian.PutUint16(f[l4+6:], packet.ChecksumTransport(addr(26), addr(30), udp, f[l4:]))
		s := b.own(rt, f)
		defer s.Release()

		next := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(rt, "address")
		from, to := uint64(binary.LittleEndian.Uint32(f[26:])), uint64(binary.LittleEndian.Uint32(next))
		b.call("bpf_l4_csum_replace", s.Addr(), l4+6, from, to, 4|1<<4)
		b.call("bpf_l3_csum_replace", s.Addr(), 24, from, to, 4)
		src, _ := b.scratch(next)
		b.call("bpf_skb_store_bytes", s.Addr(), 26, src, 4, 0)

		got := s.Data()
		if sum := packet.Checksum(got[14:34]); sum != 0 {
			rt.Fatalf("the IP checksum is off by %#x", sum)
		}
		sum := packet.ChecksumTransport(netip.AddrFrom4([4]byte(got[26:])), addr(30), udp, got[l4:])
		if sum != 0 && sum != 0xffff {
			rt.Fatalf("the UDP checksum is off by %#x", sum)
		}
		if err := s.CheckCsum(); err != nil {
			rt.Fatal(err)
		}
	})
}

// FuzzScript runs scripts of helper calls on arbitrary packets: nothing may
// crash, fault, or keep memory.
func FuzzScript(f *testing.F) {
	f.Add(make([]byte, 64), []byte(nil), []byte{10, 1, 4, 0, 14, 1, 20, 2})
	f.Add(ipv4Frame(100), make([]byte, 192), []byte{15, 0, 0x81, 0, 15, 0, 1, 0, 16, 0, 0, 0, 11, 0, 30, 0})
	f.Add(ipv4Frame(60), []byte(nil), []byte{12, 0, 0xdd, 0x86, 6, 4, 24, 0, 1, 1, 200, 3})
	_, ns := network(f)
	m := newMachine(f, opsObject, ns)
	m.run(f, "run_skb", run{data: make([]byte, 64)}) // the CPU's stack stays
	f.Fuzz(func(t *testing.T, data, ctx, script []byte) {
		if len(data) > 4000 || len(ctx) > 400 {
			return
		}
		var ops []op
		for ; len(script) >= 4 && len(ops) < scriptLen; script = script[4:] {
			v := uint64(int64(int8(script[2])))
			ops = append(ops, op{code: uint32(script[0]), n: uint32(script[1]), a: v, b: uint64(script[3]), c: v << (script[3] & 63), data: data})
		}
		before := m.m.Mem.Used()
		for _, prog := range []string{"run_skb", "run_xdp"} {
			r := run{data: data, ops: ops}
			if len(ctx) > 0 {
				r.ctx = ctx
			}
			m.run(t, prog, r)
		}
		if after := m.m.Mem.Used(); after != before {
			t.Fatalf("%d bytes of guest memory are kept", after-before)
		}
	})
}
