package maps

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/bpfct/bpfct/vm"
)

func round8(n uint32) uint32 { return (n + 7) &^ 7 }

// span is a part of a value, as offsets.
type span struct{ from, to uint32 }

// store copies src to dst, which is guest memory that other CPUs may read or
// write meanwhile, starts at a multiple of 4, and is padded to one. It writes
// whole words as the kernel does, so that no word is seen half written.
func store(dst, src []byte) {
	n := len(src)
	i := 0
	if addressable8(dst) {
		for ; i+8 <= n; i += 8 {
			atomic.StoreUint64(vm.Word64(dst[i:]), binary.NativeEndian.Uint64(src[i:]))
		}
	}
	for ; i+4 <= n; i += 4 {
		atomic.StoreUint32(vm.Word32(dst[i:]), binary.NativeEndian.Uint32(src[i:]))
	}
	if i == n {
		return
	}
	if cap(dst) < i+4 {
		copy(dst[i:n], src[i:])
		return
	}
	word := vm.Word32(dst[i : i+4 : i+4])
	var w [4]byte
	binary.NativeEndian.PutUint32(w[:], atomic.LoadUint32(word))
	copy(w[:], src[i:])
	atomic.StoreUint32(word, binary.NativeEndian.Uint32(w[:]))
}

// load copies src, which is guest memory as in store, to dst.
func load(dst, src []byte) {
	n := len(dst)
	i := 0
	if addressable8(src) {
		for ; i+8 <= n; i += 8 {
			binary.NativeEndian.PutUint64(dst[i:], atomic.LoadUint64(vm.Word64(src[i:])))
		}
	}
	for ; i+4 <= n; i += 4 {
		binary.NativeEndian.PutUint32(dst[i:], atomic.LoadUint32(vm.Word32(src[i:])))
	}
	if i == n {
		return
	}
	if cap(src) < i+4 {
		copy(dst[i:], src[i:n])
		return
	}
	var w [4]byte
	binary.NativeEndian.PutUint32(w[:], atomic.LoadUint32(vm.Word32(src[i:i+4:i+4])))
	copy(dst[i:], w[:])
}

// zero is store of zero bytes.
func zero(dst []byte) {
	var z [64]byte
	for len(dst) > len(z) {
		store(dst[:len(z)], z[:])
		dst = dst[len(z):]
	}
	store(dst, z[:len(dst)])
}
