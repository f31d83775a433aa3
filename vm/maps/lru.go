package maps

import "sync/atomic"

// lru chooses which element an LRU hash reuses, step by step as the kernel does.
//
// Elements are on a list each: active, inactive, free, and with a list common
// to all CPUs also each CPU's own free and pending list, through which elements
// pass in batches. Lookups only set a mark. A CPU that runs out of free elements
// moves its pending ones to the common lists, marked ones to the active and
// others to the inactive list; demotes unmarked active ones when there are more
// active than inactive; promotes marked inactive ones; and takes unmarked ones
// from the old end of the inactive list. So what was looked up or updated since
// is kept longer, but not in exact order of use; and a CPU keeps a batch of free
// elements, so that a map starts to evict before it is full: programs may rely
// on neither.
//
// The owner's lock guards it but for touch, which needs only the owner's read lock.
type lru struct {
	evict      func(e uint32) bool // takes e out of the hash, false when it is not in
	perCPU     bool
	scans      int
	target     int // elements that a CPU takes at once
	next, prev []uint32
	kind       []lruKind // by element
	cpu        []uint16  // by element: whose pending list, or whose lists when perCPU
	ref        []uint32  // by element: the mark; atomic
	sets       []lruSet  // one, or one for each CPU
	local      []lruLocal
}

type lruKind uint8

const (
	lruActive lruKind = iota
	lruInactive
	lruFree
	lruLocalFree
	lruPending
)

// lruSet is the heads of the three lists, which are nodes after the elements.
type lruSet struct {
	heads    [3]uint32 // by lruKind
	count    [2]int    // active and inactive
	rotation uint32    // where the next look at the inactive list starts
}

type lruLocal struct {
	free, pending uint32
	steal         int // the CPU to steal from next
}

const (
	lruBatch       = 128
	lruBatchPerCPU = 4
)

func newLRU(n uint32, cpus int, perCPU bool, evict func(uint32) bool) *lru {
	l := &lru{evict: evict, perCPU: perCPU, scans: lruBatch, kind: make([]lruKind, n),
		cpu: make([]uint16, n), ref: make([]uint32, n),
		next: make([]uint32, n), prev: make([]uint32, n)}
	sets := 1
	if perCPU {
		sets, l.scans = cpus, lruBatchPerCPU
	}
	for range sets {
		s := lruSet{heads: [3]uint32{l.head(), l.head(), l.head()}}
		s.rotation = s.heads[lruInactive]
		l.sets = append(l.sets, s)
	}
	each := n
	if perCPU {
		each = n / uint32(cpus)
	} else {
		l.target = min(max(int(n)/cpus/2, 1), lruBatch)
		for cpu := range cpus {
			l.local = append(l.local, lruLocal{free: l.head(), pending: l.head(), steal: cpu})
		}
	}
	for e := range n {
		s := 0
		if perCPU {
			s = int(e / each)
		}
		l.cpu[e], l.kind[e] = uint16(s), lruFree
		l.add(e, l.sets[s].heads[lruFree])
	}
	return l
}

// head makes an empty list.
func (l *lru) head() uint32 {
	h := uint32(len(l.next))
	l.next, l.prev = append(l.next, h), append(l.prev, h)
	return h
}

func (l *lru) empty(head uint32) bool { return l.next[head] == head }

// add makes e the first of a list.
func (l *lru) add(e, head uint32) {
	first := l.next[head]
	l.next[e], l.prev[e] = first, head
	l.prev[first], l.next[head] = e, e
}

func (l *lru) del(e uint32) {
	l.next[l.prev[e]], l.prev[l.next[e]] = l.next[e], l.prev[e]
}

func (l *lru) marked(e uint32) bool { return atomic.LoadUint32(&l.ref[e]) != 0 }

// touch marks e as used.
func (l *lru) touch(e uint32) {
	if !l.marked(e) {
		atomic.StoreUint32(&l.ref[e], 1)
	}
}

func (l *lru) unmark(e uint32) { atomic.StoreUint32(&l.ref[e], 0) }

// move takes e, which is on one of the lists of s, to the front of the list of
// the given kind, and its mark away.
func (l *lru) move(s *lruSet, e uint32, kind lruKind) {
	l.leave(s, e)
	l.enter(s, e, kind)
}

func (l *lru) leave(s *lruSet, e uint32) {
	if k := l.kind[e]; k < lruFree {
		s.count[k]--
	}
	if s.rotation == e {
		s.rotation = l.prev[e]
	}
	l.del(e)
}

func (l *lru) enter(s *lruSet, e uint32, kind lruKind) {
	if kind < lruFree {
		s.count[kind]++
	}
	l.kind[e] = kind
	l.unmark(e)
	l.add(e, s.heads[kind])
}

// moveFree takes e from a list of s to a free list, and leaves its mark.
func (l *lru) moveFree(s *lruSet, e, head uint32, kind lruKind) {
	l.leave(s, e)
	l.kind[e] = kind
	l.add(e, head)
}

func (l *lru) rotate(s *lruSet) {
	if s.count[lruInactive] < s.count[lruActive] {
		l.rotateActive(s)
	}
	l.rotateInactive(s)
}

