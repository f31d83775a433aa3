package maps

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// hash is BPF_MAP_TYPE_HASH with its per-CPU, LRU and map-in-map forms.
//
// An update of an existing key puts the value into another element and gives the
// old one back, so that a pointer from an earlier lookup keeps reading the old
// value until that element is used again. Per-CPU values are updated in place.
//
// Elements are numbered from 0; lists hold the number plus one, 0 ends them.
type hash struct {
	*base
	percpu   bool // these five are immutable
	prealloc bool
	ofMaps   bool
	seed     uint32
	mask     uint32
	count    []byte // where the handle shows the number of elements, nil where it does not

	mu     sync.RWMutex // guards the rest
	slab   *slab        // its shape; the bytes of values are shared
	heads  []uint32     // by bucket
	next   []uint32     // by element; kept after removal, for a walk that stands on it
	hashes []uint32     // by element
	unused []uint32     // elements that nobody has, the last first
	extra  []uint32     // by CPU: the element that takes the next changed value
	used   uint32
	lru    *lru
	inner  []Map // by element, for a hash of maps
	like   template
}

func checkHash(p *kernel.Profile, s *ebpf.MapSpec) error {
	percpu := s.Type == ebpf.PerCPUHash || s.Type == ebpf.LRUCPUHash
	isLRU := s.Type == ebpf.LRUHash || s.Type == ebpf.LRUCPUHash
	elem, err := p.Sizeof("htab_elem")
	if err != nil {
		return err
	}
	if err := checkFlags(s, NoPrealloc|NoCommonLRU|NumaNode|accessMask|ZeroSeed); err != nil {
		return err
	}
	switch {
	case !isLRU && s.Flags&NoCommonLRU != 0:
		return bad("BPF_F_NO_COMMON_LRU is for LRU hashes")
	case isLRU && s.Flags&NoPrealloc != 0:
		return errno.ENOTSUPP
	case s.Flags&NumaNode != 0 && (percpu || s.Flags&NoCommonLRU != 0):
		return bad("BPF_F_NUMA_NODE for a per-CPU map")
	case s.MaxEntries == 0 || s.KeySize == 0 || s.ValueSize == 0:
		return bad("entries, key size and value size must not be 0")
	case uint64(s.KeySize)+uint64(s.ValueSize) >= uint64(kmallocMax-elem),
		percpu && round8(s.ValueSize) > percpuMax,
		s.MaxEntries > 1<<31:
		return errno.E2BIG
	}
	return nil
}

func newHash(b *base, s *ebpf.MapSpec) (Map, error) {
	h := &hash{base: b, prealloc: s.Flags&NoPrealloc == 0, ofMaps: s.Type == ebpf.HashOfMaps}
	isLRU := s.Type == ebpf.LRUHash || s.Type == ebpf.LRUCPUHash
	h.percpu = s.Type == ebpf.PerCPUHash || s.Type == ebpf.LRUCPUHash
	if h.ofMaps {
		var err error
		if h.like, err = b.newTemplate(s); err != nil {
			return nil, err
		}
	}
	cpus := uint32(b.m.CPUs)
	if s.Flags&NoCommonLRU != 0 {
		// Every CPU has a list of its own and each the same number of elements.
		b.info.MaxEntries = (s.MaxEntries + cpus - 1) / cpus * cpus
	}
	buckets := uint64(1) << bits.Len32(b.info.MaxEntries-1)
	if buckets > 1<<28 {
		return nil, b.tooLarge(buckets, 16, nil)
	}
	h.mask = uint32(buckets - 1)
	if s.Flags&ZeroSeed == 0 {
		h.seed = rand.New(rand.NewPCG(b.m.Seed, uint64(b.info.ID)<<32|'h')).Uint32()
	}
	if err := b.init(h); err != nil {
		return nil, err
	}
	n := b.info.MaxEntries
	hasExtra := h.prealloc && !h.percpu && !isLRU
	if hasExtra {
		if n > 1<<32-1-cpus {
			return nil, b.tooLarge(uint64(n), uint64(s.KeySize+s.ValueSize), nil)
		}
		n += cpus
	}
	var err error
	if h.slab, err = newSlab(b, n, b.info.CPUs, true, h.prealloc); err != nil {
		return nil, err
	}
	h.slab.max = 0 // the map counts its elements itself
	h.heads = make([]uint32, buckets)
	h.setHashHandle()
	if h.prealloc {
		h.next, h.hashes = make([]uint32, n), make([]uint32, n)
		h.inner = h.makeInner(n)
	}
	switch {
	case isLRU:
		h.lru = newLRU(n, int(cpus), s.Flags&NoCommonLRU != 0, h.evict)
	case h.prealloc:
		h.unused = make([]uint32, 0, n)
		for i := n; i > 0; i-- {
			h.unused = append(h.unused, i-1)
		}
		if hasExtra {
			for range cpus {
				e, _ := h.popUnused()
				h.extra = append(h.extra, e)
			}
		}
	}
	return h, nil
}

