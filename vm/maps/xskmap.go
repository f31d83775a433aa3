package maps

import (
	"sync"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// XSK is an AF_XDP socket, to which an XDP program may redirect: what UpdateRef
// of an XSKMap takes.
type XSK struct {
	// QueueID is the device's queue that the socket is bound to.
	QueueID uint32
	// Owner is the value of whoever receives on the socket.
	Owner any
}

// XSKMap is a BPF_MAP_TYPE_XSKMAP. A program's lookup finds a struct bpf_xdp_sock.
type XSKMap struct {
	*base

	mu    sync.RWMutex
	slots []*xskEntry // guarded by mu
}

type xskEntry struct {
	xsk  *XSK
	sock *vm.Object
}

func checkXSKMap(_ *kernel.Profile, s *ebpf.MapSpec) error {
	if extra := s.Flags &^ (NumaNode | ReadOnly | WriteOnly); extra != 0 {
		return bad("flags %#x are not for this type", extra)
	}
	if s.MaxEntries == 0 || s.KeySize != 4 || s.ValueSize != 4 {
		return bad("entries must not be 0 and key and value have 4 bytes")
	}
	return nil
}

func newXSKMap(b *base, s *ebpf.MapSpec) (Map, error) {
	if s.MaxEntries > maxRefs {
		return nil, b.tooLarge(uint64(s.MaxEntries), 8, nil)
	}
	x := &XSKMap{base: b, slots: make([]*xskEntry, s.MaxEntries)}
	return x, b.init(x)
}

func (x *XSKMap) at(key uint32) *xskEntry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if key >= uint32(len(x.slots)) {
		return nil
	}
	return x.slots[key]
}

// RedirectTarget is the *XSK at key, nil for none.
func (x *XSKMap) RedirectTarget(key uint32) any {
	if e := x.at(key); e != nil {
		return e.xsk
	}
	return nil
}

// CanBroadcast reports that the map does not take BPF_F_BROADCAST.
func (x *XSKMap) CanBroadcast() bool { return false }

func (x *XSKMap) lookup(_ from, key []byte) (uint64, error) {
	i, _ := x.index(key)
	if e := x.at(i); e != nil {
		return e.sock.Addr(), nil
	}
	return 0, nil
}

func (x *XSKMap) userLookup([]byte, uint64) ([]byte, error) { return nil, errno.EOPNOTSUPP }

func (x *XSKMap) checkKeyFlags(key []byte, flags uint64) error {
	if flags > Exist {
		return errno.EINVAL
	}
	if _, ok := x.index(key); !ok {
		return errno.E2BIG
	}
	return nil
}

func (x *XSKMap) userUpdate(key, _ []byte, flags uint64) error {
	if err := x.checkKeyFlags(key, flags); err != nil {
		return err
	}
	return errno.EBADF
}

func (x *XSKMap) userUpdateRef(key []byte, ref any, flags uint64) error {
	if err := x.checkKeyFlags(key, flags); err != nil {
		return err
	}
	xsk, ok := ref.(*XSK)
	if !ok || xsk == nil {
		return errno.EBADF
	}
	i, _ := x.index(key)
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.slots[i]
	switch {
	case old != nil && old.xsk == xsk:
		return nil
	case old != nil && flags == NoExist:
		return errno.EEXIST
	case old == nil && flags == Exist:
		return errno.ENOENT
	}
	o, err := x.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindSocket, Name: "struct bpf_xdp_sock", Size: 4, ReadOnly: true, Owner: xsk})
	if err != nil {
		return err
	}
	copy(o.Bytes(), uint32Bytes(xsk.QueueID))
	x.put(i, &xskEntry{xsk, o})
	return nil
}

// put fills a slot. The caller holds mu.
func (x *XSKMap) put(i uint32, e *xskEntry) {
	if old := x.slots[i]; old != nil {
		x.m.Mem.Free(old.sock, vm.Site{})
	}
	x.slots[i] = e
}

func (x *XSKMap) userRemove(key []byte) error {
	i, ok := x.index(key)
	if !ok {
		return errno.EINVAL
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put(i, nil)
	return nil
}

func (x *XSKMap) nextKey(key []byte) ([]byte, error) { return x.nextIndex(key) }

func (x *XSKMap) free() {
	for i := range x.slots {
		x.put(uint32(i), nil)
	}
}
