package conntrack

import "fmt"

// ReasonID names why the tracker did not take a packet as it came.
type ReasonID uint8

// The reasons. Those from ReasonNoTransport to ReasonMissingChecksum are
// faults of headers, which whoever fills a [Packet] reports.
const (
	ReasonNone ReasonID = iota

	ReasonNoTransport     // no transport header: a later fragment, or IPv6 headers that end nowhere
	ReasonNoTuple         // the header ends before its ports
	ReasonShort           // the header is cut
	ReasonBadLength       // a length in the header cannot be right
	ReasonBadCoverage     // UDP-Lite covers an impossible number of bytes
	ReasonMissingChecksum // UDP-Lite without a checksum

	ReasonBadChecksum
	ReasonNoInverse    // nothing can answer such a packet
	ReasonTableFull    // dropped
	ReasonClash        // dropped: another connection took the tuple meanwhile
	ReasonChainTooLong // dropped: so many connections in one bucket
	ReasonDying        // dropped: the connection was deleted before its first packet got through

	ReasonICMPType     // an ICMP type above 18
	ReasonICMPNotFirst // an answer to nothing
	ReasonFamily       // ICMP in IPv6, ICMPv6 in IPv4
	ReasonQuotedTuple  // an ICMP error quotes something without a tuple
	ReasonQuotedConn   // ... something of no known connection
	ReasonQuotedAddr   // ... something that was not sent by whom the error goes to

	ReasonTCPFlags       // a combination of flags that means nothing
	ReasonTCPState       // not possible in this state
	ReasonTCPLoose       // in the middle of an unknown connection, and nf_conntrack_tcp_loose is 0
	ReasonTCPSeqOver     // sequence number beyond the window
	ReasonTCPAckOver     // acknowledges what was never sent
	ReasonTCPReset       // RST with an old sequence number
	ReasonTCPReopen      // the connection that a SYN wanted to replace was being deleted already
	ReasonTCPIgnored     // valid, but let through unused: the sides may know better
	ReasonTCPChallenge   // a challenge ACK, let through unused
	ReasonTCPMoreData    // more than the window allows, let through
	ReasonTCPSeqUnder    // old data again, let through unused
	ReasonTCPAckUnder    // an old acknowledgement, let through unused
	ReasonTCPResetUnsure // RST whose sequence number is not exactly right: the state stays

	ReasonSCTPShort   // no chunk, or one that is cut
	ReasonSCTPBundle  // chunks that must not stand together
	ReasonSCTPVTag    // wrong verification tag
	ReasonSCTPState   // not possible in this state
	ReasonSCTPNew     // nothing in it begins an association
	ReasonSCTPIgnored // let through unused

)

type reason struct {
	name string
	text func(n [3]uint32) string
}

// fixed is a reason without numbers.
func fixed(s string) func([3]uint32) string { return func([3]uint32) string { return s } }

