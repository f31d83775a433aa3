package conntrack

// streamAfter is the age in seconds at which a UDP exchange counts as a stream.
const streamAfter = 2

type udpTrack struct {
	// streamFrom is the jiffy behind which the connection is a stream.
	streamFrom uint64
}

// stepUDP tracks UDP and UDP-Lite. The latter is a stream at once.
func (t *Table) stepUDP(i *Info, p *Packet) step {
	if p.Fault != ReasonNone {
		return fault(p)
	}
	if t.badChecksum(p) {
		return refuse(ReasonBadChecksum)
	}
	s := i.Conn.Status()
	x := t.slab.trackOf(i.Conn.h)
	if s&IPSConfirmed == 0 {
		x.udp.streamFrom = t.clock.Jiffies() + streamAfter*uint64(t.hz)
	}
	timeout, stream := t.setting(sysctlUDP), false
	if s&IPSSeenReply != 0 && (p.Tuple.Proto == ProtoUDPLite || int64(t.clock.Jiffies()-x.udp.streamFrom) > 0) {
		timeout, stream = t.setting(sysctlUDPStream), true
	}
	t.refresh(i, p, timeout)
	if stream && s&IPSNATClash == 0 {
		t.assure(i.Conn, s)
	}
	return step{}
}

// assure sets ASSURED on a connection whose status is s.
func (t *Table) assure(c Conn, s Status) {
	if s&IPSAssured == 0 && Status(c.e.status.Or(uint32(IPSAssured)))&IPSAssured == 0 {
		c.note(ChangedAssured)
	}
}
