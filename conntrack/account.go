package conntrack

import "sync/atomic"

// counts is what sysctls add to a connection: packets and bytes of each
// direction, and when it began and ended.
type counts struct {
	packets, bytes [2]atomic.Uint64
	start, stop    atomic.Uint64 // jiffies, one more than that; 0 is none
}

// What a connection has of counts: what the sysctls said when it began.
const (
	hasCounters = 1 << iota
	hasStamps
)

// Counter is what went in one direction.
type Counter struct {
	Packets, Bytes uint64
}

// account adds a packet of n bytes.
func (t *Table) account(c Conn, d Dir, n uint32) {
	if x := t.slab.trackIfAny(c.h); x == nil || x.extras&hasCounters == 0 {
		return
	}
	k := t.slab.countsOf(c.h)
	k.packets[d].Add(1)
	k.bytes[d].Add(uint64(n))
}

// mergeCounts adds what lost a clash to the winner.
func (t *Table) mergeCounts(to, from Conn, d Dir) {
	x, y := t.slab.trackIfAny(to.h), t.slab.trackIfAny(from.h)
	if x == nil || y == nil || x.extras&y.extras&hasCounters == 0 {
		return
	}
	a, b := t.slab.countsOf(to.h), t.slab.countsOf(from.h)
	a.packets[d].Add(1)
	a.bytes[d].Add(b.bytes[d].Load())
}

func (t *Table) stampStart(h handle) {
	if x := t.slab.trackIfAny(h); x != nil && x.extras&hasStamps != 0 {
		t.slab.countsOf(h).start.Store(t.clock.Jiffies() + 1)
	}
}

func (t *Table) stampStop(h handle) {
	if x := t.slab.trackIfAny(h); x != nil && x.extras&hasStamps != 0 {
		t.slab.countsOf(h).stop.Store(t.clock.Jiffies() + 1)
	}
}

// Counters are the packets and bytes of both directions; false where
// nf_conntrack_acct was 0 when c began.
func (c Conn) Counters() (n [2]Counter, ok bool) {
	if !c.Valid() {
		return n, false
	}
	x := c.t.slab.trackIfAny(c.h)
	if x == nil || x.extras&hasCounters == 0 {
		return n, false
	}
	k := c.t.slab.countsOf(c.h)
	for d := range n {
		n[d] = Counter{k.packets[d].Load(), k.bytes[d].Load()}
	}
	return n, true
}

// Stamps are the jiffies at which c was confirmed and deleted, ended false
// while it was not; ok is false where nf_conntrack_timestamp was 0 when c
// began or c is not confirmed.
func (c Conn) Stamps() (start, stop uint64, ended, ok bool) {
	if !c.Valid() {
		return 0, 0, false, false
	}
	x := c.t.slab.trackIfAny(c.h)
	if x == nil || x.extras&hasStamps == 0 {
		return 0, 0, false, false
	}
	k := c.t.slab.countsOf(c.h)
	start, stop = k.start.Load(), k.stop.Load()
	return max(start, 1) - 1, max(stop, 1) - 1, stop != 0, start != 0
}
