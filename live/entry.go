package live

import "net/netip"

// Tuple is one direction of a connection.
type Tuple struct {
	Src, Dst netip.Addr
	// Proto is the IP protocol number.
	Proto uint8
	// SrcPort and DstPort are of TCP, UDP and the like, in host order.
	SrcPort, DstPort uint16
	// ICMPType, ICMPCode and ICMPID are of ICMP and ICMPv6.
	ICMPType, ICMPCode uint8
	ICMPID             uint16
	// Zone is set when only this direction is in a zone (zone-orig, zone-reply).
	Zone uint16
}

// Counter is what one direction has carried, where accounting is on.
type Counter struct{ Packets, Bytes uint64 }

// TCPInfo is what conntrack keeps of a TCP connection.
type TCPInfo struct {
	// State counts as in the kernel: 0 NONE, 1 SYN_SENT and so on.
	State                   uint8
	OrigWScale, ReplyWScale uint8
	OrigFlags, ReplyFlags   uint8
}

// Entry is one connection as the kernel dumps it.
type Entry struct {
	Orig, Reply Tuple
	// Master is the tuple of the connection that expected this one; its
	// addresses are not valid where there is none.
	Master Tuple
	// Zone is set when both directions are in it.
	Zone uint16
	// Status has the IPS_ bits.
	Status uint32
	// Timeout is what is left in seconds, rounded down; 0 also for an
	// offloaded entry, of which the kernel does not tell it.
	Timeout uint32
	Mark    uint32
	ID      uint32
	// Use is the reference count, 1 for one that only the table holds.
	Use        uint32
	OrigCount  Counter
	ReplyCount Counter
	// TCP is nil for other protocols.
	TCP *TCPInfo
	// Labels is nil for an entry without the labels extension.
	Labels  []byte
	Helper  string
	SecCtx  string
	StartNS int64 // since the epoch, where timestamps are on
}

// Stats are a namespace's conntrack counters, summed over the CPUs.
type Stats struct {
	// Entries is the size of the table now.
	Entries uint64
	// Max is the limit, nf_conntrack_max.
	Max uint64
	// Counters are as in /proc/net/stat/nf_conntrack, by the names of its header.
	Counters map[string]uint64
}