// rotateActive gives marked elements at the old end another round and demotes
// the others.
func (l *lru) rotateActive(s *lruSet) {
	head := s.heads[lruActive]
	newest := l.next[head]
	e := l.prev[head]
	for i := 1; e != head; i++ {
		older := l.prev[e]
		kind := lruInactive
		if l.marked(e) {
			kind = lruActive
		}
		l.move(s, e, kind)
		if i == l.scans || e == newest {
			return
		}
		e = older
	}
}

// rotateInactive promotes marked elements, from where the last call ended.
func (l *lru) rotateInactive(s *lruSet) {
	head := s.heads[lruInactive]
	if l.empty(head) {
		return
	}
	last := l.next[s.rotation]
	if last == head {
		last = l.next[last]
	}
	next := head
	for e, i := s.rotation, 0; i < l.scans; {
		if e == head {
			e = l.prev[e]
			continue
		}
		next = l.prev[e]
		if l.marked(e) {
			l.move(s, e, lruActive)
		}
		if e == last {
			break
		}
		e = next
		i++
	}
	s.rotation = next
}

// shrink evicts up to n elements to a free list: unmarked inactive ones, or when
// there are none one that is in use.
func (l *lru) shrink(s *lruSet, n int, free uint32, kind lruKind) {
	head := s.heads[lruInactive]
	done := 0
	for e, i := l.prev[head], 1; e != head; i++ {
		newer := l.prev[e]
		if l.marked(e) {
			l.move(s, e, lruActive)
		} else if l.evict(e) {
			l.moveFree(s, e, free, kind)
			if done++; done == n {
				break
			}
		}
		if i == l.scans {
			break
		}
		e = newer
	}
	if done != 0 {
		return
	}
	if l.empty(head) {
		head = s.heads[lruActive]
	}
	for e := l.prev[head]; e != head; e = l.prev[e] {
		if l.evict(e) {
			l.moveFree(s, e, free, kind)
			return
		}
	}
}

// pop returns an element that is in no hash bucket, for a CPU.
func (l *lru) pop(cpu int) (e uint32, ok bool) {
	if l.perCPU {
		return l.popPerCPU(cpu)
	}
	own := &l.local[cpu]
	e, ok = l.popLocal(own)
	if !ok {
		l.refill(own)
		e, ok = l.popLocal(own)
	}
	if !ok {
		e, ok = l.steal(own)
	}
	if ok {
		l.kind[e], l.cpu[e] = lruPending, uint16(cpu)
		l.unmark(e)
		l.add(e, own.pending)
	}
	return e, ok
}

func (l *lru) popPerCPU(cpu int) (uint32, bool) {
	s := &l.sets[cpu]
	l.rotate(s)
	free := s.heads[lruFree]
	if l.empty(free) {
		l.shrink(s, lruBatchPerCPU, free, lruFree)
	}
	if l.empty(free) {
		return 0, false
	}
	e := l.next[free]
	l.move(s, e, lruInactive)
	return e, true
}

func (l *lru) popLocal(own *lruLocal) (uint32, bool) {
	e := l.next[own.free]
	if e == own.free {
		return 0, false
	}
	l.del(e)
	return e, true
}

// refill moves a CPU's pending elements to the common lists and a batch of free
// ones to the CPU.
func (l *lru) refill(own *lruLocal) {
	s := &l.sets[0]
	for e := l.prev[own.pending]; e != own.pending; {
		newer := l.prev[e]
		kind := lruInactive
		if l.marked(e) {
			kind = lruActive
		}
		l.del(e)
		l.enter(s, e, kind)
		e = newer
	}
	l.rotate(s)
	n := 0
	for e := l.next[s.heads[lruFree]]; e != s.heads[lruFree] && n < l.target; n++ {
		next := l.next[e]
		l.moveFree(s, e, own.free, lruLocalFree)
		e = next
	}
	if n < l.target {
		l.shrink(s, l.target-n, own.free, lruLocalFree)
	}
}

// steal takes an element from some CPU's own lists.
func (l *lru) steal(own *lruLocal) (e uint32, ok bool) {
	cpu := own.steal
	for {
		victim := &l.local[cpu]
		if e, ok = l.popLocal(victim); !ok {
			e, ok = l.popPending(victim)
		}
		cpu = (cpu + 1) % len(l.local)
		if ok || cpu == own.steal {
			own.steal = cpu
			return e, ok
		}
	}
}

// popPending evicts the oldest pending element, marked ones last.
func (l *lru) popPending(of *lruLocal) (uint32, bool) {
	for _, force := range []bool{false, true} {
		for e := l.prev[of.pending]; e != of.pending; e = l.prev[e] {
			if (force || !l.marked(e)) && l.evict(e) {
				l.del(e)
				return e, true
			}
		}
	}
	return 0, false
}

// pushFree gives back an element that is in no hash bucket any more.
func (l *lru) pushFree(e uint32) {
	switch {
	case l.perCPU:
		l.move(&l.sets[l.cpu[e]], e, lruFree)
	case l.kind[e] == lruPending:
		l.del(e)
		l.kind[e] = lruLocalFree
		l.unmark(e)
		l.add(e, l.local[l.cpu[e]].free)
	default:
		l.move(&l.sets[0], e, lruFree)
	}
}
