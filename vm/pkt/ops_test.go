package pkt_test

import (
	"encoding/binary"
	"net"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/netns"
)

const opsObject = "testdata/ops.o"

// frame draws a packet: mostly IPv4 or IPv6, with tags sometimes.
func frame(t *rapid.T) []byte {
	n := rapid.IntRange(14, 130).Draw(t, "length")
	if rapid.IntRange(0, 19).Draw(t, "long") == 0 {
		n = rapid.SampledFrom([]int{13, 34, 54, 1418, 1419, 1500, 1518, 1519, 3712, 3713}).Draw(t, "odd length")
	}
	b := rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes")
	if n < 14 {
		return b
	}
	copy(b, rapid.SampledFrom([][]byte{{0, 0, 0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {1, 0, 0x5e, 0, 0, 1}, {2, 0, 0, 0, 0, 1}}).Draw(t, "mac"))
	at := 12
	put := func(v uint16) {
		if at+2 <= n {
			binary.BigEndian.PutUint16(b[at:], v)
		}
		at += 2
	}
	for range rapid.IntRange(-4, 2).Draw(t, "tags") {
		put(rapid.SampledFrom([]uint16{0x8100, 0x88a8}).Draw(t, "tag"))
		at += 2
	}
	switch rapid.IntRange(0, 5).Draw(t, "type") {
	case 0, 1, 2:
		put(0x0800)
		if at < n {
			b[at] = 0x45
		}
	case 3, 4:
		put(0x86dd)
		if at < n {
			b[at] = 0x60 | b[at]&0xf
		}
	default:
		put(rapid.SampledFrom([]uint16{0x0806, 0x05ff, 0, 0x600, 0x0800, 0x8100}).Draw(t, "other"))
	}
	return b
}

func skbCtx(t *rapid.T) []byte {
	if rapid.Bool().Draw(t, "no ctx") {
		return nil
	}
	c := make([]byte, rapid.SampledFrom([]int{192, 192, 40, 160, 200}).Draw(t, "ctx size"))
	put := func(off, size int) {
		for i := off; i < min(off+size, len(c)); i++ {
			c[i] = rapid.Byte().Draw(t, "ctx byte")
		}
	}
	set := func(off int, v uint32) {
		if off+4 <= len(c) {
			binary.LittleEndian.PutUint32(c[off:], v)
		}
	}
	for _, f := range [][2]int{{8, 4}, {32, 4}, {36, 4}, {48, 20}, {152, 8}, {184, 8}} {
		if rapid.Bool().Draw(t, "set") {
			put(f[0], f[1])
		}
	}
	set(40, uint32(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 77}).Draw(t, "ifindex")))
	set(160, uint32(rapid.SampledFrom([]int{0, 0, 0, 100, 4000, 65536, 65537}).Draw(t, "wire_len")))
	set(164, uint32(rapid.SampledFrom([]int{0, 0, 0, 1, 65535, 65536}).Draw(t, "gso_segs")))
	set(176, uint32(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 100, 65536, 70000}).Draw(t, "gso_size")))
	if rapid.IntRange(0, 30).Draw(t, "stray") == 0 {
		put(rapid.IntRange(0, len(c)-1).Draw(t, "stray at"), 1)
	}
	return c
}

func anyOf(t *rapid.T, name string, vals ...uint64) uint64 {
	if rapid.IntRange(0, 40).Draw(t, name+" wild") == 0 {
		return rapid.Uint64().Draw(t, name)
	}
	return rapid.SampledFrom(vals).Draw(t, name)
}

func small(t *rapid.T, name string, lo, hi int) uint64 {
	if rapid.IntRange(0, 25).Draw(t, name+" wild") == 0 {
		return rapid.SampledFrom([]uint64{0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 32}).Draw(t, name)
	}
	return uint64(int64(rapid.IntRange(lo, hi).Draw(t, name)))
}

