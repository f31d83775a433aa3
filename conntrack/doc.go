// Package conntrack is Linux connection tracking as a Go value: tuples, zones,
// connections, one table per network namespace, timeouts, NAT.
//
// It knows nothing of BPF and nothing of frames: it gets tuples, or the facts
// that headers state, and gives connections. It may use only the errno package
// and the standard library.
//
// Start at [Table]: [New] makes one, [Table.Alloc] a connection that nobody
// sees yet, [Conn.SetNATInfo] translates it, [Table.Insert] confirms it,
// [Table.Lookup] finds it by either of its tuples. A [Conn] that these hand
// out is a counted reference: the caller must give each back once, by
// [Conn.Release], or by [Table.Insert] where that fails.
//
// # Packets
//
// [Table.Track] takes what counts of a packet, a [Packet], and says which
// connection it belongs to, how it stands to it and, where it is INVALID, why:
// a [Reason] has a name and a sentence with the numbers that decided. A packet
// that begins a connection gets one that is confirmed by [Table.Confirm] at the
// end of the packet's way; between the two rules may decide NAT by
// [Conn.SetupNAT]. Package ctframe makes a Packet of a frame, package helper
// reads FTP and TFTP, package defrag (beside this one) puts fragments together
// beforehand.
//
// TCP, UDP, UDP-Lite, ICMP, ICMPv6, SCTP, GRE and all other protocols are
// tracked as Linux 6.18 does, each in a file of its own, the states of TCP and
// SCTP as tables. They were got by asking the kernel, and are held against it:
// the tests send the same packets to both and compare state, direction, entry,
// timeout and counters after each. All states, segments and directions agree,
// and so do 20,000 generated conversations of TCP (152,326 segments) and as
// many of SCTP (124,052 packets):
//
//	go test -run 'Kernel(TCP|SCTP)' ./conntrack -conversations 20000
//
// A segment of one of 100 known connections costs 185 ns of a core, of one of
// 100,000 about 450 ns, and no allocation; a connection that begins and ends
// 580 ns (go test -run '^$' -bench Track ./conntrack).
//
// SYN proxy and flow offload are not there, nor is DCCP, which 6.18 does not
// track.
//
// # Time and chance
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
// and 175 in one of ten million (and 112 more with the first packet of it or of
// its neighbours), beside which a garbage collection takes 33 ms
// (go test -run '^$' -bench Memory -benchtime 1x ./conntrack). Among 2^20 an
// insert and a random lookup take about half of what they take in the kernel
// (-bench BesideKernel, as root, prints both).
//
// So many connections need more buckets than nf_conntrack_buckets has at
// first: no chain of a bucket may have more than about eighty of their tuples.
package conntrack
