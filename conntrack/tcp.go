package conntrack

// tcpTrack is what packets leave of a TCP connection.
type tcpTrack struct {
	side [2]tcpSide // what the sender of each direction did

	// The segment that moved the connection last, or was let through unused.
	lastSeq, lastAck, lastEnd uint32
	lastWindow                uint16
	lastKind                  uint8
	lastDir                   Dir

	state   TCPState
	retrans uint8 // how often that segment came again

	// Of a SYN that was let through unused: what it offered.
	synFlags  tcpFlags
	synWScale uint8
}

// tcpFlags are facts about one side (the values are those of netlink).
type tcpFlags uint8

const (
	tcpScaled     tcpFlags = 1 << 0 // offered window scaling
	tcpSACK       tcpFlags = 1 << 1 // permits SACK
	tcpCloseInit  tcpFlags = 1 << 2 // sent the first FIN
	tcpLiberal    tcpFlags = 1 << 3 // its segments need not be in the window
	tcpUnacked    tcpFlags = 1 << 4 // sent data that is not acknowledged
	tcpAckSet     tcpFlags = 1 << 5 // maxAck is known
	tcpChallenged tcpFlags = 1 << 6 // a challenge ACK may come (of synFlags)
	tcpBothOpen   tcpFlags = 1 << 7 // simultaneous open (of synFlags)
)

// closing says whether the connection had its end.
func (x *tcpTrack) closing() bool {
	switch x.state {
	case TCPFinWait, TCPLastAck, TCPTimeWait, TCPClose, TCPCloseWait:
		return true
	}
	return false
}

// stepTCP tracks TCP. The state that comes next is that of tcpTable, but for
// what a machine between two hosts cannot know: exceptions are each a method
// below.
func (t *Table) stepTCP(i *Info, p *Packet) step {
	if p.Fault != ReasonNone {
		return fault(p)
	}
	if t.badChecksum(p) {
		return refuse(ReasonBadChecksum)
	}
	seg := &p.TCP
	if !tcpFlagsValid[seg.Flags] {
		return refuse(ReasonTCPFlags, uint32(seg.Flags))
	}
	kind, dir := seg.kind(), i.Dir()
	holder := t.slab.trackOf(i.Conn.h)
	x := &holder.tcp
	status := i.Conn.Status()
	if status&IPSConfirmed == 0 {
		if r := t.tcpBegin(x, seg, kind); r.ID != ReasonNone {
			return step{what: stepInvalid, reason: r}
		}
	}

	holder.mu.Lock()
	m := tcpMove{t: t, conn: i.Conn, x: x, seg: seg, kind: kind, dir: dir, old: x.state, next: tcpTable[dir][kind][x.state], status: status}
	out, done := m.decide()
	if done {
		holder.mu.Unlock()
		if out.what == stepAgain {
			// Only one packet can have it removed; it is not for the others.
			if !t.unlink(i.Conn) {
				return step{what: stepDrop, reason: because(ReasonTCPReopen)}
			}
		}
		return out
	}
	old, next := m.old, m.next
	x.lastKind, x.lastDir = kind, dir
	x.state = next
	if old != next && next == TCPFinWait {
		x.side[dir].flags |= tcpCloseInit
	}
	timeout := m.timeout()
	holder.mu.Unlock()

	if next != old {
		i.Conn.note(ChangedProtoInfo)
	}
	if status&IPSSeenReply == 0 {
		if seg.Flags&TCPRst != 0 {
			// Nothing but a refusal answered: the connection was none.
			t.account(i.Conn, dir, p.Len)
			t.unlink(i.Conn)
			return step{reason: m.note}
		}
		if kind == tcpSYN && old == TCPSynSent {
			// The same SYN again must not keep the entry for ever.
			return step{reason: m.note}
		}
		if next == TCPEstablished {
			timeout = min(timeout, t.setting(sysctlTCPUnacknowledged))
		}
	} else if status&IPSAssured == 0 && next == TCPEstablished && (old == TCPSynRecv || old == TCPEstablished) {
		t.assure(i.Conn, status)
	}
	t.refresh(i, p, timeout)
	return step{reason: m.note}
}

