package conntrack

import (
	"sync"
	"sync/atomic"
)

// handle names an entry of one table; 0 names none.
type handle uint32

const (
	chunkBits = 10 // a chunk is then 17 pages, to the byte
	chunkSize = 1 << chunkBits
	maxHandle = 1<<31 - 1 // a slot has 31 bits for it
)

// entry is what a lookup needs of a connection: two cache lines, no pointer.
//
// While use is 1 and the entry is not confirmed, its allocator owns it and
// writes every field without a lock; nobody else reads more than the atomic
// ones. Confirming publishes it: from then on tuples, zone and master do not
// change until the last reference goes.
type entry struct {
	// The first line has what a lookup of the original tuple reads.
	orig    Tuple
	zone    Zone
	use     atomic.Int32  // references; the table's own is one of them
	status  atomic.Uint32 // IPSConfirmed and IPSDying change under both tuples' shard locks
	timeout atomic.Uint32 // jiffies: a length before, a time stamp after confirming
	mark    atomic.Uint32
	gen     atomic.Uint32 // grows when the entry is freed

	reply Tuple
	// link and back chain the entries of one source, newest first, under the
	// source shard's lock; a free entry is chained by link under the lock of
	// the shard that it is free in.
	link, back handle
	labels     [2]atomic.Uint64
}

func (e *entry) tuple(d Dir) *Tuple {
	if d == Original {
		return &e.orig
	}
	return &e.reply
}

// cold is what is seldom needed of a connection, out of the way of lookups.
type cold struct {
	// master is the connection that expected this one, which this one holds a
	// reference to, or nothing. Written by the owner before it is confirmed.
	master    handle
	masterGen uint32
	secmark   atomic.Uint32
	_         uint32
}

func (c *cold) reset() {
	c.master, c.masterGen = 0, 0
	c.secmark.Store(0)
}

type chunk struct {
	hot  [chunkSize]entry
	cold [chunkSize]cold
}

// chunkRef is where the parts of a chunk are. What only packets need is made
// with the first packet that needs it.
type chunkRef struct {
	chunk  atomic.Pointer[chunk]
	tracks atomic.Pointer[[chunkSize]track]
	counts atomic.Pointer[[chunkSize]counts]
}

// slab gives out entries and keeps them where they are for ever, so that a
// stale handle or pointer always meets an entry, if another one.
type slab struct {
	// dir is replaced by one of twice the size when it is full; its elements
	// are set once. Reading needs no lock.
	dir atomic.Pointer[[]chunkRef]

	mu   sync.Mutex // guards next, and who may change dir
	next handle     // the first handle that was never given out
}

func (s *slab) at(h handle) *entry {
	return &(*s.dir.Load())[h>>chunkBits].chunk.Load().hot[h%chunkSize]
}

func (s *slab) coldAt(h handle) *cold {
	return &(*s.dir.Load())[h>>chunkBits].chunk.Load().cold[h%chunkSize]
}

// trackIfAny is what packets left of the connection, or nil.
func (s *slab) trackIfAny(h handle) *track {
	if p := (*s.dir.Load())[h>>chunkBits].tracks.Load(); p != nil {
		return &p[h%chunkSize]
	}
	return nil
}

func (s *slab) trackOf(h handle) *track {
	if x := s.trackIfAny(h); x != nil {
		return x
	}
	s.extend(h, func(r *chunkRef) {
		if r.tracks.Load() == nil {
			r.tracks.Store(new([chunkSize]track))
		}
	})
	return s.trackIfAny(h)
}

func (s *slab) countsIfAny(h handle) *counts {
	if p := (*s.dir.Load())[h>>chunkBits].counts.Load(); p != nil {
		return &p[h%chunkSize]
	}
	return nil
}

func (s *slab) countsOf(h handle) *counts {
	if x := s.countsIfAny(h); x != nil {
		return x
	}
	s.extend(h, func(r *chunkRef) {
		if r.counts.Load() == nil {
			r.counts.Store(new([chunkSize]counts))
		}
	})
	return s.countsIfAny(h)
}

// extend lets add put a part beside the chunk of h. The lock keeps dir from
// being replaced by a copy that lacks it.
func (s *slab) extend(h handle, add func(*chunkRef)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add(&(*s.dir.Load())[h>>chunkBits])
}

// end is one more than the greatest handle that was ever given out.
func (s *slab) end() handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// take gives out a batch of handles that were never used, [from, to). It is
// empty where there are no more.
func (s *slab) take() (from, to handle) {
	const batch = 16
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next > maxHandle-batch {
		return 0, 0
	}
	from = s.next
	s.next += batch
	n := int(from >> chunkBits)
	var dir []chunkRef
	if p := s.dir.Load(); p != nil {
		dir = *p
	}
	if n == len(dir) {
		bigger := make([]chunkRef, max(4, 2*len(dir)))
		for i := range dir {
			bigger[i].chunk.Store(dir[i].chunk.Load())
			bigger[i].tracks.Store(dir[i].tracks.Load())
			bigger[i].counts.Store(dir[i].counts.Load())
		}
		dir = bigger
		s.dir.Store(&dir)
	}
	if dir[n].chunk.Load() == nil {
		dir[n].chunk.Store(new(chunk))
	}
	if from == 0 {
		from++ // handle 0 names none
	}
	return from, s.next
}