func (h *hash) makeInner(n uint32) []Map {
	if !h.ofMaps {
		return nil
	}
	return make([]Map, n)
}

// setHashHandle fills in what struct bpf_htab has beside struct bpf_map.
func (h *hash) setHashHandle() {
	elem, _ := h.m.Profile.Sizeof("htab_elem") // checkHash has seen it
	elem += round8(h.info.KeySize)
	if h.percpu {
		elem += 8
	} else {
		elem += round8(h.info.ValueSize)
	}
	h.setHandle("elem_size", uint64(elem))
	h.setHandle("n_buckets", uint64(h.mask)+1)
	h.setHandle("hashrnd", uint64(h.seed))
	// The kernel counts in this member only where it must, and in per-CPU counters
	// for large maps.
	if !h.prealloc && h.info.MaxEntries/2 <= 32*uint32(h.m.CPUs) {
		if f, err := h.m.Profile.FieldInfo("bpf_htab", "count.counter"); err == nil {
			h.count = h.handle.Bytes()[f.Offset:]
		}
	}
}

func (h *hash) addUsed(n int32) {
	h.used += uint32(n)
	if h.count != nil {
		atomic.StoreUint32(vm.Word32(h.count), h.used)
	}
}

// Len is the number of elements.
func (h *hash) Len() uint32 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.used
}

// find returns the element of key. The caller holds mu.
func (h *hash) find(sum uint32, key []byte) (e uint32, ok bool) {
	for i := h.heads[sum&h.mask]; i != 0; i = h.next[i-1] {
		if h.hashes[i-1] == sum && bytes.Equal(h.slab.key(i-1), key) {
			return i - 1, true
		}
	}
	return 0, false
}

// link makes e the newest of its bucket.
func (h *hash) link(e, sum uint32) {
	head := &h.heads[sum&h.mask]
	h.hashes[e] = sum
	h.next[e] = *head
	*head = e + 1
}

// unlink takes e out of its bucket and reports whether it was there.
func (h *hash) unlink(e uint32) bool {
	at := &h.heads[h.hashes[e]&h.mask]
	for *at != 0 {
		if *at == e+1 {
			*at = h.next[e]
			return true
		}
		at = &h.next[*at-1]
	}
	return false
}

func (h *hash) popUnused() (e uint32, ok bool) {
	if len(h.unused) == 0 {
		if h.prealloc {
			return 0, false
		}
		first, n, ok := h.slab.extend()
		if !ok {
			return 0, false
		}
		h.next, h.hashes = append(h.next, make([]uint32, n)...), append(h.hashes, make([]uint32, n)...)
		h.inner = append(h.inner, h.makeInner(n)...)
		for i := n; i > 0; i-- {
			h.unused = append(h.unused, first+i-1)
		}
	}
	last := len(h.unused) - 1
	e = h.unused[last]
	h.unused = h.unused[:last]
	return e, true
}

// release gives up what e owns and makes it unused.
func (h *hash) release(f from, e uint32) {
	h.slab.freeFields(f.site, e)
	h.dropInner(e)
	if h.lru != nil {
		h.lru.pushFree(e)
	} else {
		h.unused = append(h.unused, e)
	}
}

// evict is the LRU taking e out of the map; false when it is not in.
func (h *hash) evict(e uint32) bool {
	if !h.unlink(e) {
		return false
	}
	h.slab.freeFields(vm.Site{}, e)
	h.addUsed(-1)
	return true
}

func (h *hash) free() {
	if !h.owns && !h.ofMaps {
		return
	}
	for e := range uint32(len(h.next)) {
		h.dropInner(e)
		h.slab.freeFields(vm.Site{}, e)
	}
}

func (h *hash) keyAddr(o *vm.Object, off uint32) (uint64, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.slab.keyAddrOf(o, off)
}
