// Package conntrack is Linux connection tracking as a Go value: tuples, zones,
// connections, one table per network namespace, timeouts, NAT.
//
// It knows nothing of BPF and nothing of packets: it gets tuples and gives
// connections. It may use only the errno package and the standard library.
//
// Start at [Table]: [New] makes one, [Table.Alloc] a connection that nobody
// sees yet, [Conn.SetNATInfo] translates it, [Table.Insert] confirms it,
// [Table.Lookup] finds it by either of its tuples. A [Conn] that these hand
// out is a counted reference: the caller must give each back once, by
// [Conn.Release], or by [Table.Insert] where that fails.
//
// Time is jiffies on the owner's [Clock] and moves only when the owner moves
// it; randomness is a sequence that [Options].Seed fixes. Two tables share
// nothing.
//
// # Storage
//
// Connections live in slabs without Go pointers and are named by 32-bit
// handles; a generation number tells a handle that outlived its connection.
// Both tuples of a connection stand in a hash table of 64 shards, each an
// extendible table of segments of 512 slots: one that fills splits in two, so
// that no insert ever moves more than 511 slots, however large the table.
//
// A connection costs 182 bytes of heap, index and all, in a table of a million
// and 175 in one of ten million, beside which a garbage collection takes 33 ms
// (go test -run '^$' -bench Memory -benchtime 1x ./conntrack). Among 2^20 an
// insert and a random lookup take about half of what they take in the kernel
// (-bench BesideKernel, as root, prints both).
//
// So many connections need more buckets than nf_conntrack_buckets has at
// first: no chain of a bucket may have more than about eighty of their tuples.
package conntrack
