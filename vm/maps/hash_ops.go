package maps

import (
	"bytes"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

func (h *hash) lookup(f from, key []byte) (uint64, error) {
	return h.lookupOn(key, f.cpu), nil
}

func (h *hash) lookupOn(key []byte, cpu int) uint64 {
	sum := jhash(key, h.seed)
	h.mu.RLock()
	defer h.mu.RUnlock()
	e, ok := h.find(sum, key)
	if !ok {
		return 0
	}
	if h.lru != nil {
		h.lru.touch(e)
	}
	if h.ofMaps {
		return h.inner[e].Handle().Addr()
	}
	return h.slab.addr(e, cpu)
}

func (h *hash) lookupCPU(_ from, key []byte, cpu uint32) (uint64, error) {
	if !h.percpu || cpu >= uint32(h.info.CPUs) {
		return 0, nil
	}
	return h.lookupOn(key, int(cpu)), nil
}

// checkExist applies BPF_NOEXIST and BPF_EXIST.
func checkExist(exists bool, flags uint64) error {
	if exists && flags&^Lock == NoExist {
		return errno.EEXIST
	}
	if !exists && flags&^Lock == Exist {
		return errno.ENOENT
	}
	return nil
}

func (h *hash) update(f from, key, value []byte, flags uint64) error {
	return h.set(f, key, value, flags, false)
}

func (h *hash) userUpdate(key, value []byte, flags uint64) error {
	if h.ofMaps {
		return errno.EBADF // no descriptors here: UpdateRef
	}
	return h.set(user, key, value, flags, h.percpu)
}

// set stores value, that of all CPUs when all is set.
func (h *hash) set(f from, key, value []byte, flags uint64, all bool) error {
	if flags&^Lock > Exist || flags&Lock != 0 && (h.lru != nil || h.percpu) {
		return errno.EINVAL
	}
	if flags&Lock != 0 && h.lock == nil {
		return errno.EINVAL
	}
	sum := jhash(key, h.seed)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.lru != nil && h.percpu:
		return h.setLRUPerCPU(f, sum, key, value, flags, all)
	case h.lru != nil:
		return h.setLRU(f, sum, key, value, flags)
	}
	old, exists := h.find(sum, key)
	if err := checkExist(exists, flags); err != nil {
		return err
	}
	if exists && h.percpu {
		h.setValue(f, old, value, all, true)
		return nil
	}
	if exists && flags&Lock != 0 {
		o, off := h.slab.at(old, 0)
		h.copyInLocked(o, off, value)
		return nil
	}
	e, err := h.newElem(f, exists, old)
	if err != nil {
		return err
	}
	store(h.slab.key(e), key)
	if h.percpu {
		h.initValue(f, e, value, all)
	} else {
		o, off := h.slab.at(e, 0)
		h.copyIn(o, off, value)
	}
	h.replace(f, e, sum, exists, old)
	return nil
}

// newElem finds room for a new value of a key that has the element old, or none.
func (h *hash) newElem(f from, exists bool, old uint32) (uint32, error) {
	if h.extra != nil && exists {
		e := h.extra[f.cpu]
		h.extra[f.cpu] = old
		return e, nil
	}
	if !exists && h.used >= h.info.MaxEntries {
		return 0, errno.E2BIG
	}
	e, ok := h.popUnused()
	if !ok {
		return 0, errno.ENOMEM
	}
	return e, nil
}

// replace links e and takes old, where there is one, out.
func (h *hash) replace(f from, e, sum uint32, exists bool, old uint32) {
	h.link(e, sum)
	if !exists {
		h.addUsed(1)
		return
	}
	h.unlink(old)
	if h.extra != nil {
		h.slab.freeFields(f.site, old) // newElem kept it for the next change
		h.dropInner(old)
		return
	}
	h.release(f, old)
}

// setValue changes the values of an element of a per-CPU hash in place.
func (h *hash) setValue(f from, e uint32, value []byte, all, free bool) {
	if all {
		h.slab.setAll(f, e, value, free)
		return
	}
	o, off := h.slab.at(e, f.cpu)
	h.copyIn(o, off, value)
	if free {
		h.freeFields(f.site, o, off)
	}
}

// initValue fills a new element of a per-CPU hash: a program sets the value of
// its CPU and the others are 0.
func (h *hash) initValue(f from, e uint32, value []byte, all bool) {
	if !all {
		for cpu := range h.info.CPUs {
			if cpu != f.cpu {
				o, off := h.slab.at(e, cpu)
				h.clearIn(o, off)
			}
		}
	}
	h.setValue(f, e, value, all, all)
}

