package pkt

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// buffer is the bytes of a packet: metadata and linear part in guest memory,
// and behind them what is not linear.
type buffer struct {
	m     *vm.Machine
	obj   *vm.Object // metadata, then the linear part
	meta  uint32     // bytes of metadata
	frags [][]byte   // the rest, in order
	// pages are the pages of frags that lie in guest memory, by their first byte.
	pages map[*byte]*vm.Object
}

func (b *buffer) alloc(size uint32) (*vm.Object, error) {
	return b.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindPacket, Size: size})
}

// linear is the linear part without metadata.
func (b *buffer) linear() []byte { return b.obj.Bytes()[b.meta:] }

// headLen is the length of the linear part (skb_headlen).
func (b *buffer) headLen() uint32 { return b.obj.Size - b.meta }

func (b *buffer) fragLen() uint32 {
	n := 0
	for _, f := range b.frags {
		n += len(f)
	}
	return uint32(n)
}

// Len is the length of the packet, without metadata.
func (b *buffer) Len() uint32 { return b.headLen() + b.fragLen() }

// Linear is the guest address and length of the linear part.
func (b *buffer) Linear() (addr uint64, n uint32) {
	return b.obj.Addr() + uint64(b.meta), b.headLen()
}

// Meta is the guest address and length of the metadata before the packet.
func (b *buffer) Meta() (addr uint64, n uint32) { return b.obj.Addr(), b.meta }

// LoadBytes copies the bytes at off to dst; false when they are not all there.
func (b *buffer) LoadBytes(off uint32, dst []byte) bool {
	return b.each(off, dst, func(packet, other []byte) { vm.Copy(other, packet) })
}

// StoreBytes copies src to the bytes at off; false, and nothing is written,
// when they are not all there.
func (b *buffer) StoreBytes(off uint32, src []byte) bool {
	return b.each(off, src, func(packet, other []byte) { vm.Copy(packet, other) })
}

// each calls f with the pieces of the packet from off on and those of other
// that correspond.
func (b *buffer) each(off uint32, other []byte, f func(packet, other []byte)) bool {
	if uint64(off)+uint64(len(other)) > uint64(b.Len()) {
		return false
	}
	part := b.linear()
	for i := 0; len(other) > 0; i++ {
		if int(off) < len(part) {
			n := min(len(part)-int(off), len(other))
			f(part[off:int(off)+n], other[:n])
			other = other[n:]
			off = 0
		} else {
			off -= uint32(len(part))
		}
		if i == len(b.frags) {
			break
		}
		part = b.frags[i]
	}
	return len(other) == 0
}

// Data is a copy of the whole packet, without metadata.
func (b *buffer) Data() []byte {
	out := make([]byte, b.Len())
	b.LoadBytes(0, out)
	return out
}

// rebuild moves metadata and linear part to a new object of which size bytes
// are not metadata; fill writes them, old being what the linear part was.
func (b *buffer) rebuild(at vm.Site, size uint32, fill func(dst, old []byte)) error {
	o, err := b.alloc(b.meta + size)
	if err != nil {
		return err
	}
	copy(o.Bytes(), b.obj.Bytes()[:b.meta])
	fill(o.Bytes()[b.meta:], b.linear())
	b.m.Mem.Free(b.obj, at)
	b.obj = o
	return nil
}

func keep(dst, old []byte) { copy(dst, old) }

// relocate moves the bytes unchanged: old pointers to them end.
func (b *buffer) relocate(at vm.Site) error { return b.rebuild(at, b.headLen(), keep) }

// pull makes the first n bytes linear; false when the packet is shorter
// (pskb_may_pull).
func (b *buffer) pull(at vm.Site, n uint32) (bool, error) {
	if n <= b.headLen() {
		return true, nil
	}
	if n > b.Len() {
		return false, nil
	}
	more := n - b.headLen()
	err := b.rebuild(at, n, func(dst, old []byte) {
		dst = dst[copy(dst, old):]
		for len(dst) > 0 {
			k := copy(dst, b.frags[0])
			dst = dst[k:]
			if k == len(b.frags[0]) {
				b.frags = b.frags[1:]
			} else {
				b.frags[0] = b.frags[0][k:]
			}
			more -= uint32(k)
		}
	})
	return err == nil, err
}

// newPage is a page of packet bytes. What of it is not used yet is its tail room:
// capacity.
func newPage(data []byte) []byte {
	p := make([]byte, len(data), pageSize)
	copy(p, data)
	return p
}

func (b *buffer) release() {
	b.m.Mem.Free(b.obj, vm.Site{})
	for _, o := range b.pages {
		b.m.Mem.Free(o, vm.Site{})
	}
}

// result is what a helper returns for an errno, 0 for success.
func result(e errno.Errno) uint64 { return e.Neg() }

// memoryResult turns a failed allocation of guest memory into what the kernel
// returns when it has none, and nil into ret.
func memoryResult(ret uint64, err error) (uint64, error) {
	if err != nil {
		return errno.ENOMEM.Neg(), nil
	}
	return ret, nil
}

var le = binary.LittleEndian

// bswap16 is a number in network order as it stands in a little-endian word.
func bswap16(v uint16) uint16 { return v<<8 | v>>8 }
