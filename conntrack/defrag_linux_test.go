package conntrack_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack/internal/wire"
	"github.com/bpfct/bpfct/defrag"
	"github.com/bpfct/bpfct/packet"
)

// frag makes a fragment of an IP packet.
func frag(v6 bool, id uint32, off int, more, df bool, tos byte, data []byte) []byte {
	if v6 {
		b := make([]byte, 48, 48+len(data))
		b[0], b[1], b[6], b[7] = 0x60|tos>>4, tos<<4, 44, 64
		binary.BigEndian.PutUint16(b[4:], uint16(8+len(data)))
		src, dst := wire.Client.Addr6(5).As16(), wire.Server.Addr6(5).As16()
		copy(b[8:], src[:])
		copy(b[24:], dst[:])
		b[40] = 17
		v := uint16(off)
		if more {
			v |= 1
		}
		binary.BigEndian.PutUint16(b[42:], v)
		binary.BigEndian.PutUint32(b[44:], id)
		return append(b, data...)
	}
	b := make([]byte, 20, 20+len(data))
	b[0], b[1], b[8], b[9] = 0x45, tos, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(data)))
	binary.BigEndian.PutUint16(b[4:], uint16(id))
	v := uint16(off / 8)
	if more {
		v |= 0x2000
	}
	if df {
		v |= 0x4000
	}
	binary.BigEndian.PutUint16(b[6:], v)
	src, dst := wire.Client.Addr4(5).As4(), wire.Server.Addr4(5).As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[10:], packet.Checksum(b))
	return append(b, data...)
}

// rest puts together what the kernel sent, which it may have fragmented.
func rest(k *wire.Kernel, first []byte) ([]byte, error) {
	r := defrag.New(defrag.Options{})
	for b := first; b != nil; b = k.Receive(wire.Server) {
		info, err := packet.Parse(b, packet.LinkRaw)
		if err != nil {
			return nil, err
		}
		switch a := r.Push(b, &info, 0); a.Status {
		case defrag.Pass:
			return bytes.Clone(b), nil
		case defrag.Whole:
			return a.Packet, nil
		case defrag.Dropped:
			return nil, fmt.Errorf("what came out: %v", a.Reason)
		}
	}
	return nil, fmt.Errorf("not all came out")
}

// TestKernelDefrag generates fragments, in and out of order, twice, with gaps
// and overlaps, and wants the kernel's packets to come together when ours do.
func TestKernelDefrag(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	r := defrag.New(defrag.Options{})
	id := uint32(0)
	wholes := 0
	b.sysctl("nf_conntrack_checksum", 0) // what overlaps makes has any checksum
	generate(t, 400, func(rt *rapid.T) {
		id++
		v6 := rapid.Bool().Draw(rt, "v6")
		size := rapid.IntRange(1, 12).Draw(rt, "size") * 8
		data := make([]byte, size+rapid.IntRange(0, 7).Draw(rt, "odd"))
		for i := range data {
			data[i] = byte(i) ^ byte(id)
		}
		copy(data, []byte{byte(id >> 8), byte(id), 0, 53, byte(len(data) >> 8), byte(len(data)), 0, 0})
		step := rapid.IntRange(1, 4).Draw(rt, "step") * 8
		type part struct {
			off, end int
			more     bool
		}
		var parts []part
		for off := 0; off < len(data); off += step {
			parts = append(parts, part{off, min(off+step, len(data)), off+step < len(data)})
		}
		parts = rapid.Permutation(parts).Draw(rt, "order")
		for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(rt, "faults") {
			at := rapid.IntRange(0, len(parts)).Draw(rt, "at")
			p := part{rapid.IntRange(0, len(data)/8).Draw(rt, "off") * 8, 0, rapid.Bool().Draw(rt, "more")}
			p.end = min(p.off+rapid.IntRange(0, 40).Draw(rt, "len"), len(data))
			if p.end < p.off {
				p.end = p.off
			}
			parts = append(parts[:at:at], append([]part{p}, parts[at:]...)...)
		}
		df := rapid.IntRange(0, 5).Draw(rt, "df") == 0
		ecn := []byte{byte(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(rt, "ecn"))}
		if rapid.IntRange(0, 3).Draw(rt, "mixed") == 0 {
			ecn = append(ecn, byte(rapid.IntRange(0, 3).Draw(rt, "other")))
		}
		for i, p := range parts {
			pkt := frag(v6, id, p.off, p.more, df, ecn[i%len(ecn)], data[p.off:p.end])
			info, err := packet.Parse(pkt, packet.LinkRaw)
			if err != nil {
				rt.Skip("not to be parsed: " + err.Error())
			}
			got := r.Push(pkt, &info, 0)
			k := b.k.Send(wire.Client, pkt)
			if got.Status == defrag.Pass && k.Class != wire.Dropped {
				continue // the whole packet at once, or what its receiver is to answer
			}
			if (k.Class != wire.Dropped) != (got.Status == defrag.Whole) {
				rt.Fatalf("v6 %v, %d bytes, parts %v, at %d: ours %v (%v), the kernel's class %d", v6, len(data), parts, i, got.Status, got.Reason, k.Class)
			}
			if got.Status != defrag.Whole {
				continue
			}
			wholes++
			out, err := rest(b.k, k.Out)
			if err != nil {
				rt.Fatal(err)
			}
			ours := got.Packet
			if v6 {
				out[7], ours[7] = 0, 0
			} else {
				out[8], out[10], out[11], ours[8], ours[10], ours[11] = 0, 0, 0, 0, 0, 0
				if out[6]&0x20 == 0 {
					out[6] &^= 0x40 // whole again
					ours[6] &^= 0x40
				}
			}
			if !bytes.Equal(out, ours) {
				rt.Fatalf("ours %x\nkernel's %x", ours, out)
			}
		}
	})
	t.Logf("%d packets, %d whole", id, wholes)
}