// setLRU makes room before it looks, as the kernel does: also an update that is
// refused may push an old element out.
func (h *hash) setLRU(f from, sum uint32, key, value []byte, flags uint64) error {
	e, ok := h.lru.pop(f.cpu)
	if !ok {
		return errno.ENOMEM
	}
	store(h.slab.key(e), key)
	o, off := h.slab.at(e, 0)
	h.copyIn(o, off, value)
	old, exists := h.find(sum, key)
	if err := checkExist(exists, flags); err != nil {
		h.release(f, e)
		return err
	}
	if exists {
		h.lru.touch(e)
	}
	h.replace(f, e, sum, exists, old)
	return nil
}

func (h *hash) setLRUPerCPU(f from, sum uint32, key, value []byte, flags uint64, all bool) error {
	var e uint32
	fresh := flags != Exist
	if fresh {
		var ok bool
		if e, ok = h.lru.pop(f.cpu); !ok {
			return errno.ENOMEM
		}
		store(h.slab.key(e), key)
	}
	old, exists := h.find(sum, key)
	err := checkExist(exists, flags)
	switch {
	case err != nil:
	case exists:
		h.lru.touch(old)
		h.setValue(f, old, value, all, true)
	default:
		h.initValue(f, e, value, all)
		h.link(e, sum)
		h.addUsed(1)
		fresh = false
	}
	if fresh {
		h.lru.pushFree(e)
	}
	return err
}

func (h *hash) remove(f from, key []byte) error {
	sum := jhash(key, h.seed)
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.find(sum, key)
	if !ok {
		return errno.ENOENT
	}
	h.drop(f, e)
	return nil
}

func (h *hash) drop(f from, e uint32) {
	h.unlink(e)
	h.addUsed(-1)
	h.release(f, e)
}

func (h *hash) userRemove(key []byte) error { return h.remove(user, key) }

// userLookup does not count as use for an LRU, so that a dump does not change
// what is evicted.
func (h *hash) userLookup(key []byte, flags uint64) ([]byte, error) {
	sum := jhash(key, h.seed)
	h.mu.RLock()
	defer h.mu.RUnlock()
	e, ok := h.find(sum, key)
	if !ok {
		return nil, errno.ENOENT
	}
	if h.ofMaps {
		return uint32Bytes(h.inner[e].Info().ID), nil
	}
	return h.slab.userValue(e, flags), nil
}

func (h *hash) take(key []byte, flags uint64) ([]byte, error) {
	if h.ofMaps {
		return nil, errno.ENOTSUPP
	}
	sum := jhash(key, h.seed)
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.find(sum, key)
	if !ok {
		return nil, errno.ENOENT
	}
	v := h.slab.userValue(e, flags)
	h.drop(user, e)
	return v, nil
}

func (h *hash) nextKey(key []byte) ([]byte, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	bucket := uint32(0)
	if key != nil {
		sum := jhash(key, h.seed)
		if e, ok := h.find(sum, key); ok {
			if n := h.next[e]; n != 0 {
				return bytes.Clone(h.slab.key(n - 1)), nil
			}
			bucket = sum&h.mask + 1
		}
	}
	for ; bucket <= h.mask; bucket++ {
		if n := h.heads[bucket]; n != 0 {
			return bytes.Clone(h.slab.key(n - 1)), nil
		}
	}
	return nil, errno.ENOENT
}

// forEach stands on an element without a lock while the callback runs. The
// element after it is fixed before, so a callback may delete the one it is
// given; one that deletes the next still sees it, as in the kernel.
func (h *hash) forEach(c *vm.CPU, callback, ctx uint64) (uint64, error) {
	calls := uint64(0)
	for bucket := uint32(0); bucket <= h.mask; bucket++ {
		h.mu.RLock()
		e := h.heads[bucket]
		h.mu.RUnlock()
		for e != 0 {
			h.mu.RLock()
			key, value, next := h.slab.keyAddr(e-1), h.slab.addr(e-1, c.ID), h.next[e-1]
			h.mu.RUnlock()
			calls++
			r, err := c.Call(callback, h.handle.Addr(), key, value, ctx)
			if err != nil {
				return 0, err
			}
			if r != 0 {
				return calls, nil
			}
			e = next
		}
	}
	return calls, nil
}