// tcpBegin sets up a connection by its first segment.
func (t *Table) tcpBegin(x *tcpTrack, seg *TCPSegment, kind uint8) Reason {
	next := tcpTable[Original][kind][TCPNone]
	if next == tcpInvalid {
		return because(ReasonTCPState, uint32(kind), uint32(Original), uint32(TCPNone))
	}
	if next != TCPSynSent && t.sysctls[sysctlTCPLoose].Load() == 0 {
		return because(ReasonTCPLoose)
	}
	*x = tcpTrack{lastKind: tcpNone}
	s := &x.side[Original]
	s.end = seg.end()
	s.maxWin = max(uint32(seg.Window), 1)
	if next == TCPSynSent {
		s.maxEnd = s.end
		s.options(seg)
		return Reason{}
	}
	// The handshake was not seen: what it agreed on is not known.
	s.maxEnd = s.end + s.maxWin
	x.side[Original].flags = tcpSACK | tcpLiberal
	x.side[Reply].flags = tcpSACK | tcpLiberal
	return Reason{}
}

// A tcpMove is one segment on its way through the tracker.
type tcpMove struct {
	t         *Table
	conn      Conn
	x         *tcpTrack
	seg       *TCPSegment
	kind      uint8
	dir       Dir
	old, next TCPState
	status    Status
	note      Reason // why a segment that was taken changed less than it asks
}

// decide finds the next state. It is done where the segment is not to move
// the connection; out says what becomes of it then.
func (m *tcpMove) decide() (out step, done bool) {
	x := m.x
	switch m.next {
	case TCPSynSent:
		if m.old >= TCPTimeWait {
			if m.isOver() {
				return step{what: stepAgain}, true
			}
			if out, done = m.ignore(); done {
				return out, true
			}
		}
	case tcpIgnore:
		if out, done = m.ignore(); done {
			return out, true
		}
	case tcpInvalid:
		return refuse(ReasonTCPState, uint32(m.kind), uint32(m.dir), uint32(m.old)), true
	case TCPTimeWait:
		if m.old == TCPLastAck && m.kind == tcpACK && x.lastDir != m.dir && x.lastKind == tcpSYN && x.synFlags&tcpChallenged != 0 {
			x.synFlags &^= tcpChallenged
			return step{reason: because(ReasonTCPChallenge)}, true
		}
	case TCPSynSent2:
		x.synFlags |= tcpBothOpen
	case TCPSynRecv:
		if m.dir == Reply && m.kind == tcpACK && x.synFlags&tcpBothOpen != 0 {
			m.next = TCPEstablished
		}
	case TCPClose:
		if m.kind == tcpRST {
			inWindow, r := m.reset()
			if r.ID != ReasonNone {
				return step{what: stepInvalid, reason: r}, true
			}
			if inWindow {
				return step{}, false
			}
		}
	}
	switch verdict, r := m.window(); verdict {
	case windowIgnore:
		return step{reason: r}, true
	case windowInvalid:
		m.outside()
		return step{what: stepInvalid, reason: r}, true
	}
	return step{}, false
}

// isOver says whether a SYN may replace the connection: it was closed in
// order, or the sender of the SYN reset it just before.
func (m *tcpMove) isOver() bool {
	x := m.x
	return (x.side[0].flags|x.side[1].flags)&tcpCloseInit != 0 ||
		x.lastDir == m.dir && x.lastKind == tcpRST
}

// ignore lets a segment through that may tell of a connection that the two
// ends have and the tracker does not know: its entry may be a leftover. What
// the segment says is kept. Where a SYN ACK answers a SYN that was let through
// so, the tracker believes them and goes on from there, and it is not done.
func (m *tcpMove) ignore() (out step, done bool) {
	x, seg := m.x, m.seg
	if m.kind == tcpSYNACK && x.lastKind == tcpSYN && x.lastDir != m.dir && seg.Ack == x.lastEnd {
		m.old, m.next = TCPSynSent, TCPSynRecv
		x.synFlags &^= tcpChallenged
		x.side[x.lastDir] = tcpSide{
			end: x.lastEnd, maxEnd: x.lastEnd, maxWin: max(uint32(x.lastWindow), 1),
			maxAck: x.side[x.lastDir].maxAck, scale: x.synWScale, flags: x.synFlags,
		}
		x.side[m.dir] = tcpSide{flags: x.side[m.dir].flags & tcpLiberal}
		return step{}, false
	}
	x.lastKind, x.lastDir = m.kind, m.dir
	x.lastSeq, x.lastEnd, x.lastWindow = seg.Seq, seg.end(), seg.Window
	if m.kind == tcpSYN && m.dir == Original {
		var s tcpSide
		s.options(seg)
		x.synFlags, x.synWScale = s.flags&(tcpScaled|tcpSACK), s.scale
		if m.old == TCPLastAck {
			// The answer may be a challenge ACK, which must not be taken
			// for that of the FIN.
			x.synFlags |= tcpChallenged
		}
	}
	if m.old == TCPSynSent && m.kind == tcpACK && m.dir == Reply {
		x.lastAck = seg.Ack // perhaps a challenge ACK to the SYN
	}
	return step{reason: because(ReasonTCPIgnored, uint32(m.kind), uint32(m.dir), uint32(m.old))}, true
}

