package maps

import (
	"encoding/binary"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
)

// DevMapHash is a BPF_MAP_TYPE_DEVMAP_HASH. It iterates by the low bits of the
// key, the newest first among those that share them.
type DevMapHash struct {
	targets[DevTarget]
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
	d := &DevMapHash{targets: newTargets[DevTarget](b), buckets: make(map[uint32][]*devEntry)}
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
				d.end(e.t)
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
		return d.bytes(t), nil
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
	t, err := devTarget(&d.targets, value, ref)
	if err != nil {
		return err
	}
	if i >= 0 {
		d.end(bucket[i].t)
		bucket = append(bucket[:i:i], bucket[i+1:]...)
	} else {
		if d.n >= d.info.MaxEntries {
			d.end(t)
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
	d.end(bucket[i].t)
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
