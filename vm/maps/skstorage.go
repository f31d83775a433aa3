package maps

import (
	"sync"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// skStorageCreate is BPF_SK_STORAGE_GET_F_CREATE.
const skStorageCreate = 1

// StorageSocket may be implemented by the Owner of a socket's object. Without it
// the Owner itself identifies the socket, which has storage.
type StorageSocket interface {
	// StorageKey identifies the socket, however many objects show it to programs;
	// nil for one that cannot have storage: a request or time-wait socket.
	StorageKey() any
}

// SkStorage is a BPF_MAP_TYPE_SK_STORAGE: a value for each socket. Its users'
// side has no keys; Get, Set and Remove take what identifies a socket.
type SkStorage struct {
	*base
	pool pool

	mu     sync.RWMutex
	values map[any]*vm.Object // guarded by mu
}

func checkSkStorage(p *kernel.Profile, s *ebpf.MapSpec) error {
	elem, err := p.Sizeof("bpf_local_storage_elem")
	if err != nil {
		return err
	}
	if s.Flags&^(NoPrealloc|Clone) != 0 || s.Flags&NoPrealloc == 0 {
		return bad("BPF_F_NO_PREALLOC is required, and BPF_F_CLONE the only other flag")
	}
	if s.MaxEntries != 0 || s.KeySize != 4 || s.ValueSize == 0 || isVoid(s.Key) || s.Value == nil {
		return bad("the entries must be 0, the key a typed integer, and the value typed")
	}
	if s.ValueSize > 1<<16-1-elem {
		return errno.E2BIG
	}
	return btfSkStorage(s)
}

// btfSkStorage is what the kernel requires of the types, without which it makes
// no such map.
func btfSkStorage(s *ebpf.MapSpec) error { return btfInt(s.Key) }

func newSkStorage(b *base, _ *ebpf.MapSpec) (Map, error) {
	s := &SkStorage{base: b, pool: pool{b: b}, values: make(map[any]*vm.Object)}
	return s, b.init(s)
}

// storageKey is what identifies the socket that o shows.
func storageKey(o *vm.Object) any {
	if s, ok := o.Owner.(StorageSocket); ok {
		return s.StorageKey()
	}
	return o.Owner
}

// get returns the value of a socket, made when there is none and create is set.
func (s *SkStorage) get(sock any, init []byte, create bool) (*vm.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.values[sock]; o != nil || !create {
		return o, nil
	}
	o, err := s.pool.get()
	if err != nil {
		return nil, err
	}
	if init != nil {
		s.copyIn(o, 0, init)
	}
	s.values[sock] = o
	return o, nil
}

// Get copies a socket's value; ENOENT when it has none.
func (s *SkStorage) Get(sock any) ([]byte, error) {
	o, _ := s.get(sock, nil, false)
	if o == nil {
		return nil, s.err("lookup", errno.ENOENT)
	}
	v := make([]byte, s.info.ValueSize)
	s.copyOut(v, o, 0)
	return v, nil
}

// Set stores a socket's value, with the flags of Update.
func (s *SkStorage) Set(sock any, value []byte, flags uint64) error {
	if err := s.checkValue(value); err != nil {
		return s.err("update", err)
	}
	if flags > Exist {
		return s.err("update", errno.EINVAL)
	}
	o, _ := s.get(sock, nil, false)
	if err := checkExist(o != nil, flags); err != nil {
		return s.err("update", err)
	}
	if o != nil {
		// The kernel makes a new element; a program that holds the old one keeps it.
		s.mu.Lock()
		delete(s.values, sock)
		s.mu.Unlock()
		s.drop(vm.Site{}, o)
	}
	_, err := s.get(sock, value, true)
	return s.err("update", err)
}

// Remove deletes a socket's value, also when the socket goes away.
func (s *SkStorage) Remove(sock any) error { return s.err("delete", s.del(vm.Site{}, sock)) }

func (s *SkStorage) del(at vm.Site, sock any) error {
	s.mu.Lock()
	o := s.values[sock]
	delete(s.values, sock)
	s.mu.Unlock()
	if o == nil {
		return errno.ENOENT
	}
	s.drop(at, o)
	return nil
}

func (s *SkStorage) drop(at vm.Site, o *vm.Object) {
	s.freeFields(at, o, 0)
	s.pool.put(o)
}

func (s *SkStorage) userLookup([]byte, uint64) ([]byte, error) { return nil, errno.EBADF }
func (s *SkStorage) userUpdate([]byte, []byte, uint64) error   { return errno.EBADF }
func (s *SkStorage) userRemove([]byte) error                   { return errno.EBADF }

func (s *SkStorage) free() {
	for _, o := range s.values {
		s.drop(vm.Site{}, o)
	}
}

func skStorages(t ebpf.MapType) bool { return t == ebpf.SkStorage }

func registerSkStorage(r *vm.Registry) {
	r.Add("bpf_sk_storage_get", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		s, sock, err := storageArgs(c, a)
		if err != nil || sock == nil || a[3] > skStorageCreate {
			return 0, err
		}
		var init []byte
		if a[2] != 0 {
			if init, err = c.Read("R3", a[2], s.info.ValueSize); err != nil {
				return 0, err
			}
		}
		o, err := s.get(sock, init, a[3] == skStorageCreate)
		if err != nil || o == nil {
			return 0, nil
		}
		return o.Addr(), nil
	})
	r.Add("bpf_sk_storage_delete", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		s, sock, err := storageArgs(c, a)
		if err != nil {
			return 0, err
		}
		if sock == nil {
			return errno.EINVAL.Neg(), nil
		}
		return result(0, s.del(c.Site(), sock))
	})
}

// storageArgs is the map in R1 and the socket in R2, nil for one without storage.
func storageArgs(c *vm.CPU, a *[5]uint64) (*SkStorage, any, error) {
	m, err := mapAt(c, "R1", a[0], skStorages)
	if err != nil || a[1] == 0 {
		return nil, nil, err
	}
	o, _, err := c.ObjectAt("R2", a[1])
	if err != nil {
		return nil, nil, err
	}
	if o.Kind != vm.KindSocket || o.Owner == nil {
		f := c.Fault(vm.BadArgument, "R2", "points to %v, not to a socket", o)
		f.Object = o
		return nil, nil, f
	}
	return m.(*SkStorage), storageKey(o), nil
}
