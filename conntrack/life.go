package conntrack

import "github.com/bpfct/bpfct/internal/errno"

// A chain of a bucket may have between minChain+2 and minChain+maxMore+1
// connections; where exactly it ends is drawn at each insert, so that nobody
// learns from a refusal what falls in the same bucket.
const (
	minChain = 50
	maxMore  = 30
)

// Insert confirms c: from now on both its tuples are found, its timeout runs,
// and the table holds a reference beside the caller's.
//
// Where it is refused c is gone, the caller's reference with it: EEXIST where a
// connection in the table has one of its tuples (also one that has expired and
// was not collected yet), ENOSPC where a bucket is full. EINVAL, and nothing
// happens, where c is no connection of this table that waits for Insert.
func (t *Table) Insert(c Conn) error {
	if c.t != t || !c.Valid() {
		return errno.EINVAL
	}
	if _, err := t.insert(c.h, c.e, nil); err != nil {
		if err != errno.EINVAL {
			c.put()
		}
		return err
	}
	t.stats.add(statInsert, 1)
	t.publish(EventNew, ChangedNew, c)
	return nil
}

// insert confirms e. Where something has one of its tuples and i, what is known
// of the packet, is given, the two may become one: merged says so, and i has
// the other then.
func (t *Table) insert(h handle, e *entry, i *Info) (merged bool, err error) {
	p := t.places(e)
	limit := minChain + t.rand.below(maxMore)
	t.lockBoth(&p)
	defer t.unlockBoth(&p)
	if Status(e.status.Load())&IPSConfirmed != 0 {
		return false, errno.EINVAL
	}
	for d := range Reply + 1 {
		if o, ok := t.clash(&p[d], e, d); ok {
			if i != nil && t.resolveClash(i, o, &p) {
				return true, nil
			}
			return false, errno.EEXIST
		}
		if t.chains.length(p[d].hash) > limit+1 {
			t.stats.add(statChainTooLong, 1)
			return false, errno.ENOSPC
		}
	}
	if !t.index[p[0].shard].add(makeSlot(p[0].tag, h, Original)) {
		return false, errno.ENOSPC
	}
	if !t.index[p[1].shard].add(makeSlot(p[1].tag, h, Reply)) {
		t.index[p[0].shard].remove(p[0].tag, h, Original)
		return false, errno.ENOSPC
	}
	t.chains.add(p[0].hash, 1)
	t.chains.add(p[1].hash, 1)
	e.timeout.Add(t.now())
	t.stampStart(h)
	e.use.Add(1)
	e.status.Or(uint32(IPSConfirmed))
	return false, nil
}

// clash gives what in the bucket of p keeps e out. A tuple is
// compared with both tuples of the others; zones by the direction of the
// other's tuple, while the bucket is that of e's own direction d.
func (t *Table) clash(p *place, e *entry, d Dir) (slot, bool) {
	id := e.zone.IDFor(d)
	for c := t.index[p.shard].seek(p.tag); ; {
		s, ok := c.next()
		if !ok {
			return 0, false
		}
		o, od := t.slab.at(s.handle()), s.dir()
		if oid := o.zone.IDFor(od); oid == id && oid == e.zone.IDFor(od) && *o.tuple(od) == *e.tuple(d) {
			return s, true
		}
	}
}

// Lookup finds the connection that a packet with this tuple belongs to in
// zone, and which of its directions that is. The caller gets a reference.
// ENOENT where there is none. A connection that has expired is not found; that
// it was met ends it.
func (t *Table) Lookup(tuple Tuple, zone Zone) (Conn, Dir, error) {
	id := zone.IDFor(Original)
	c, d, ok := t.find(&tuple, zone, id)
	if rid := zone.IDFor(Reply); !ok && rid != id {
		c, d, ok = t.find(&tuple, zone, rid)
	}
	if !ok {
		return Conn{}, 0, errno.ENOENT
	}
	return c, d, nil
}

// find looks in the bucket of tuple and zone id.
func (t *Table) find(tuple *Tuple, zone Zone, id uint16) (Conn, Dir, bool) {
	p := t.placeOf(tuple, id)
	return t.findAt(&p, tuple, zone, id)
}

// findAt is find where the place of tuple is known.
func (t *Table) findAt(p *place, tuple *Tuple, zone Zone, id uint16) (Conn, Dir, bool) {
	return t.searchAt(p, tuple, id, func(e *entry, d Dir) bool { return zone.IDFor(d) == id })
}

// search gives the newest connection that has tuple under id, has not expired
// and suits, with a reference. Those that expired it ends.
func (t *Table) search(tuple *Tuple, id uint16, suits func(*entry, Dir) bool) (Conn, Dir, bool) {
	p := t.placeOf(tuple, id)
	return t.searchAt(&p, tuple, id, suits)
}

