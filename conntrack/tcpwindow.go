package conntrack

// tcpSide is what the tracker knows of one sender. The names follow the paper
// that the method is from: Guido van Rooij, "Real Stateful TCP Packet
// Filtering in IP Filter".
type tcpSide struct {
	end    uint32 // behind the last byte it sent
	maxEnd uint32 // behind the last byte it may send: what the other side's ACKs and windows allow
	maxWin uint32 // the largest window it offered, 0 where it did not speak yet
	maxAck uint32 // the furthest that it acknowledged
	scale  uint8  // of its windows
	flags  tcpFlags
}

// minAckWindow is how old an acknowledgement may be at least.
const minAckWindow = 66000

// maxWScale is the largest scale that TCP allows.
const maxWScale = 14

func before(a, b uint32) bool { return int32(a-b) < 0 }
func after(a, b uint32) bool  { return int32(b-a) < 0 }

// options takes over what the SYN says. Of older facts only tcpLiberal stays,
// but all of them where it has no options at all.
func (s *tcpSide) options(seg *TCPSegment) {
	if !seg.HasOptions {
		return
	}
	s.scale = 0
	s.flags &= tcpLiberal
	if seg.HasWScale {
		s.scale = min(seg.WScale, maxWScale)
		s.flags |= tcpScaled
	}
	if seg.SACKPermitted {
		s.flags |= tcpSACK
	}
}

// begin takes over the SYN or SYN ACK of a side that did not speak yet.
func (m *tcpMove) begin(sender, receiver *tcpSide, end uint32) {
	sender.end, sender.maxEnd = end, end
	sender.maxWin = max(uint32(m.seg.Window), 1)
	sender.options(m.seg)
	if m.dir == Reply && sender.flags&receiver.flags&tcpScaled == 0 {
		// Both must offer scaling, or there is none.
		sender.scale, receiver.scale = 0, 0
	}
}

type windowVerdict uint8

const (
	windowAccept  windowVerdict = iota
	windowIgnore                // let through unused
	windowInvalid               // not of this connection
)

// window says whether the segment is between what the ends may send, and notes
// what it tells of them.
func (m *tcpMove) window() (windowVerdict, Reason) {
	x, seg := m.x, m.seg
	sender, receiver := &x.side[m.dir], &x.side[1-m.dir]
	seq, end := seg.Seq, seg.end()
	ack, sack, win := seg.Ack, seg.Ack, uint32(seg.Window)
	if receiver.flags&tcpSACK != 0 {
		sack = seg.SACK
	}
	if off := m.t.seqOffset(m.conn, 1-m.dir, ack-1); off != 0 {
		ack -= off
		sack -= off
	}
	syn, hasAck := seg.Flags&TCPSyn != 0, seg.Flags&TCPAck != 0

	switch {
	case sender.maxWin == 0 && syn:
		m.begin(sender, receiver, end)
		if !hasAck {
			return windowAccept, Reason{} // simultaneous open
		}
	case sender.maxWin == 0:
		m.join(sender, receiver, end, sack)
	case syn && after(end, sender.end) && (x.state == TCPSynSent || x.state == TCPSynRecv):
		// Another try with another sequence number.
		m.begin(sender, receiver, end)
		if m.dir == Reply && !hasAck {
			return windowAccept, Reason{}
		}
	}

	rst := seg.Flags&TCPRst != 0
	if !hasAck || rst && ack == 0 {
		// No acknowledgement, or that of stacks that set the flag and no
		// number: suppose the best.
		ack = receiver.end
		sack = ack
	}
	if rst && seq == 0 && x.state == TCPSynSent {
		seq = sender.end // answers a SYN
		end = seq
	}

	if verdict, r := m.judge(sender, receiver, seq, end, sack); verdict != windowAccept {
		liberal := sender.flags&tcpLiberal != 0 || m.t.sysctls[sysctlTCPLiberal].Load() != 0
		if liberal {
			return windowAccept, Reason{}
		}
		return verdict, r
	}
	if !syn {
		win <<= sender.scale
	}
	m.learn(sender, receiver, end, ack, sack, win)
	if m.kind == tcpACK {
		m.countAgain(seq, ack, end)
	}
	return windowAccept, Reason{}
}

// join begins in the middle, with a side of which nothing was seen.
func (m *tcpMove) join(sender, receiver *tcpSide, end, sack uint32) {
	sender.end = end
	sender.maxWin = max(uint32(m.seg.Window)<<sender.scale, 1)
	sender.maxEnd = end + sender.maxWin
	switch {
	case receiver.maxWin == 0:
		receiver.end, receiver.maxEnd = sack, sack
	case sack == receiver.end+1:
		receiver.end++ // it answers a keep-alive
	}
}

// judge holds a segment against the four bounds.
func (m *tcpMove) judge(sender, receiver *tcpSide, seq, end, sack uint32) (windowVerdict, Reason) {
	oldestData := sender.end - receiver.maxWin - 1
	oldestAck := receiver.end - max(sender.maxWin, minAckWindow) - 1
	if !before(seq, sender.maxEnd+1) {
		over := end - sender.maxEnd + 1
		if receiver.maxWin != 0 && after(end, oldestData) && after(sack, oldestAck) &&
			over <= receiver.maxWin && before(sack, receiver.end+1) {
			// Some send more than they may. Should the receiver take it,
			// its acknowledgement must not look wrong.
			sender.end = end
			sender.flags |= tcpUnacked
			return windowIgnore, because(ReasonTCPMoreData, over)
		}
		return windowInvalid, because(ReasonTCPSeqOver, seq, sender.maxEnd+1)
	}
	if !before(sack, receiver.end+1) {
		return windowInvalid, because(ReasonTCPAckOver, sack, receiver.end+1)
	}
	if receiver.maxWin != 0 && !after(end, oldestData) {
		return windowIgnore, because(ReasonTCPSeqUnder, end, oldestData)
	}
	if !after(sack, oldestAck) {
		return windowIgnore, because(ReasonTCPAckUnder, sack, oldestAck)
	}
	return windowAccept, Reason{}
}

// learn takes over what a segment in the window says.
func (m *tcpMove) learn(sender, receiver *tcpSide, end, ack, sack, win uint32) {
	sender.maxWin = max(sender.maxWin, win+(sack-ack))
	if after(end, sender.end) {
		sender.end = end
		sender.flags |= tcpUnacked
	}
	if m.seg.Flags&TCPAck != 0 {
		if sender.flags&tcpAckSet == 0 || after(ack, sender.maxAck) {
			sender.maxAck = ack
			sender.flags |= tcpAckSet
		}
	}
	if receiver.maxWin != 0 && after(end, sender.maxEnd) {
		receiver.maxWin += end - sender.maxEnd
	}
	if after(sack+win, receiver.maxEnd-1) {
		receiver.maxEnd = sack + win
		if win == 0 {
			receiver.maxEnd++
		}
	}
	if ack == receiver.end {
		receiver.flags &^= tcpUnacked
	}
}

// countAgain counts how often the same ACK came.
func (m *tcpMove) countAgain(seq, ack, end uint32) {
	x := m.x
	if x.lastDir == m.dir && x.lastSeq == seq && x.lastAck == ack && x.lastEnd == end && x.lastWindow == m.seg.Window {
		x.retrans++
		return
	}
	x.lastDir, x.lastSeq, x.lastAck, x.lastEnd, x.lastWindow = m.dir, seq, ack, end, m.seg.Window
	x.retrans = 0
}
