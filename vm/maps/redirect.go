package maps

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// DevTarget is an element of a device map: what UpdateRef takes to set a program
// with the device, and what RedirectTarget returns.
type DevTarget struct {
	Ifindex uint32
	// Program runs on packets that are sent to the device; its Program may be nil.
	Program Prog
}

// CPUTarget is an element of a CPU map, as DevTarget.
type CPUTarget struct {
	CPU       uint32
	QueueSize uint32
	Program   Prog
}

func checkDevMap(_ *kernel.Profile, s *ebpf.MapSpec) error {
	if extra := s.Flags &^ (NumaNode | ReadOnly | WriteOnly); extra != 0 {
		return bad("flags %#x are not for this type", extra)
	}
	if s.MaxEntries == 0 || s.KeySize != 4 || s.ValueSize != 4 && s.ValueSize != 8 {
		return bad("entries must not be 0, the key has 4 bytes and the value 4 or 8")
	}
	if s.Type == ebpf.DevMapHash && s.MaxEntries > 1<<31 {
		return bad("too many entries")
	}
	return nil
}

// target is a redirect map's element: its value in guest memory, which programs
// may read, and what it means.
type target[T any] struct {
	value *vm.Object
	of    T
}

// newTarget makes the element for a value of ifindex or queue size, and program.
func newTarget[T any](b *base, of T, first uint32, prog Prog) (*target[T], error) {
	value := binary.LittleEndian.AppendUint32(nil, first)
	value = binary.LittleEndian.AppendUint32(value, prog.ID)
	o, err := b.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindMapValue, Name: b.info.Name, Owner: b.self,
		Size: b.info.ValueSize, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	copy(o.Bytes(), value)
	return &target[T]{o, of}, nil
}

func (t *target[T]) bytes() []byte { return append([]byte{}, t.value.Bytes()...) }

// freeTarget ends an element that was replaced or removed.
func freeTarget[T any](b *base, t *target[T]) {
	if t != nil {
		b.m.Mem.Free(t.value, vm.Site{})
	}
}

// devTarget makes a device map's element of what the user gave.
func (b *base) devTarget(value []byte, ref *DevTarget) (*target[DevTarget], error) {
	var d DevTarget
	if ref != nil {
		d = *ref
	} else {
		d.Ifindex = binary.LittleEndian.Uint32(value)
		if len(value) == 8 && int32(binary.LittleEndian.Uint32(value[4:])) > 0 {
			return nil, errno.EINVAL // a descriptor, of which there are none here
		}
	}
	switch p := d.Program.Program; {
	case d.Ifindex == 0 && p == nil:
		return nil, nil
	case d.Ifindex == 0:
		return nil, errno.EINVAL
	case int32(d.Ifindex) < 0, b.opts.HasDevice != nil && !b.opts.HasDevice(int(d.Ifindex)):
		return nil, errno.EINVAL
	case p != nil && (len(value) == 4 || p.Type != ebpf.XDP || p.AttachType != ebpf.AttachXDPDevMap):
		return nil, errno.EINVAL
	}
	return newTarget(b, d, d.Ifindex, d.Program)
}

// DevMap is a BPF_MAP_TYPE_DEVMAP.
type DevMap struct {
	*base
	slots []atomic.Pointer[target[DevTarget]]
}

func newDevMap(b *base, s *ebpf.MapSpec) (Map, error) {
	if s.MaxEntries > maxRefs {
		return nil, b.tooLarge(uint64(s.MaxEntries), 8, nil)
	}
	d := &DevMap{b, make([]atomic.Pointer[target[DevTarget]], s.MaxEntries)}
	return d, b.init(d)
}

func (d *DevMap) at(key uint32) *target[DevTarget] {
	if key >= uint32(len(d.slots)) {
		return nil
	}
	return d.slots[key].Load()
}

// RedirectTarget is the DevTarget at key, nil for none.
func (d *DevMap) RedirectTarget(key uint32) any { return redirectTo(d.at(key)) }

func redirectTo(t *target[DevTarget]) any {
	if t == nil {
		return nil
	}
	return t.of
}

