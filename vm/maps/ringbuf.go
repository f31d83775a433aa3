package maps

import (
	"math/bits"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

const (
	ringHeader    = 8
	ringRecordMax = (1<<32 - 1) / 4
)

// Flags of ring buffer output and submission, and what bpf_ringbuf_query asks for.
const (
	ringNoWakeup    = 1
	ringForceWakeup = 2

	ringAvailData = 0
	ringRingSize  = 1
	ringConsPos   = 2
	ringProdPos   = 3
)

// RingBuf is a BPF_MAP_TYPE_RINGBUF. Records are in the order in which they were
// reserved: one that is not submitted yet holds back those after it, and one that
// was discarded takes its room until the reader passes it. A record takes its
// size and 8 bytes, rounded up to 8, and the ring is never filled to its last byte.
type RingBuf struct {
	*base
	size uint64 // immutable

	mu      sync.Mutex    // guards the rest
	prod    uint64        // bytes ever reserved
	cons    uint64        // bytes ever read
	pending uint64        // where the oldest record that is not submitted starts
	records []*ringRecord // not read yet, oldest first
	busy    int           // index in records of the first that pending may stand on
	wakeups uint64
	notify  chan struct{}
}

type ringRecord struct {
	pos     uint64 // where its header starts
	size    uint32
	busy    bool
	discard bool
	data    []byte // once submitted
}

// span is the bytes of the ring that a record of the given size takes.
func ringSpan(size uint64) uint64 { return (size + ringHeader + 7) &^ 7 }

// Sample is a reserved record: the Owner of the object that a program fills.
type Sample struct {
	ring *RingBuf
	rec  *ringRecord
	obj  *vm.Object
}

func checkRingBuf(_ *kernel.Profile, s *ebpf.MapSpec) error {
	if err := checkFlags(s, NumaNode); err != nil {
		return err
	}
	if s.KeySize != 0 || s.ValueSize != 0 {
		return bad("key and value size must be 0")
	}
	if bits.OnesCount32(s.MaxEntries) != 1 || s.MaxEntries%pageSize != 0 {
		return bad("the size must be a power of two and a multiple of %d", pageSize)
	}
	return nil
}

func newRingBuf(b *base, s *ebpf.MapSpec) (Map, error) {
	r := &RingBuf{base: b, size: uint64(s.MaxEntries), notify: make(chan struct{}, 1)}
	if err := b.init(r); err != nil {
		return nil, err
	}
	return r, nil
}

// room takes the bytes for a record, nil when there is none.
func (r *RingBuf) room(size uint64) *ringRecord {
	if size > ringRecordMax {
		return nil
	}
	span := ringSpan(size)
	if span > r.size {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; r.busy < len(r.records) && !r.records[r.busy].busy; r.busy++ {
		r.pending = r.records[r.busy].pos + ringSpan(uint64(r.records[r.busy].size))
	}
	// Neither what is unread nor what begins at the oldest unsubmitted record may
	// fill the ring.
	if end := r.prod + span; end-r.cons >= r.size || end-r.pending >= r.size {
		return nil
	}
	rec := &ringRecord{pos: r.prod, size: uint32(size), busy: true}
	r.prod += span
	r.records = append(r.records, rec)
	return rec
}

// Reserve makes a record of the given size and returns the object that holds its
// bytes, with a *Sample as Owner; nil when there is no room. The caller accounts
// for it as a reference and ends it with Commit.
func (r *RingBuf) Reserve(size uint64) (*vm.Object, error) {
	rec := r.room(size)
	if rec == nil {
		return nil, nil
	}
	s := &Sample{ring: r, rec: rec}
	o, err := r.m.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindRingbuf, Name: r.info.Name, Size: uint32(size), Owner: s})
	if err != nil {
		r.commit(rec, nil, 0, true)
		return nil, err
	}
	s.obj = o
	return o, nil
}

// Ring is the map that the record is in.
func (s *Sample) Ring() *RingBuf { return s.ring }

// Commit submits the record with the bytes that it has now, or discards it. The
// caller frees its object, afterwards.
func (s *Sample) Commit(flags uint64, discard bool) {
	var data []byte
	if !discard {
		data = vm.Clone(s.obj.Bytes())
	}
	s.ring.commit(s.rec, data, flags, discard)
}

// ReleaseReference discards a record that a stopped program left behind.
func (s *Sample) ReleaseReference() {
	s.Commit(ringNoWakeup, true)
	s.ring.m.Mem.Free(s.obj, vm.Site{})
}

func (r *RingBuf) commit(rec *ringRecord, data []byte, flags uint64, discard bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec.busy, rec.discard, rec.data = false, discard, data
	if flags&ringForceWakeup != 0 || r.cons == rec.pos && flags&ringNoWakeup == 0 {
		r.wakeups++
		select {
		case r.notify <- struct{}{}:
		default:
		}
	}
}

// output appends a record with the given bytes; false when there is no room.
func (r *RingBuf) output(data []byte, flags uint64) bool {
	rec := r.room(uint64(len(data)))
	if rec == nil {
		return false
	}
	r.commit(rec, vm.Clone(data), flags, false)
	return true
}

// query is bpf_ringbuf_query.
func (r *RingBuf) query(what uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch what {
	case ringAvailData:
		return r.prod - r.cons
	case ringRingSize:
		return r.size
	case ringConsPos:
		return r.cons
	case ringProdPos:
		return r.prod
	}
	return 0
}

// Next returns the oldest record that was not read yet; ok is false when there
// is none, or it is not submitted. Discarded records are passed over.
func (r *RingBuf) Next() (data []byte, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.records) > 0 && !r.records[0].busy {
		rec := r.records[0]
		r.records[0] = nil
		r.records = r.records[1:]
		r.cons = rec.pos + ringSpan(uint64(rec.size))
		if r.busy > 0 {
			r.busy--
		} else {
			r.pending = r.cons
		}
		if !rec.discard {
			return rec.data, true
		}
	}
	return nil, false
}

// Buffered is the number of bytes that records and their headers take.
func (r *RingBuf) Buffered() int { return int(r.query(ringAvailData)) }

// Wakeups is how often a waiting reader would have been woken, as the flags of
// the program's calls decide.
func (r *RingBuf) Wakeups() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wakeups
}

// Notify receives a value after each wakeup that nobody has seen yet.
func (r *RingBuf) Notify() <-chan struct{} { return r.notify }
