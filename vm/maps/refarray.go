package maps

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
)

func uint32Bytes(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

// checkRefArray is the kernel's check for arrays whose elements are references.
func checkRefArray(p *kernel.Profile, s *ebpf.MapSpec) error {
	if s.ValueSize != 4 {
		return bad("a reference has 4 bytes")
	}
	if s.Flags&(ReadOnlyProg|WriteOnlyProg) != 0 {
		return bad("BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG are not for this type")
	}
	return checkArray(p, s)
}

// refArray is an array of references to T. Each slot is atomic; there is no lock.
type refArray[T any] struct {
	*base
	slots []atomic.Pointer[T]
}

// maxRefs bounds the slots of an array of references: 8 bytes each that are not
// guest memory.
const maxRefs = 1 << 27

func newRefArray[T any](b *base) (refArray[T], error) {
	if b.info.MaxEntries > maxRefs {
		return refArray[T]{}, b.tooLarge(uint64(b.info.MaxEntries), 8, nil)
	}
	return refArray[T]{b, make([]atomic.Pointer[T], b.info.MaxEntries)}, nil
}

// get is the reference at index, nil for none.
func (r *refArray[T]) get(index uint32) *T {
	if index >= uint32(len(r.slots)) {
		return nil
	}
	return r.slots[index].Load()
}

// put stores v for the user.
func (r *refArray[T]) put(key []byte, v *T, flags uint64) error {
	i, ok := r.index(key)
	if flags != Any {
		return errno.EINVAL
	}
	if !ok {
		return errno.E2BIG
	}
	r.slots[i].Store(v)
	return nil
}

func (r *refArray[T]) userRemove(key []byte) error {
	i, ok := r.index(key)
	if !ok {
		return errno.E2BIG
	}
	if r.slots[i].Swap(nil) == nil {
		return errno.ENOENT
	}
	return nil
}

// userUpdate gets a file descriptor as bytes, of which there are none here.
func (r *refArray[T]) userUpdate(key, _ []byte, flags uint64) error {
	if flags != Any {
		return errno.EINVAL
	}
	if _, ok := r.index(key); !ok {
		return errno.E2BIG
	}
	return errno.EBADF
}

func (r *refArray[T]) nextKey(key []byte) ([]byte, error) { return r.nextIndex(key) }

func (r *refArray[T]) clear() {
	for i := range r.slots {
		r.slots[i].Store(nil)
	}
}
