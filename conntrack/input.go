package conntrack

// Packet is what the tracker has to know of a packet. Who has the bytes fills
// it; one value may serve for packet after packet. The zero value of a field
// stands for the usual case: the header is whole, the checksum right.
type Packet struct {
	// Tuple is of the packet as it is. For an ICMP error only family, protocol
	// and addresses count.
	Tuple Tuple
	// Zone is where the template of a rule set puts the packet, DefaultZone
	// where there is none. With [ZoneFlagMark] its id is Mark.
	Zone Zone
	// Mark is the mark of the packet.
	Mark uint32
	// Len is the length of the packet from its IP header on; accounting adds
	// it up.
	Len uint32

	// Fault says what is wrong with the headers: one of the reasons that
	// [Reason] calls faults, or 0. N is the numbers that belong to it.
	Fault  ReasonID
	FaultN [3]uint32
	// BadChecksum says that the transport checksum is wrong. Set it only where
	// Linux looks: in the prerouting hook.
	BadChecksum bool
	// Untracked is what notrack does: the packet passes, nothing is looked up.
	Untracked bool

	TCP TCPSegment

	// ICMPType and ICMPCode are those of ICMP and ICMPv6 messages.
	ICMPType, ICMPCode uint8
	// Quoted is the tuple of the packet that an ICMP error quotes, HasQuoted
	// that it could be read.
	Quoted    Tuple
	HasQuoted bool

	// Chunks are the bytes behind the common header of an SCTP packet, VTag is
	// the verification tag in it. They are read during Track only.
	Chunks []byte
	VTag   uint32
}

// TCPSegment is what counts of a TCP header.
type TCPSegment struct {
	Seq, Ack uint32
	// SACK is Ack, or the greatest right edge behind it that a SACK block of
	// the header has.
	SACK   uint32
	Len    uint32 // bytes of payload
	Window uint16 // as it stands there
	Flags  uint8  // the low eight flags
	// HasOptions says that the header has options, of whatever kind. WScale is
	// the window scale option where HasWScale.
	HasOptions    bool
	WScale        uint8
	HasWScale     bool
	SACKPermitted bool
}

// The flags of a TCP header.
const (
	TCPFin uint8 = 1 << iota
	TCPSyn
	TCPRst
	TCPPsh
	TCPAck
	TCPUrg
	TCPEce
	TCPCwr
)

// end is the sequence number behind the segment; SYN and FIN count for one.
func (s *TCPSegment) end() uint32 {
	e := s.Seq + s.Len
	if s.Flags&TCPSyn != 0 {
		e++
	}
	if s.Flags&TCPFin != 0 {
		e++
	}
	return e
}

// ZoneFlagMark is the flag of a template's zone whose id is the packet's mark.
const ZoneFlagMark uint8 = 1

// zone is where p is looked up.
func (p *Packet) zone() Zone {
	z := p.Zone
	if z.Flags&ZoneFlagMark != 0 {
		z.ID, z.Flags = uint16(p.Mark), 0
	}
	return z
}
