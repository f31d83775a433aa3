package conntrack

import "sync"

// A slot of a hash table: the tag of a hash, and a handle with a direction.
//
//	| tag 32 | handle 31 | dir 1 |
//
// No handle is 0, so 0 is the empty slot.
type slot uint64

func makeSlot(tag uint32, h handle, d Dir) slot {
	return slot(tag)<<32 | slot(h)<<1 | slot(d)
}

func (s slot) tag() uint32    { return uint32(s >> 32) }
func (s slot) handle() handle { return handle(uint32(s) >> 1) }
func (s slot) dir() Dir       { return Dir(s & 1) }

const (
	minSegment = 8   // words of the first segment of a shard
	maxSegment = 512 // words of a segment that splits instead of growing
	// maxDepth bounds the splitting. Tags are 32 bits of a keyed hash, so that
	// more than 400 equal leading 20 bits do not happen by chance.
	maxDepth = 20
)

// A segment is a small open-addressing table with linear probing. Its last
// word is not a slot: it holds the number of slots in use and the depth. Slots
// with equal tags stand newest first, as in a chain that grows at its head.
type segment []slot

func (g segment) slots() int      { return len(g) - 1 }
func (g segment) used() int       { return int(uint32(g[len(g)-1])) }
func (g segment) depth() uint     { return uint(g[len(g)-1] >> 32) }
func (g segment) addUsed(n int)   { g[len(g)-1] = slot(int(g[len(g)-1]) + n) }
func (g segment) setDepth(d uint) { g[len(g)-1] = slot(d)<<32 | slot(g.used()) }

// home is where the search for tag begins.
func (g segment) home(tag uint32) int { return int(tag&0xffff) * g.slots() >> 16 }

func (g segment) next(i int) int {
	if i++; i == g.slots() {
		return 0
	}
	return i
}

// push adds s before every slot with the same tag.
func (g segment) push(s slot) {
	i := g.home(s.tag())
	for g[i] != 0 {
		if g[i].tag() == s.tag() {
			g[i], s = s, g[i]
		}
		i = g.next(i)
	}
	g[i] = s
	g.addUsed(1)
}

// append adds s after every slot with the same tag.
func (g segment) append(s slot) {
	i := g.home(s.tag())
	for g[i] != 0 {
		i = g.next(i)
	}
	g[i] = s
	g.addUsed(1)
}

// removeAt empties slot i and moves up what was pushed past it.
func (g segment) removeAt(i int) {
	n := g.slots()
	for j := g.next(i); g[j] != 0; j = g.next(j) {
		// g[j] may move to i unless its home lies cyclically in (i, j].
		if d := j - g.home(g[j].tag()); (d+n)%n >= (j-i+n)%n {
			g[i] = g[j]
			i = j
		}
	}
	g[i] = 0
	g.addUsed(-1)
}

// each calls f for every slot, in an order that keeps equal tags in theirs.
func (g segment) each(f func(slot)) {
	start := 0
	for g[start] != 0 {
		start++ // there is always an empty slot
	}
	for i := g.next(start); i != start; i = g.next(i) {
		if g[i] != 0 {
			f(g[i])
		}
	}
}

// A shard is one part of an index with the lock that guards it: whoever reads
// or writes dir, depth or a slot of a segment holds mu.
type shard struct {
	mu sync.Mutex
	// dir has 1<<depth segments; the top bits of a tag choose. Segments of
	// less depth stand in it several times. It is nil while nothing was added.
	dir   []segment
	depth uint

	// free is the head of the list of free entries of this shard, linked
	// through entry.link; fresh and freshEnd are handles never used so far.
	free            handle
	fresh, freshEnd handle

	_ [64]byte // shards of different CPUs share no cache line
}

func (s *shard) segment(tag uint32) segment {
	return s.dir[tag>>1>>(31-s.depth)] // two shifts: depth 0 shifts all out
}

// A cursor walks the slots with one tag, newest first.
type cursor struct {
	g   segment
	tag uint32
	i   int // the next slot to look at
	at  int // the slot that next returned last
}

// seek begins a walk. The shard must stay locked until it ends.
func (s *shard) seek(tag uint32) cursor {
	if s.dir == nil {
		return cursor{}
	}
	g := s.segment(tag)
	return cursor{g: g, tag: tag, i: g.home(tag)}
}

func (c *cursor) next() (slot, bool) {
	if c.g == nil {
		return 0, false
	}
	for {
		s := c.g[c.i]
		if s == 0 {
			return 0, false
		}
		c.at = c.i
		c.i = c.g.next(c.i)
		if s.tag() == c.tag {
			return s, true
		}
	}
}

// add puts s in front of its equals. It is false where the shard cannot hold
// it, which only a hash without its key's secrecy could bring about.
func (s *shard) add(v slot) bool {
	if s.dir == nil {
		s.dir = []segment{make(segment, minSegment)}
	}
	g := s.segment(v.tag())
	for (g.used()+1)*4 > g.slots()*3 {
		switch {
		case len(g) < maxSegment:
			s.grow(g, v.tag())
		case g.depth() < maxDepth:
			s.split(g, v.tag())
		case g.used()+1 < g.slots():
			g.push(v) // slow from here on, but right
			return true
		default:
			return false
		}
		g = s.segment(v.tag())
	}
	g.push(v)
	return true
}

// grow replaces a small segment by one of twice its size. Only the first
// segment of a shard is small, so it stands in dir once.
func (s *shard) grow(g segment, tag uint32) {
	big := make(segment, 2*len(g))
	big.setDepth(g.depth())
	g.each(func(v slot) { big.append(v) })
	s.dir[tag>>1>>(31-s.depth)] = big
}

// split shares a full segment out to two by the next bit of the tags.
func (s *shard) split(g segment, tag uint32) {
	d := g.depth()
	if d == s.depth {
		dir := make([]segment, 2*len(s.dir))
		for i, g := range s.dir {
			dir[2*i], dir[2*i+1] = g, g
		}
		s.dir, s.depth = dir, s.depth+1
	}
	var half [2]segment
	for i := range half {
		half[i] = make(segment, maxSegment)
		half[i].setDepth(d + 1)
	}
	g.each(func(v slot) { half[v.tag()>>(31-d)&1].append(v) })

	// The places of dir that g had: all that begin with its d bits.
	span := 1 << (s.depth - d)
	first := int(tag>>1>>(31-s.depth)) &^ (span - 1)
	for i := range span {
		s.dir[first+i] = half[i*2/span]
	}
}

// remove takes out the slot of tag with handle h and direction d.
func (s *shard) remove(tag uint32, h handle, d Dir) bool {
	want := makeSlot(tag, h, d)
	for c := s.seek(tag); ; {
		v, ok := c.next()
		if !ok {
			return false
		}
		if v == want {
			c.g.removeAt(c.at)
			return true
		}
	}
}

// slotsBetween calls f for each slot whose tag lies in [lo, hi].
func (s *shard) slotsBetween(lo, hi uint32, f func(slot)) {
	if s.dir == nil {
		return
	}
	last := int(hi >> 1 >> (31 - s.depth))
	for i := int(lo >> 1 >> (31 - s.depth)); i <= last; {
		g := s.dir[i]
		g.each(func(v slot) {
			if v.tag() >= lo && v.tag() <= hi {
				f(v)
			}
		})
		span := 1 << (s.depth - g.depth())
		i = i&^(span-1) + span
	}
}