// CanBroadcast reports that the map takes BPF_F_BROADCAST.
func (d *DevMap) CanBroadcast() bool { return true }

// Targets are all elements, for a broadcast, in the order of their keys.
func (d *DevMap) Targets() []DevTarget {
	var all []DevTarget
	for i := range d.slots {
		if t := d.slots[i].Load(); t != nil {
			all = append(all, t.of)
		}
	}
	return all
}

// RemoveDevice drops the elements of a device that goes away.
func (d *DevMap) RemoveDevice(ifindex uint32) {
	for i := range d.slots {
		if t := d.slots[i].Load(); t != nil && t.of.Ifindex == ifindex && d.slots[i].CompareAndSwap(t, nil) {
			freeTarget(d.base, t)
		}
	}
}

func (d *DevMap) lookup(_ from, key []byte) (uint64, error) {
	i, _ := d.index(key)
	if t := d.at(i); t != nil {
		return t.value.Addr(), nil
	}
	return 0, nil
}

func (d *DevMap) userLookup(key []byte, _ uint64) ([]byte, error) {
	i, _ := d.index(key)
	if t := d.at(i); t != nil {
		return t.bytes(), nil
	}
	return nil, errno.ENOENT
}

func (d *DevMap) set(key, value []byte, ref *DevTarget, flags uint64) error {
	i, ok := d.index(key)
	switch {
	case flags > Exist:
		return errno.EINVAL
	case !ok:
		return errno.E2BIG
	case flags == NoExist:
		return errno.EEXIST
	}
	t, err := d.devTarget(value, ref)
	if err != nil {
		return err
	}
	freeTarget(d.base, d.slots[i].Swap(t))
	return nil
}

func (d *DevMap) userUpdate(key, value []byte, flags uint64) error {
	return d.set(key, value, nil, flags)
}

func (d *DevMap) userUpdateRef(key []byte, ref any, flags uint64) error {
	t, ok := ref.(DevTarget)
	if !ok {
		return errno.EINVAL
	}
	return d.set(key, make([]byte, d.info.ValueSize), &t, flags)
}

func (d *DevMap) userRemove(key []byte) error {
	i, ok := d.index(key)
	if !ok {
		return errno.EINVAL
	}
	freeTarget(d.base, d.slots[i].Swap(nil))
	return nil
}

func (d *DevMap) nextKey(key []byte) ([]byte, error) { return d.nextIndex(key) }

func (d *DevMap) free() {
	for i := range d.slots {
		freeTarget(d.base, d.slots[i].Swap(nil))
	}
}

// DevMapHash is a BPF_MAP_TYPE_DEVMAP_HASH. It iterates by the low bits of the
// key, the newest first among those that share them.
type DevMapHash struct {
	*base
	mask uint32 // immutable

	mu      sync.RWMutex
	buckets map[uint32][]*devEntry // newest first; guarded by mu
	n       uint32                 // guarded by mu
}

type devEntry struct {
	key uint32
	t   *target[DevTarget]
}

func newDevMapHash(b *base, s *ebpf.MapSpec) (Map, error) {
	d := &DevMapHash{base: b, buckets: make(map[uint32][]*devEntry)}
	for d.mask < s.MaxEntries-1 {
		d.mask = d.mask<<1 | 1
	}
	if err := b.init(d); err != nil {
		return nil, err
	}
	b.setHandle("n_buckets", uint64(d.mask)+1)
	return d, nil
}

func (d *DevMapHash) find(key uint32) (bucket []*devEntry, i int) {
	bucket = d.buckets[key&d.mask]
	for i, e := range bucket {
		if e.key == key {
			return bucket, i
		}
	}
	return bucket, -1
}

func (d *DevMapHash) get(key uint32) *target[DevTarget] {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if b, i := d.find(key); i >= 0 {
		return b[i].t
	}
	return nil
}

// RedirectTarget is the DevTarget of key, nil for none.
func (d *DevMapHash) RedirectTarget(key uint32) any { return redirectTo(d.get(key)) }

