package conntrack

import "sync/atomic"

// chains counts how many slots fall in each of nf_conntrack_buckets buckets.
// The index has no such chains; the count is there because Linux refuses a
// connection whose chain is too long.
type chains struct {
	// set is read under the lock of any shard and replaced under all of them.
	set atomic.Pointer[chainSet]
}

type chainSet struct {
	n     uint32
	pages []atomic.Pointer[chainPage] // made when first needed
}

const chainPageSize = 1024

type chainPage [chainPageSize]atomic.Uint32

func newChainSet(n uint32) *chainSet {
	return &chainSet{n: n, pages: make([]atomic.Pointer[chainPage], (n+chainPageSize-1)/chainPageSize)}
}

func (c *chains) reset(n uint32) { c.set.Store(newChainSet(n)) }

// buckets is how many there are.
func (c *chains) buckets() uint32 { return c.set.Load().n }

// length is of the chain that hash falls in.
func (c *chains) length(hash uint64) uint32 {
	s := c.set.Load()
	b := bucketOf(hash, s.n)
	p := s.pages[b/chainPageSize].Load()
	if p == nil {
		return 0
	}
	return p[b%chainPageSize].Load()
}

func (c *chains) add(hash uint64, n int) { c.set.Load().add(bucketOf(hash, c.buckets()), n) }

func (s *chainSet) add(b uint32, n int) {
	at := &s.pages[b/chainPageSize]
	p := at.Load()
	if p == nil {
		p = new(chainPage)
		if !at.CompareAndSwap(nil, p) {
			p = at.Load()
		}
	}
	p[b%chainPageSize].Add(uint32(n))
}

// bucketUnit is how many buckets fit in a page: Linux makes no smaller steps.
const bucketUnit = 4096 / 8

func roundBuckets(n uint32) uint32 {
	const most = 1 << 31
	if n >= most-bucketUnit {
		return most
	}
	return (max(n, 1) + bucketUnit - 1) / bucketUnit * bucketUnit
}

// resize counts all anew for n buckets. Everything waits for it, as in Linux.
func (t *Table) resize(n uint32) {
	s := newChainSet(roundBuckets(n))
	for i := range t.index {
		t.index[i].mu.Lock()
	}
	for i := range t.index {
		t.index[i].slotsBetween(0, ^uint32(0), func(v slot) {
			s.add(bucketOf(uint64(topOf(i, v.tag()))<<32, s.n), 1)
		})
	}
	t.chains.set.Store(s)
	for i := range t.index {
		t.index[i].mu.Unlock()
	}
}