var reasons = [...]reason{
	ReasonNone:        {"none", fixed("")},
	ReasonNoTransport: {"no-transport", fixed("it has no transport header: it is a fragment, or its IPv6 headers end in none")},
	ReasonNoTuple:     {"no-tuple", fixed("it ends before the fields that tell connections apart")},
	ReasonShort:       {"short", func(n [3]uint32) string { return fmt.Sprintf("the header needs %d bytes, %d are there", n[0], n[1]) }},
	ReasonBadLength: {"bad-length", func(n [3]uint32) string {
		return fmt.Sprintf("the header says length %d, %d bytes are there", n[0], n[1])
	}},
	ReasonBadCoverage:     {"bad-coverage", func(n [3]uint32) string { return fmt.Sprintf("the checksum covers %d of %d bytes", n[0], n[1]) }},
	ReasonMissingChecksum: {"missing-checksum", fixed("it has no checksum, which its protocol demands")},
	ReasonBadChecksum:     {"bad-checksum", fixed("the transport checksum is wrong (nf_conntrack_checksum is 1)")},
	ReasonNoInverse:       {"no-inverse", func(n [3]uint32) string { return fmt.Sprintf("nothing answers type %d of protocol %d", n[0], n[1]) }},
	ReasonTableFull: {"table-full", func(n [3]uint32) string {
		return fmt.Sprintf("table full, dropping packet: nf_conntrack_max is %d", n[0])
	}},
	ReasonClash:        {"clash", fixed("another connection with one of its tuples was confirmed first")},
	ReasonChainTooLong: {"chain-too-long", fixed("its bucket of the hash table is full")},
	ReasonDying:        {"dying", fixed("its connection was deleted before it was confirmed")},

	ReasonICMPType:     {"icmp-type", func(n [3]uint32) string { return fmt.Sprintf("ICMP type %d is above 18", n[0]) }},
	ReasonICMPNotFirst: {"icmp-not-first", func(n [3]uint32) string { return fmt.Sprintf("no connection, and ICMP type %d begins none", n[0]) }},
	ReasonFamily:       {"icmp-family", func(n [3]uint32) string { return fmt.Sprintf("protocol %d does not belong in this family", n[0]) }},
	ReasonQuotedTuple:  {"quoted-tuple", fixed("the packet that the error quotes has no tuple")},
	ReasonQuotedConn:   {"quoted-conn", fixed("the packet that the error quotes belongs to no connection")},
	ReasonQuotedAddr:   {"quoted-addr", fixed("the error goes to another address than that which the quoted packet came from")},

	ReasonTCPFlags: {"tcp-flags", func(n [3]uint32) string { return fmt.Sprintf("TCP flags %#02x make no sense together", n[0]) }},
	ReasonTCPState: {"tcp-state", func(n [3]uint32) string {
		return fmt.Sprintf("%s in the %s direction cannot be in state %s", tcpKind(n[0]), Dir(n[1]), TCPState(n[2]))
	}},
	ReasonTCPLoose: {"tcp-loose", fixed("it is from the middle of a connection that nobody saw begin (nf_conntrack_tcp_loose is 0)")},
	ReasonTCPSeqOver: {"tcp-seq-over", func(n [3]uint32) string {
		return fmt.Sprintf("sequence number %d is not below %d, the end of the receiver's window", n[0], n[1])
	}},
	ReasonTCPAckOver: {"tcp-ack-over", func(n [3]uint32) string {
		return fmt.Sprintf("it acknowledges up to %d, of which only what is below %d was seen", n[0], n[1])
	}},
	ReasonTCPReset: {"tcp-reset", func(n [3]uint32) string {
		return fmt.Sprintf("RST with sequence number %d, but %d was acknowledged already", n[0], n[1])
	}},
	ReasonTCPReopen: {"tcp-reopen", fixed("it opens a closed connection again that is just being deleted")},
	ReasonTCPIgnored: {"tcp-ignored", func(n [3]uint32) string {
		return fmt.Sprintf("%s in the %s direction is only noted in state %s: the ends may know better", tcpKind(n[0]), Dir(n[1]), TCPState(n[2]))
	}},
	ReasonTCPChallenge: {"tcp-challenge", fixed("it is a challenge ACK to a SYN and does not acknowledge the FIN")},
	ReasonTCPMoreData: {"tcp-more-data", func(n [3]uint32) string {
		return fmt.Sprintf("it has %d bytes more than the receiver's window allows", n[0])
	}},
	ReasonTCPSeqUnder: {"tcp-seq-under", func(n [3]uint32) string {
		return fmt.Sprintf("its data ends at %d, not behind %d: it is acknowledged long since", n[0], n[1])
	}},
	ReasonTCPAckUnder: {"tcp-ack-under", func(n [3]uint32) string {
		return fmt.Sprintf("it acknowledges up to %d, not more than %d: it is very late", n[0], n[1])
	}},
	ReasonTCPResetUnsure: {"tcp-reset-unsure", func(n [3]uint32) string {
		return fmt.Sprintf("RST with sequence number %d where exactly %d is due: the receiver may challenge it", n[0], n[1])
	}},

	ReasonSCTPShort:  {"sctp-short", fixed("it has no chunk, or one that is cut")},
	ReasonSCTPBundle: {"sctp-bundle", func(n [3]uint32) string { return fmt.Sprintf("chunk type %d cannot stand behind the one before", n[0]) }},
	ReasonSCTPVTag:   {"sctp-vtag", func(n [3]uint32) string { return fmt.Sprintf("the verification tag is %#x, %#x is due", n[0], n[1]) }},
	ReasonSCTPState: {"sctp-state", func(n [3]uint32) string {
		return fmt.Sprintf("chunk type %d in the %s direction cannot be in state %s", n[0], Dir(n[1]), SCTPState(n[2]))
	}},
	ReasonSCTPNew: {"sctp-new", fixed("no association, and it has a chunk that begins none")},
	ReasonSCTPIgnored: {"sctp-ignored", func(n [3]uint32) string {
		return fmt.Sprintf("chunk type %d is let through, but does not keep the association alive", n[0])
	}},
}

// String is the reason's name, "tcp-seq-over".
func (r ReasonID) String() string {
	if int(r) < len(reasons) {
		return reasons[r].name
	}
	return "unknown"
}

// Reason is a reason with the numbers that decided.
type Reason struct {
	ID ReasonID
	N  [3]uint32
}

// String is a sentence without its full stop, "" where there is no reason.
func (r Reason) String() string {
	if int(r.ID) < len(reasons) {
		return reasons[r.ID].text(r.N)
	}
	return "unknown"
}

func because(id ReasonID, n ...uint32) (r Reason) {
	r.ID = id
	copy(r.N[:], n)
	return r
}