// CanBroadcast reports that the map takes BPF_F_BROADCAST.
func (d *DevMapHash) CanBroadcast() bool { return true }

// Targets are all elements, for a broadcast, in the order of iteration.
func (d *DevMapHash) Targets() []DevTarget {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var all []DevTarget
	for b := uint64(0); b <= uint64(d.mask) && uint32(len(all)) < d.n; b++ {
		for _, e := range d.buckets[uint32(b)] {
			all = append(all, e.t.of)
		}
	}
	return all
}

// RemoveDevice drops the elements of a device that goes away.
func (d *DevMapHash) RemoveDevice(ifindex uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for b, list := range d.buckets {
		var keep []*devEntry
		for _, e := range list {
			if e.t.of.Ifindex == ifindex {
				freeTarget(d.base, e.t)
				d.n--
			} else {
				keep = append(keep, e)
			}
		}
		d.buckets[b] = keep
	}
}

func (d *DevMapHash) lookup(_ from, key []byte) (uint64, error) {
	if t := d.get(binary.LittleEndian.Uint32(key)); t != nil {
		return t.value.Addr(), nil
	}
	return 0, nil
}

func (d *DevMapHash) userLookup(key []byte, _ uint64) ([]byte, error) {
	if t := d.get(binary.LittleEndian.Uint32(key)); t != nil {
		return t.bytes(), nil
	}
	return nil, errno.ENOENT
}

func (d *DevMapHash) set(key uint32, value []byte, ref *DevTarget, flags uint64) error {
	if flags > Exist {
		return errno.EINVAL
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	bucket, i := d.find(key)
	ifindex := binary.LittleEndian.Uint32(value)
	if ref != nil {
		ifindex = ref.Ifindex
	}
	if ifindex == 0 {
		return errno.EINVAL
	}
	if i >= 0 && flags&NoExist != 0 {
		return errno.EEXIST
	}
	t, err := d.devTarget(value, ref)
	if err != nil {
		return err
	}
	if i >= 0 {
		freeTarget(d.base, bucket[i].t)
		bucket = append(bucket[:i:i], bucket[i+1:]...)
	} else {
		if d.n >= d.info.MaxEntries {
			freeTarget(d.base, t)
			return errno.E2BIG
		}
		d.n++
	}
	d.buckets[key&d.mask] = append([]*devEntry{{key, t}}, bucket...)
	return nil
}

func (d *DevMapHash) userUpdate(key, value []byte, flags uint64) error {
	return d.set(binary.LittleEndian.Uint32(key), value, nil, flags)
}

func (d *DevMapHash) userUpdateRef(key []byte, ref any, flags uint64) error {
	t, ok := ref.(DevTarget)
	if !ok {
		return errno.EINVAL
	}
	return d.set(binary.LittleEndian.Uint32(key), make([]byte, d.info.ValueSize), &t, flags)
}

func (d *DevMapHash) userRemove(key []byte) error {
	k := binary.LittleEndian.Uint32(key)
	d.mu.Lock()
	defer d.mu.Unlock()
	bucket, i := d.find(k)
	if i < 0 {
		return errno.ENOENT
	}
	freeTarget(d.base, bucket[i].t)
	d.buckets[k&d.mask] = append(bucket[:i:i], bucket[i+1:]...)
	d.n--
	return nil
}

func (d *DevMapHash) nextKey(key []byte) ([]byte, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	start := uint64(0)
	if key != nil {
		k := binary.LittleEndian.Uint32(key)
		if bucket, i := d.find(k); i >= 0 {
			if i+1 < len(bucket) {
				return uint32Bytes(bucket[i+1].key), nil
			}
			start = uint64(k&d.mask) + 1
		}
	}
	for b := start; b <= uint64(d.mask) && d.n > 0; b++ {
		if bucket := d.buckets[uint32(b)]; len(bucket) > 0 {
			return uint32Bytes(bucket[0].key), nil
		}
	}
	return nil, errno.ENOENT
}

func (d *DevMapHash) free() {
	for _, bucket := range d.buckets {
		for _, e := range bucket {
			freeTarget(d.base, e.t)
		}
	}
}
