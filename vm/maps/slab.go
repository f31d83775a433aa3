package maps

import (
	"fmt"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// slab is the guest memory of a map's elements, found by number. An element has
// a key, which programs may read, and a value for each CPU or one for all.
type slab struct {
	b         *base
	cpus      int    // values of an element
	keyStride uint32 // 0 for elements without a key in memory
	valStride uint32
	shift     uint // 1<<shift elements a chunk
	max       uint32
	n         uint32 // elements that have memory
	chunks    []chunk
}

type chunk struct {
	keys   *vm.Object
	values []*vm.Object // by CPU
}

// maxObject bounds one object, which guest addresses of 32 bits cannot exceed.
const maxObject = 0xe000_0000

// newSlab makes a slab for at most n elements: at once when prealloc, else piece
// by piece as they are needed.
func newSlab(b *base, n uint32, cpus int, keys, prealloc bool) (*slab, error) {
	s := &slab{b: b, cpus: cpus, valStride: round8(b.info.ValueSize), max: n, shift: 31}
	if keys {
		s.keyStride = round8(b.info.KeySize)
	}
	if !prealloc {
		s.shift = 0
		for s.shift < 10 && (s.valStride+s.keyStride)<<s.shift < 1<<14 {
			s.shift++
		}
		return s, nil
	}
	return s, s.grow(n)
}

// tooLarge is the error for a map that guest memory cannot hold.
func (b *base) tooLarge(n, size uint64, cause error) error {
	what := fmt.Sprintf("%d elements of %d bytes", n, size)
	if cause == nil {
		return fmt.Errorf("%s do not fit into guest memory: %w", what, errno.ENOMEM)
	}
	return fmt.Errorf("%s: %w", what, cause)
}

// grow makes memory for n more elements, of one chunk.
func (s *slab) grow(n uint32) error {
	each := uint64(s.keyStride) + uint64(s.valStride)*uint64(s.cpus)
	if uint64(n)*uint64(s.valStride) > maxObject || uint64(n)*uint64(s.keyStride) > maxObject {
		return s.b.tooLarge(uint64(n), each, nil)
	}
	var c chunk
	var err error
	if s.keyStride != 0 {
		c.keys, err = s.b.alloc(vm.ObjectSpec{Kind: vm.KindMapValue, Size: n * s.keyStride,
			Stride: s.keyStride, Elem: s.b.info.KeySize, ReadOnly: true})
		if err != nil {
			return s.b.tooLarge(uint64(n), each, err)
		}
	}
	for range s.cpus {
		o, err := s.b.alloc(vm.ObjectSpec{Kind: vm.KindMapValue, Size: n * s.valStride,
			Stride: s.valStride, Elem: s.b.info.ValueSize, ReadOnly: s.b.info.Flags&ReadOnlyProg != 0})
		if err != nil {
			return s.b.tooLarge(uint64(n), each, err)
		}
		c.values = append(c.values, o)
	}
	s.chunks = append(s.chunks, c)
	s.n += n
	return nil
}

// extend makes the next elements of a slab that grows; ok is false at its end
// or when memory is.
func (s *slab) extend() (first, n uint32, ok bool) {
	first = s.n
	if s.max != 0 && first >= s.max {
		return 0, 0, false
	}
	n = 1 << s.shift
	if s.grow(n) != nil {
		return 0, 0, false
	}
	return first, n, true
}

// key is the bytes of element i's key.
func (s *slab) key(i uint32) []byte {
	off := (i & (1<<s.shift - 1)) * s.keyStride
	return s.chunks[i>>s.shift].keys.Bytes()[off : off+s.b.info.KeySize : off+s.keyStride]
}

func (s *slab) keyAddr(i uint32) uint64 {
	return s.chunks[i>>s.shift].keys.Addr() + uint64((i&(1<<s.shift-1))*s.keyStride)
}

// at is the object and offset of element i's value for a CPU.
func (s *slab) at(i uint32, cpu int) (*vm.Object, uint32) {
	if s.cpus == 1 {
		cpu = 0
	}
	return s.chunks[i>>s.shift].values[cpu], (i & (1<<s.shift - 1)) * s.valStride
}

func (s *slab) addr(i uint32, cpu int) uint64 {
	o, off := s.at(i, cpu)
	return o.Addr() + uint64(off)
}

// freeFields gives up what element i owns.
func (s *slab) freeFields(at vm.Site, i uint32) {
	if !s.b.owns {
		return
	}
	for cpu := range s.cpus {
		o, off := s.at(i, cpu)
		s.b.freeFields(at, o, off)
	}
}

// userValue is element i's value as the user reads it.
func (s *slab) userValue(i uint32, flags uint64) []byte {
	out := make([]byte, s.b.info.UserValueSize())
	if s.b.info.CPUs == 1 {
		o, off := s.at(i, 0)
		s.b.copyOutFlags(out, o, off, flags)
		return out
	}
	for cpu := range s.cpus {
		o, off := s.at(i, cpu)
		at := cpu * int(s.valStride)
		s.b.copyOut(out[at:at+int(s.valStride)], o, off)
	}
	return out
}

// setAll copies in the values of all CPUs as the user writes them.
func (s *slab) setAll(f from, i uint32, value []byte, free bool) {
	for cpu := range s.cpus {
		o, off := s.at(i, cpu)
		s.b.copyInLong(o, off, value[cpu*int(s.valStride):])
		if free {
			s.b.freeFields(f.site, o, off)
		}
	}
}

// keyAddrOf is the address of the key of the element whose value is at off of o.
func (s *slab) keyAddrOf(o *vm.Object, off uint32) (uint64, bool) {
	for i := range s.chunks {
		for _, v := range s.chunks[i].values {
			if v == o {
				return s.keyAddr(uint32(i)<<s.shift + off/s.valStride), true
			}
		}
	}
	return 0, false
}