func (t *Table) searchAt(p *place, tuple *Tuple, id uint16, suits func(*entry, Dir) bool) (Conn, Dir, bool) {
	s := &t.index[p.shard]
	now := t.now()
again:
	s.mu.Lock()
	for c := s.seek(p.tag); ; {
		v, ok := c.next()
		if !ok {
			break
		}
		h, d := v.handle(), v.dir()
		e := t.slab.at(h)
		if *e.tuple(d) != *tuple || e.zone.IDFor(d) != id {
			continue
		}
		dead := expired(e.timeout.Load(), now)
		if !dead && !suits(e, d) {
			continue
		}
		// What stands in the index has the table's reference at least.
		e.use.Add(1)
		s.mu.Unlock()
		conn := Conn{t: t, e: e, h: h, gen: e.gen.Load()}
		if !dead {
			return conn, d, true
		}
		t.unlink(conn)
		conn.put()
		goto again
	}
	s.mu.Unlock()
	return Conn{}, 0, false
}

// unlink takes c out of the table and drops the table's reference. It is false
// where c was not in it.
func (t *Table) unlink(c Conn) bool {
	e := c.e
	p := t.places(e)
	t.lockBoth(&p)
	if s := Status(e.status.Load()); s&IPSDying != 0 || s&IPSConfirmed == 0 {
		t.unlockBoth(&p)
		return false
	}
	e.status.Or(uint32(IPSDying))
	for d := range Reply + 1 {
		if t.index[p[d].shard].remove(p[d].tag, c.h, d) { // what lost a clash has its reply only
			t.chains.add(p[d].hash, -1)
		}
	}
	t.unlockBoth(&p)
	t.stampStop(c.h)
	t.unexpect(c)
	t.publish(EventDestroy, ChangedDestroy, c)
	c.put()
	return true
}

// evictionRange is how many buckets are searched for something to drop.
const evictionRange = 8

// earlyDrop makes room in a full table: of the first bucket from that of hash
// on, among eight, that has connections which are not assured, all those go.
func (t *Table) earlyDrop(hash uint32) bool {
	n := t.chains.buckets()
	bucket := uint32(uint64(hash) * uint64(n) >> 32)
	for range min(evictionRange, n) {
		if dropped := t.dropBucket(bucket, n); dropped > 0 {
			t.stats.add(statEarlyDrop, dropped)
			return true
		}
		bucket = (bucket + 1) % n
	}
	return false
}

func (t *Table) dropBucket(bucket, n uint32) (dropped int) {
	// The hashes h with h*n>>32 == bucket.
	first := uint32((uint64(bucket)<<32 + uint64(n) - 1) / uint64(n))
	last := uint32((uint64(bucket+1)<<32+uint64(n)-1)/uint64(n) - 1)
	now := t.now()
	for i := int(first >> (32 - shardBits)); i <= int(last>>(32-shardBits)); i++ {
		lo, hi := uint32(0), ^uint32(0)
		if i == int(first>>(32-shardBits)) {
			lo = first << shardBits
		}
		if i == int(last>>(32-shardBits)) {
			hi = last<<shardBits | 1<<shardBits - 1
		}
		var met []Conn
		s := &t.index[i]
		s.mu.Lock()
		s.slotsBetween(lo, hi, func(v slot) {
			e := t.slab.at(v.handle())
			e.use.Add(1)
			met = append(met, Conn{t: t, e: e, h: v.handle(), gen: e.gen.Load()})
		})
		s.mu.Unlock()
		for _, c := range met {
			dead := expired(c.e.timeout.Load(), now)
			if dead || Status(c.e.status.Load())&IPSAssured == 0 {
				if t.unlink(c) && !dead {
					dropped++
				}
			}
			c.put()
		}
	}
	return dropped
}

// GC ends connections that have expired, looking at no more than budget of
// them (all where it is 0) from where the last call stopped, and says how many
// it ended. Linux does this from a worker; here the owner of the clock calls it.
// After a packet found the table full, connections that are closing go too.
func (t *Table) GC(budget int) int {
	end := t.slab.end()
	if end <= 1 {
		return 0
	}
	if budget <= 0 || budget > int(end) {
		budget = int(end)
	}
	ended, now := 0, t.now()
	early := t.full.Swap(false) && uint32(t.Count()) > t.sysctls.max()/100*95
	h := handle(t.gcNext.Load())
	for range budget {
		if h == 0 || h >= end {
			h = 1
		}
		e := t.slab.at(h)
		if s := Status(e.status.Load()); s&(IPSConfirmed|IPSDying) == IPSConfirmed && (expired(e.timeout.Load(), now) || early && t.closing(h, e)) {
			if c, ok := t.hold(h, e); ok {
				if (expired(e.timeout.Load(), now) || early) && t.unlink(c) {
					ended++
				}
				c.put()
			}
		}
		h++
	}
	t.gcNext.Store(uint32(h))
	return ended
}

// hold takes a reference to a connection that is in the table, or was when
// it looked. h may have been freed or given to another meanwhile.
func (t *Table) hold(h handle, e *entry) (Conn, bool) {
	for {
		n := e.use.Load()
		if n <= 0 {
			return Conn{}, false
		}
		if e.use.CompareAndSwap(n, n+1) {
			break
		}
	}
	c := Conn{t: t, e: e, h: h, gen: e.gen.Load()}
	if Status(e.status.Load())&(IPSConfirmed|IPSDying) != IPSConfirmed {
		c.put()
		return Conn{}, false
	}
	return c, true
}