func payload(t *rapid.T) []byte {
	return rapid.SliceOfN(rapid.Byte(), dataLen, dataLen).Draw(t, "data")
}

// skbOp draws an operation of step in testdata/ops.c.
func skbOp(t *rapid.T) op {
	o := op{code: uint32(rapid.IntRange(1, 38).Draw(t, "op")), n: uint32(rapid.IntRange(1, 40).Draw(t, "n")), data: payload(t)}
	switch o.code {
	case 1:
		o.a, o.b = small(t, "off", 0, 140), anyOf(t, "flags", 0, 1, 2, 3, 4)
	case 2:
		o.a = small(t, "off", 0, 140)
	case 3:
		o.a, o.b = small(t, "off", 0, 140), anyOf(t, "start", 0, 1, 2)
	case 4:
		o.a = small(t, "len", 0, 140)
	case 5:
		o.a, o.b, o.c = small(t, "off", 0, 80)&^1, rapid.Uint64().Draw(t, "from"), rapid.Uint64().Draw(t, "to")
		o.n = uint32(anyOf(t, "flags", 0, 2, 4, 2, 4, 3, 16))
	case 6:
		o.a, o.b, o.c = small(t, "off", 0, 80)&^1, rapid.Uint64().Draw(t, "from"), rapid.Uint64().Draw(t, "to")
		o.n = uint32(anyOf(t, "flags", 0, 2, 4)) | uint32(rapid.IntRange(0, 15).Draw(t, "more"))<<4
		if rapid.Bool().Draw(t, "zero from") {
			o.b = 0
		}
	case 7:
		o.a, o.n = rapid.Uint64().Draw(t, "seed"), uint32(anyOf(t, "n", 0, 4, 8, 16, 28, 5, 32))
	case 8:
		o.a = rapid.Uint64().Draw(t, "csum")
	case 9:
		o.a = anyOf(t, "level", 0, 1, 2, 3, 4)
	case 10:
		// Positions of headers have 16 bits in the kernel and wrap beyond.
		o.a, o.b = small(t, "len", 0, 40)&0x3fff, anyOf(t, "flags", 0, 0, 0, 1)
	case 11:
		o.a, o.b = small(t, "len", 10, 150), anyOf(t, "flags", 0, 0, 0, 1)
	case 12:
		o.a, o.b = anyOf(t, "proto", 0x0008, 0xdd86, 0x0608), anyOf(t, "flags", 0, 0, 0, 1)
	case 13:
		o.a = anyOf(t, "type", 0, 1, 2, 3, 4, 7)
	case 14:
		o.a = small(t, "diff", -50, 60)
		o.b = anyOf(t, "mode", 0, 1, 1, 0, 2)
		o.c = anyOf(t, "flags", 0, 0, 1, 2, 4, 2|8, 2|16, 4|8, 4|16, 6, 2|8|16, 128, 256, 384, 32, 2|64, 2|64|14<<56, 4|16|10<<56, 512)
	case 15:
		o.a, o.b = anyOf(t, "proto", 0x0081, 0xa888, 0), small(t, "tci", 0, 0xffff)
	case 17:
		o.a = rapid.Uint64().Draw(t, "hash")
	case 20:
		o.a, o.b = anyOf(t, "tstamp", 0, 1, 1<<40), anyOf(t, "clock", 0, 1, 2, 3)
	case 21, 22:
		o.n = rapid.SampledFrom([]uint32{44, 44, 28, 24, 22, 8, 4, 60}).Draw(t, "size")
		o.a = anyOf(t, "flags", 0, 0, 1, 1, 2, 4, 8, 16, 17, 32)
		if rapid.Bool().Draw(t, "ext 0") {
			copy(o.data[22:28], make([]byte, 6))
		}
	case 23, 24:
		o.n = rapid.SampledFrom([]uint32{4, 8, 16, 5, 64}).Draw(t, "size")
	case 25, 26:
		o.a, o.b = small(t, "ifindex", 0, 3), anyOf(t, "flags", 0, 1, 2, 1<<16)
	case 27:
		o.a, o.b, o.n = small(t, "ifindex", 0, 3), anyOf(t, "flags", 0, 0, 1), rapid.SampledFrom([]uint32{0, 19, 20, 24}).Draw(t, "size")
	case 28:
		o.a, o.b, o.c = anyOf(t, "ifindex", 0, 1, 2, 3, 9), small(t, "diff", -30, 2000), anyOf(t, "flags", 0, 0, 0, 1, 2)
		binary.LittleEndian.PutUint32(o.data, uint32(anyOf(t, "mtu", 0, 0, 100, 1500, 1501, 70000)))
	case 30:
		// Sending leaves the frame with the kernel's devices; only what is refused
		// before that can be compared, and what lo takes.
		o.a, o.b = anyOf(t, "ifindex", 0, 1, 2, 3, 4, 9), anyOf(t, "flags", 0, 0, 1, 2, 1<<16)
	case 31:
		o.a, o.b = uint64(rapid.IntRange(0, 9).Draw(t, "field")), rapid.Uint64().Draw(t, "value")
		if rapid.Bool().Draw(t, "narrow") {
			o.b &= 0xffff
		}
		if o.a == 4 {
			o.b &= 0xffffffff
		}
	case 32:
		o.a = rapid.Uint64().Draw(t, "xor") & 0x00ff
	case 36:
		o.a = anyOf(t, "level", 0, 1, 2)
	case 16, 18, 19, 33, 34, 35, 37, 38:
	default:
		o.code = 2
	}
	return o
}

