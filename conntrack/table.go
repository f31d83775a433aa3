package conntrack

import (
	"sync"
	"sync/atomic"

	"github.com/bpfct/bpfct/internal/errno"
)

// Options say what a [Table] is to be. The zero value is a table of the
// default size whose clock stands at 0.
type Options struct {
	// Clock is the owner's; nil is one that stands at jiffy 0.
	Clock Clock
	// HZ is jiffies a second, 250 where it is 0.
	HZ int
	// Seed fixes the hash key and the sequence of random ports.
	Seed uint64
	// Rand, where set, is the source of the random numbers that a search for a
	// free port begins with, in place of a sequence that Seed starts. It must
	// bear to be called by many goroutines at once.
	Rand func() uint16
	// NetID names the network namespace in snapshots. Any number will do.
	NetID uint64
	// Max is nf_conntrack_max and Buckets nf_conntrack_buckets; 0 is 262144.
	Max, Buckets uint32
}

const (
	defaultHZ      = 250
	defaultBuckets = 262144
	// defaultTimeout is how long a connection lasts for which nobody says it.
	defaultTimeout = 10 // seconds
)

// Table is the connections of one network namespace. Many goroutines may use
// it at once.
//
// Locks: each shard's mutex guards that part of the index; a connection stands
// in two shards, which Insert and Delete lock together, the lower first, so
// that it is found by both tuples or by neither. The mutex of a source shard
// is taken with no other held. No lock is held while a subscriber is called.
type Table struct {
	clock Clock        // immutable
	hz    int          // immutable
	netID uint64       // immutable
	key   hasher       // immutable
	rand  randSource   // immutable; atomic inside
	slab  slab         // has its own lock
	count atomic.Int32 // connections that exist, confirmed or not
	full  atomic.Bool  // the last early drop found nothing

	index  [shards]shard // by tuple, two slots a connection
	source [shards]shard // by source, a slot for all of one source: the newest

	expects  expectations                  // has its own lock
	helpers  attachments                   // has its own lock
	seqAdj   seqAdjs                       // has its own lock
	chains   chains                        // atomic
	sysctls  sysctls                       // atomic
	stats    counters                      // atomic
	gcNext   atomic.Uint32                 // where the next bounded GC begins
	subs     atomic.Pointer[[]*subscriber] // replaced, never changed
	subsLock sync.Mutex                    // guards who may replace subs
}

// New makes an empty table.
func New(o Options) *Table {
	t := &Table{clock: o.Clock, hz: o.HZ, netID: o.NetID, key: newHasher(o.Seed), rand: newRandom(o.Seed)}
	if o.Rand != nil {
		t.rand = givenRandom{t.rand, o.Rand}
	}
	if t.clock == nil {
		t.clock = stopped{}
	}
	if t.hz <= 0 {
		t.hz = defaultHZ
	}
	if o.Buckets == 0 {
		o.Buckets = defaultBuckets
	}
	if o.Max == 0 {
		o.Max = defaultBuckets
	}
	t.sysctls.init(o.Max, roundBuckets(o.Buckets))
	t.chains.reset(roundBuckets(o.Buckets))
	return t
}

// HZ is jiffies a second.
func (t *Table) HZ() int { return t.hz }

// NetID is the name that [Options] gave the namespace.
func (t *Table) NetID() uint64 { return t.netID }

// Count is nf_conntrack_count: the connections that exist, also those not
// confirmed yet and those only held by a reference.
func (t *Table) Count() int { return int(t.count.Load()) }

// Alloc makes a connection whose first packet has the tuple orig, in zone. It
// is not in the table: nobody finds it until [Table.Insert]. Its timeout is 10
// seconds, its reply tuple orig inverted.
//
// ENOMEM where nf_conntrack_max is reached and nothing could be dropped,
// EINVAL where orig has no inverse.
func (t *Table) Alloc(orig Tuple, zone Zone) (Conn, error) {
	reply, ok := orig.Invert()
	if !ok {
		return Conn{}, errno.EINVAL
	}
	c, err := t.alloc(&orig, &reply, zone, 0)
	if err != nil {
		return c, err
	}
	c.e.timeout.Store(uint32(defaultTimeout * t.hz))
	return c, nil
}

