package maps

import (
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
)

// DevMap is a BPF_MAP_TYPE_DEVMAP.
type DevMap struct {
	targets[DevTarget]
	slots []atomic.Pointer[target[DevTarget]]
}

func newDevMap(b *base, s *ebpf.MapSpec) (Map, error) {
	if s.MaxEntries > maxRefs {
		return nil, b.tooLarge(uint64(s.MaxEntries), 8, nil)
	}
	d := &DevMap{newTargets[DevTarget](b), make([]atomic.Pointer[target[DevTarget]], s.MaxEntries)}
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
			d.end(t)
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
		return d.bytes(t), nil
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
	t, err := devTarget(&d.targets, value, ref)
	if err != nil {
		return err
	}
	d.end(d.slots[i].Swap(t))
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
	d.end(d.slots[i].Swap(nil))
	return nil
}

func (d *DevMap) nextKey(key []byte) ([]byte, error) { return d.nextIndex(key) }
