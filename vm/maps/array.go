package maps

import (
	"encoding/binary"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// array is BPF_MAP_TYPE_ARRAY and, with a value for each CPU, its per-CPU form.
// .bss, .data, .rodata and .kconfig are arrays of one value. It has no lock: its
// elements are made once and never move.
type array struct {
	*base
	slab *slab
}

func checkArray(_ *kernel.Profile, s *ebpf.MapSpec) error {
	percpu := s.Type == ebpf.PerCPUArray
	if err := checkFlags(s, NumaNode|Mmapable|accessMask|PreserveElems|InnerMap); err != nil {
		return err
	}
	switch {
	case s.MaxEntries == 0 || s.KeySize != 4 || s.ValueSize == 0:
		return bad("entries and value size must not be 0 and the key has 4 bytes")
	case percpu && s.Flags&NumaNode != 0:
		return bad("BPF_F_NUMA_NODE for a per-CPU map")
	case s.Type != ebpf.Array && s.Flags&(Mmapable|InnerMap) != 0:
		return bad("BPF_F_MMAPABLE and BPF_F_INNER_MAP are for plain arrays")
	case s.Type != ebpf.PerfEventArray && s.Flags&PreserveElems != 0:
		return bad("BPF_F_PRESERVE_ELEMS is for perf event arrays")
	case s.ValueSize > 1<<31-1, percpu && round8(s.ValueSize) > percpuMax:
		return errno.E2BIG
	}
	return nil
}

func newArray(b *base, s *ebpf.MapSpec) (Map, error) {
	a := &array{base: b}
	if err := a.init(a); err != nil {
		return nil, err
	}
	a.setArrayHandle()
	var err error
	a.slab, err = newSlab(b, s.MaxEntries, a.info.CPUs, false, true)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// setArrayHandle fills in what struct bpf_array has beside struct bpf_map.
func (b *base) setArrayHandle() {
	mask := uint64(1)
	for mask < uint64(b.info.MaxEntries) {
		mask <<= 1
	}
	b.setHandle("elem_size", uint64(round8(b.info.ValueSize)))
	b.setHandle("index_mask", mask-1)
}

// index is the element that key names; ok is false past the end.
func (b *base) index(key []byte) (i uint32, ok bool) {
	i = binary.LittleEndian.Uint32(key)
	return i, i < b.info.MaxEntries
}

func (a *array) ValueAddr(off uint32) (uint64, error) {
	if a.info.MaxEntries != 1 || a.info.Type != ebpf.Array {
		return a.base.ValueAddr(off)
	}
	if off >= a.info.ValueSize {
		return 0, a.err("direct access", errno.EINVAL)
	}
	return a.slab.addr(0, 0) + uint64(off), nil
}

func (a *array) lookup(f from, key []byte) (uint64, error) {
	i, ok := a.index(key)
	if !ok {
		return 0, nil
	}
	return a.slab.addr(i, f.cpu), nil
}

func (a *array) lookupCPU(_ from, key []byte, cpu uint32) (uint64, error) {
	i, ok := a.index(key)
	if !ok || a.info.Type != ebpf.PerCPUArray || cpu >= uint32(a.info.CPUs) {
		return 0, nil
	}
	return a.slab.addr(i, int(cpu)), nil
}

func (a *array) update(f from, key, value []byte, flags uint64) error {
	i, ok := a.index(key)
	switch {
	case flags&^Lock > Exist:
		return errno.EINVAL
	case !ok:
		return errno.E2BIG
	case flags&NoExist != 0:
		return errno.EEXIST
	case flags&Lock != 0 && a.lock == nil:
		return errno.EINVAL
	}
	o, off := a.slab.at(i, f.cpu)
	if flags&Lock != 0 {
		a.copyInLocked(o, off, value)
	} else {
		a.copyIn(o, off, value)
	}
	a.freeFields(f.site, o, off)
	return nil
}

func (a *array) remove(from, []byte) error   { return errno.EINVAL }
func (a *array) userRemove(key []byte) error { return a.remove(user, key) }

func (a *array) userLookup(key []byte, flags uint64) ([]byte, error) {
	i, ok := a.index(key)
	if !ok {
		return nil, errno.ENOENT
	}
	return a.slab.userValue(i, flags), nil
}

func (a *array) userUpdate(key, value []byte, flags uint64) error {
	if a.info.Type != ebpf.PerCPUArray {
		return a.update(user, key, value, flags)
	}
	i, ok := a.index(key)
	switch {
	case flags > Exist:
		return errno.EINVAL
	case !ok:
		return errno.E2BIG
	case flags == NoExist:
		return errno.EEXIST
	}
	a.slab.setAll(user, i, value, true)
	return nil
}

func (a *array) nextKey(key []byte) ([]byte, error) { return a.nextIndex(key) }

// nextIndex is the NextKey of all arrays: they have every key.
func (b *base) nextIndex(key []byte) ([]byte, error) {
	next := uint32(0)
	if key != nil {
		if i, ok := b.index(key); ok {
			next = i + 1
			if next == b.info.MaxEntries {
				return nil, errno.ENOENT
			}
		}
	}
	return binary.LittleEndian.AppendUint32(nil, next), nil
}

func (a *array) forEach(c *vm.CPU, callback, ctx uint64) (uint64, error) {
	key, err := a.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindScratch, Name: "key of " + a.info.Name, Size: 4, ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer a.m.Mem.Free(key, c.Site())
	for i := range a.info.MaxEntries {
		binary.LittleEndian.PutUint32(key.Bytes(), i)
		r, err := c.Call(callback, a.handle.Addr(), key.Addr(), a.slab.addr(i, c.ID), ctx)
		if err != nil {
			return 0, err
		}
		if r != 0 {
			return uint64(i) + 1, nil
		}
	}
	return uint64(a.info.MaxEntries), nil
}

func (a *array) free() {
	if !a.owns {
		return
	}
	for i := range a.info.MaxEntries {
		a.slab.freeFields(vm.Site{}, i)
	}
}