// alloc makes a connection without a timeout. A full table drops something
// about the bucket of dropHash.
func (t *Table) alloc(orig, reply *Tuple, zone Zone, dropHash uint64) (Conn, error) {
	if n, limit := t.count.Add(1), t.sysctls.max(); limit != 0 && uint32(n) > limit && !t.earlyDrop(uint32(dropHash>>32)) {
		t.full.Store(true)
		t.count.Add(-1)
		return Conn{}, errno.ENOMEM
	}
	h := t.takeEntry(shardOf(t.key.tuple(orig, zone.IDFor(Original))))
	if h == 0 {
		t.count.Add(-1)
		return Conn{}, errno.ENOMEM
	}
	e := t.slab.at(h)
	e.status.Store(0)
	e.orig, e.reply = *orig, *reply
	e.zone = zone
	e.timeout.Store(0)
	e.mark.Store(0)
	e.link, e.back = 0, 0
	e.labels[0].Store(0)
	e.labels[1].Store(0)
	t.slab.coldAt(h).reset()
	if x := t.slab.trackIfAny(h); x != nil {
		x.reset()
	}
	e.use.Store(1)
	return Conn{t: t, e: e, h: h, gen: e.gen.Load()}, nil
}

// takeEntry gives an entry that nobody has, or 0.
func (t *Table) takeEntry(shard int) handle {
	s := &t.index[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.free; h != 0 {
		s.free = t.slab.at(h).link
		return h
	}
	if s.fresh == s.freshEnd {
		s.fresh, s.freshEnd = t.slab.take()
		if s.fresh == s.freshEnd {
			return 0
		}
	}
	s.fresh++
	return s.fresh - 1
}

// free takes back an entry whose last reference went.
func (t *Table) free(h handle, e *entry) {
	if Status(e.status.Load())&IPSSrcNATDone != 0 {
		t.forgetSource(h, e)
	}
	if Status(e.status.Load())&IPSSeqAdjust != 0 {
		t.forgetSeqAdj(h)
	}
	t.detach(h)
	c := t.slab.coldAt(h)
	master := Conn{t: t, h: c.master, gen: c.masterGen}
	s := &t.index[shardOf(t.key.tuple(&e.orig, e.zone.IDFor(Original)))]
	e.gen.Add(1)
	s.mu.Lock()
	e.link = s.free
	s.free = h
	s.mu.Unlock()
	t.count.Add(-1)
	if master.h != 0 {
		master.e = t.slab.at(master.h)
		master.put()
	}
}

// place is where a tuple stands in the index.
type place struct {
	shard int
	tag   uint32
	hash  uint64
}

func (t *Table) placeOf(tuple *Tuple, zone uint16) place {
	h := t.key.tuple(tuple, zone)
	return place{shardOf(h), tagOf(h), h}
}

// places are those of both tuples of e.
func (t *Table) places(e *entry) (p [2]place) {
	for d := range Reply + 1 {
		p[d] = t.placeOf(e.tuple(d), e.zone.IDFor(d))
	}
	return p
}

// lockBoth locks the shards of both places in the order that all keep.
func (t *Table) lockBoth(p *[2]place) {
	a, b := p[0].shard, p[1].shard
	if a > b {
		a, b = b, a
	}
	t.index[a].mu.Lock()
	if a != b {
		t.index[b].mu.Lock()
	}
}

func (t *Table) unlockBoth(p *[2]place) {
	t.index[p[0].shard].mu.Unlock()
	if p[0].shard != p[1].shard {
		t.index[p[1].shard].mu.Unlock()
	}
}
