package conntrack

import "sync/atomic"

// Stats are the columns of /proc/net/stat/nf_conntrack, over all CPUs.
type Stats struct {
	Entries       uint32 // nf_conntrack_count
	Found         uint32 // a NAT search met a tuple that is taken
	Invalid       uint32
	Insert        uint32 // Insert put one in
	InsertFailed  uint32
	Drop          uint32
	EarlyDrop     uint32 // dropped to make room in a full table
	Error         uint32 // ICMP messages that are wrong, or about nothing that is known
	SearchRestart uint32
	ClashResolve  uint32
	ChainTooLong  uint32 // Insert met a full bucket
}

const (
	statFound = iota
	statInsert
	statEarlyDrop
	statChainTooLong
	statInvalid
	statInsertFailed
	statDrop
	statClashResolve
	statError
	statCount
)

type counters [statCount]atomic.Uint32

func (c *counters) add(which, n int) { c[which].Add(uint32(n)) }

// Stats reads the counters. Some are moved only by packets: a refused Insert is
// no InsertFailed and a Lookup no Found, in Linux neither.
func (t *Table) Stats() Stats {
	return Stats{
		Entries:      uint32(t.Count()),
		Found:        t.stats[statFound].Load(),
		Insert:       t.stats[statInsert].Load(),
		EarlyDrop:    t.stats[statEarlyDrop].Load(),
		ChainTooLong: t.stats[statChainTooLong].Load(),
		Invalid:      t.stats[statInvalid].Load(),
		InsertFailed: t.stats[statInsertFailed].Load(),
		Drop:         t.stats[statDrop].Load(),
		Error:        t.stats[statError].Load(),
		ClashResolve: t.stats[statClashResolve].Load(),
	}
}