// network is the same small network on both sides: three devices beside lo, the
// other ends of which are where nobody looks.
func network(tb testing.TB) (live.Options, *netns.Netns) {
	tb.Helper()
	ns, sink := netns.New("test", 1), netns.New("sink", 2)
	opts := live.Options{Namespaces: []live.NamespaceOptions{{Name: "sink", ID: 7}}}
	for i, d := range []live.Device{
		{Name: "d0", MAC: "02:00:00:00:00:01", MTU: 1500}, {Name: "d1", MAC: "02:00:00:00:00:02", MTU: 1400}, {Name: "down", MTU: 1500, Down: true},
	} {
		d.Kind, d.Index, d.Peer, d.PeerNamespace = live.Veth, i+2, &live.Device{Name: "p" + d.Name, MTU: d.MTU}, "sink"
		opts.Devices = append(opts.Devices, d)
		mac, _ := net.ParseMAC(d.MAC)
		var hw [6]byte
		copy(hw[:], mac)
		own, err := ns.AddDevice(netns.Device{Index: d.Index, Name: d.Name, MAC: hw, MTU: uint32(d.MTU), Up: !d.Down})
		if err != nil {
			tb.Fatal(err)
		}
		peer, err := sink.AddDevice(netns.Device{Name: d.Peer.Name, MTU: uint32(d.MTU), Up: true})
		if err != nil {
			tb.Fatal(err)
		}
		if err := netns.Pair(ns, own.Index, sink, peer.Index); err != nil {
			tb.Fatal(err)
		}
	}
	return opts, ns
}

// defined takes out operations whose outcome the kernel does not define: room made
// behind the end of a packet that was cut shows what was there.
func defined(ops []op) {
	cut := false
	for i := range ops {
		cut = cut || ops[i].code == 11 && uint32(ops[i].a) < 100
		if cut && ops[i].code == 14 {
			ops[i] = op{code: 2, data: ops[i].data}
		}
	}
}