// established says whether the connection stands beyond doubt.
func (m *tcpMove) established() bool {
	return m.x.state == TCPEstablished && m.status&IPSAssured != 0
}

// reset judges an RST by its sequence number, beyond what the window asks: a
// forged one must not end a connection. It needs no window check where
// inWindow; a reason makes it invalid.
func (m *tcpMove) reset() (inWindow bool, r Reason) {
	x, seg := m.x, m.seg
	if x.closing() {
		// The ends may have begun anew meanwhile: what is known is too old.
		return true, Reason{}
	}
	other := &x.side[1-m.dir]
	if other.flags&tcpAckSet != 0 && x.lastKind != tcpSYN {
		seq := seg.Seq
		if seq == 0 && !m.established() {
			return false, Reason{} // answers a SYN that was let through
		}
		if before(seq, other.maxAck) && m.t.sysctls[sysctlTCPIgnoreInvalidRst].Load() == 0 {
			return false, because(ReasonTCPReset, seq, other.maxAck)
		}
		if !m.established() || seq == other.maxAck {
			return false, Reason{}
		}
		if x.lastKind == tcpACK && x.lastDir == m.dir && seq == x.lastEnd {
			return false, Reason{} // right behind the data before it
		}
		// It is in the window but not exact: the receiver will send a
		// challenge ACK rather than believe it.
		m.note = because(ReasonTCPResetUnsure, seq, other.maxAck)
		m.next = m.old
	}
	answersIgnored := m.status&IPSSeenReply != 0 && x.lastKind == tcpSYN && x.lastDir != m.dir ||
		m.status&IPSAssured == 0 && x.lastKind == tcpACK
	if answersIgnored && seg.Ack == x.lastEnd {
		return true, Reason{}
	}
	if m.old == TCPSynSent && x.lastKind == tcpACK && x.lastDir == Reply && seg.Seq == x.lastAck {
		return true, Reason{} // answers a challenge ACK that was let through
	}
	return false, Reason{}
}

// expectSoon is the remaining time in seconds from which on a connection is
// worth shortening.
const expectSoon = 120

// outside deals with a FIN or RST that is not in the window: where both sides
// send such, the tracker lost track, and the entry must not live for days.
func (m *tcpMove) outside() {
	if m.status&IPSAssured == 0 || m.status&IPSFixedTimeout != 0 || m.kind != tcpRST && m.kind != tcpFIN {
		return
	}
	x := m.x
	if x.lastDir == m.dir || x.lastKind != tcpFIN && x.lastKind != tcpRST {
		x.lastKind, x.lastDir = m.kind, m.dir
		return
	}
	left := m.conn.Expires()
	if timeout := m.t.setting(sysctlTCPUnacknowledged); left >= uint32(expectSoon*m.t.hz) && left > timeout {
		m.conn.e.timeout.Store(m.t.now() + timeout)
	}
}

// timeout is how long the connection may be silent from now on.
func (m *tcpMove) timeout() uint32 {
	t, x := m.t, m.x
	d := t.tcpTimeout(m.next)
	switch {
	case int32(x.retrans) >= t.sysctls[sysctlTCPMaxRetransmissions].Load() && d > t.setting(sysctlTCPMaxRetrans):
		return t.setting(sysctlTCPMaxRetrans)
	case m.kind == tcpRST:
		return t.setting(sysctlTCPClose)
	case (x.side[0].flags|x.side[1].flags)&tcpUnacked != 0 && d > t.setting(sysctlTCPUnacknowledged):
		return t.setting(sysctlTCPUnacknowledged)
	case x.lastWindow == 0 && d > t.setting(sysctlTCPMaxRetrans):
		return t.setting(sysctlTCPMaxRetrans)
	}
	return d
}
