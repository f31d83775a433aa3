package maps

import (
	"sync"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// queue is BPF_MAP_TYPE_QUEUE and BPF_MAP_TYPE_STACK: a ring of values, which is
// taken from at its old or at its new end.
type queue struct {
	*base
	data *vm.Object // not for programs

	mu    sync.Mutex
	first uint32 // the oldest value; guarded by mu
	n     uint32 // values; guarded by mu
}

func checkQueue(_ *kernel.Profile, s *ebpf.MapSpec) error {
	if err := checkFlags(s, NumaNode|accessMask); err != nil {
		return err
	}
	switch {
	case s.MaxEntries == 0 || s.KeySize != 0 || s.ValueSize == 0:
		return bad("entries and value size must not be 0 and the key size must be")
	case s.ValueSize > kmallocMax, s.MaxEntries >= (1<<32-1)/s.ValueSize:
		return errno.E2BIG
	}
	return nil
}

func newQueue(b *base, s *ebpf.MapSpec) (Map, error) {
	q := &queue{base: b}
	if err := b.init(q); err != nil {
		return nil, err
	}
	b.setHandle("size", uint64(s.MaxEntries)+1)
	var err error
	q.data, err = b.alloc(vm.ObjectSpec{Kind: vm.KindScratch, Size: s.MaxEntries * s.ValueSize, ReadOnly: true})
	if err != nil {
		return nil, b.tooLarge(uint64(s.MaxEntries), uint64(s.ValueSize), err)
	}
	return q, nil
}

func (q *queue) slot(i uint32) []byte {
	at := (uint64(q.first) + uint64(i)) % uint64(q.info.MaxEntries) * uint64(q.info.ValueSize)
	return q.data.Bytes()[at : at+uint64(q.info.ValueSize)]
}

// push adds a value. With BPF_EXIST a full map loses its oldest.
func (q *queue) push(value []byte, flags uint64) error {
	if flags > Exist || flags&NoExist != 0 {
		return errno.EINVAL
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == q.info.MaxEntries {
		if flags&Exist == 0 {
			return errno.E2BIG
		}
		q.first = (q.first + 1) % q.info.MaxEntries
		q.n--
	}
	copy(q.slot(q.n), value)
	q.n++
	return nil
}

// get copies the next value, zeroes when there is none.
func (q *queue) get(value []byte, remove bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		clear(value)
		return errno.ENOENT
	}
	if q.info.Type == ebpf.Stack {
		copy(value, q.slot(q.n-1))
	} else {
		copy(value, q.slot(0))
	}
	if !remove {
		return nil
	}
	q.n--
	if q.info.Type == ebpf.Queue {
		q.first = (q.first + 1) % q.info.MaxEntries
	}
	return nil
}

func (q *queue) pop(value []byte) error  { return q.get(value, true) }
func (q *queue) peek(value []byte) error { return q.get(value, false) }

func (q *queue) userLookup([]byte, uint64) ([]byte, error) {
	v := make([]byte, q.info.ValueSize)
	return v, q.get(v, false)
}

func (q *queue) take([]byte, uint64) ([]byte, error) {
	v := make([]byte, q.info.ValueSize)
	return v, q.get(v, true)
}

func (q *queue) userUpdate(_, value []byte, flags uint64) error { return q.push(value, flags) }
func (q *queue) userRemove([]byte) error                        { return errno.EINVAL }
func (q *queue) nextKey([]byte) ([]byte, error)                 { return nil, errno.EINVAL }
