package maps

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// bloom is BPF_MAP_TYPE_BLOOM_FILTER: it answers whether a value may have been
// pushed, wrongly yes at times but never wrongly no. Its bits are atomic; there
// is no lock.
type bloom struct {
	*base
	bits  *vm.Object // not for programs
	mask  uint32     // of a bit's number
	seed  uint32
	funcs uint32
}

func checkBloom(_ *kernel.Profile, s *ebpf.MapSpec) error {
	if s.ValueSize > kmallocMax {
		return errno.E2BIG
	}
	if err := checkFlags(s, NumaNode|ZeroSeed|accessMask); err != nil {
		return err
	}
	if s.KeySize != 0 || s.ValueSize == 0 || s.MaxEntries == 0 || s.MapExtra&^0xf != 0 {
		return bad("entries and value size must not be 0, the key size must be, and map_extra is the number of hash functions up to 15")
	}
	return nil
}

func btfKeyless(s *ebpf.MapSpec) error {
	if !isVoid(s.Key) {
		return bad("a key type")
	}
	return nil
}

func newBloom(b *base, s *ebpf.MapSpec) (Map, error) {
	f := &bloom{base: b, funcs: uint32(s.MapExtra)}
	if f.funcs == 0 {
		f.funcs = 5
	}
	// The best size is entries * functions / ln 2, for which 7/5 stands, rounded
	// up to a power of two; at most 2^32.
	f.mask = 1<<32 - 1
	if n := uint64(s.MaxEntries) * uint64(f.funcs); n < 1<<32 {
		if n = n / 5 * 7; n <= 1<<31 {
			f.mask = uint32(uint64(1)<<bits.Len64(max(n, 64)-1) - 1)
		}
	}
	if s.Flags&ZeroSeed == 0 {
		f.seed = rand.New(rand.NewPCG(b.m.Seed, uint64(b.info.ID)<<32|'b')).Uint32()
	}
	if err := b.init(f); err != nil {
		return nil, err
	}
	b.setHandle("bitset_mask", uint64(f.mask))
	b.setHandle("hash_seed", uint64(f.seed))
	b.setHandle("nr_hash_funcs", uint64(f.funcs))
	size := (uint64(f.mask) + 1) / 8
	var err error
	f.bits, err = b.alloc(vm.ObjectSpec{Kind: vm.KindScratch, Size: uint32(size), ReadOnly: true})
	if err != nil {
		return nil, b.tooLarge(1, size, err)
	}
	return f, nil
}

// word is where the bit of hash function i for value is.
func (f *bloom) word(value []byte, i uint32) (word *uint32, bit uint32) {
	h := jhash(value, f.seed+i) & f.mask
	return vm.Word32(f.bits.Bytes()[h/32*4:]), 1 << (h % 32)
}

func (f *bloom) push(value []byte, flags uint64) error {
	if flags != Any {
		return errno.EINVAL
	}
	for i := range f.funcs {
		w, bit := f.word(value, i)
		atomic.OrUint32(w, bit)
	}
	return nil
}

func (f *bloom) peek(value []byte) error {
	for i := range f.funcs {
		w, bit := f.word(value, i)
		if atomic.LoadUint32(w)&bit == 0 {
			return errno.ENOENT
		}
	}
	return nil
}

func (f *bloom) pop([]byte) error                               { return errno.EOPNOTSUPP }
func (f *bloom) userUpdate(_, value []byte, flags uint64) error { return f.push(value, flags) }
func (f *bloom) userRemove([]byte) error                        { return errno.EOPNOTSUPP }
func (f *bloom) nextKey([]byte) ([]byte, error)                 { return nil, errno.EOPNOTSUPP }

// userLookup has no value to ask for; see Query.
func (f *bloom) userLookup([]byte, uint64) ([]byte, error) { return nil, errno.EINVAL }