func TestSkbOperations(t *testing.T) {
	opts, ns := network(t)
	k, m := newKernel(t, opsObject, opts), newMachine(t, opsObject, ns)
	rapid.Check(t, func(rt *rapid.T) {
		r := run{data: frame(rt), ctx: skbCtx(rt), ops: rapid.SliceOfN(rapid.Custom(skbOp), 1, scriptLen).Draw(rt, "ops")}
		defined(r.ops)
		if rapid.IntRange(0, 3).Draw(rt, "complete") == 0 {
			r.flags = live.FlagSKBChecksum
		}
		compare(rt, r, k.run(t, "run_skb", r), m.run(t, "run_skb", r))
	})
}

func xdpCtx(t *rapid.T, n int) []byte {
	if rapid.Bool().Draw(t, "no ctx") {
		return nil
	}
	c := make([]byte, 24)
	set := func(off int, v uint64) { binary.LittleEndian.PutUint32(c[off:], uint32(v)) }
	set(0, anyOf(t, "data", 0, 4, 8, 5, 32, 216, 220, 252))
	set(4, anyOf(t, "data_end", uint64(n), uint64(n), uint64(n), uint64(n)+1, uint64(n)/2, 14, 20))
	set(8, anyOf(t, "data_meta", 0, 0, 0, 0, 0, 0, 4))
	set(12, anyOf(t, "ifindex", 0, 0, 0, 1, 2, 9))
	set(16, anyOf(t, "queue", 0, 0, 0, 0, 1))
	set(20, anyOf(t, "egress", 0, 0, 0, 0, 0, 1))
	return c
}

func xdpOp(t *rapid.T) op {
	o := op{code: uint32(rapid.IntRange(1, 10).Draw(t, "op")), n: uint32(rapid.IntRange(1, 40).Draw(t, "n")), data: payload(t)}
	switch o.code {
	case 1:
		o.a = small(t, "off", -60, 60)
	case 2:
		o.a = uint64(int64(rapid.IntRange(-20, 20).Draw(t, "off") * 4))
		if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
			o.a++
		}
	case 3:
		o.a = small(t, "off", -300, 300)
		if rapid.IntRange(0, 4).Draw(t, "far") == 0 {
			o.a = uint64(int64(rapid.IntRange(-5000, 4000).Draw(t, "far off")))
		}
	case 4, 5, 6:
		o.a = small(t, "off", 0, 200)
		if rapid.IntRange(0, 3).Draw(t, "far") == 0 {
			o.a = uint64(rapid.IntRange(3000, 8000).Draw(t, "far off"))
		}
	case 7:
		o.a, o.b = small(t, "ifindex", 0, 3), anyOf(t, "flags", 0, 1)
	case 8:
		o.a, o.b, o.c = anyOf(t, "ifindex", 0, 1, 2, 3, 9), small(t, "diff", -30, 2000), anyOf(t, "flags", 0, 0, 0, 1)
		binary.LittleEndian.PutUint32(o.data, uint32(anyOf(t, "mtu", 0, 0, 100, 1500, 1501, 70000)))
	case 10:
		o.a, o.b = rapid.Uint64().Draw(t, "xor"), rapid.Uint64().Draw(t, "xor meta")
	default:
		o.code = 4
	}
	return o
}

func TestXDPOperations(t *testing.T) {
	opts, ns := network(t)
	k, m := newKernel(t, opsObject, opts), newMachine(t, opsObject, ns)
	rapid.Check(t, func(rt *rapid.T) {
		r := run{data: frame(rt), ops: rapid.SliceOfN(rapid.Custom(xdpOp), 1, scriptLen).Draw(rt, "ops")}
		if rapid.IntRange(0, 2).Draw(rt, "jumbo") == 0 {
			more := make([]byte, rapid.SampledFrom([]int{3390, 3456, 3500, 4096, 7000, 9000}).Draw(rt, "more"))
			for i := range more {
				more[i] = byte(i * 7)
			}
			r.data = append(r.data, more...)
		}
		r.ctx = xdpCtx(rt, len(r.data))
		compare(rt, r, k.run(t, "run_xdp", r), m.run(t, "run_xdp", r))
	})
}
