package conntrack

import "sync"

// SeqAdj is how far the sequence numbers of one direction are shifted, since a
// helper changed the length of what was sent (struct nf_ct_seqadj).
type SeqAdj struct {
	CorrectionPos uint32 // sequence number of the last change
	OffsetBefore  int32  // what numbers up to there are shifted by
	OffsetAfter   int32  // and those behind it
}

// offset is the shift of seq.
func (s *SeqAdj) offset(seq uint32) int32 {
	if after(seq, s.CorrectionPos) {
		return s.OffsetAfter
	}
	return s.OffsetBefore
}

// seqAdjs are those of a table. Few connections have one.
type seqAdjs struct {
	mu sync.RWMutex
	of map[handle]*[2]SeqAdj // guarded by mu
}

// AdjustSeq says that off bytes were added (or, below 0, taken away) behind
// seq in direction d: from now on sequence numbers are shifted.
func (c Conn) AdjustSeq(d Dir, seq uint32, off int32) {
	if !c.Valid() || off == 0 || d > Reply {
		return
	}
	a := &c.t.seqAdj
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[handle]*[2]SeqAdj{}
	}
	p := a.of[c.h]
	if p == nil {
		p = new([2]SeqAdj)
		a.of[c.h] = p
	}
	s := &p[d]
	if s.OffsetBefore == s.OffsetAfter || before(s.CorrectionPos, seq) {
		s.CorrectionPos = seq
		s.OffsetBefore = s.OffsetAfter
		s.OffsetAfter += off
	}
	c.e.status.Or(uint32(IPSSeqAdjust))
	c.note(ChangedSeqAdj)
}

// SeqAdjs are the shifts of both directions; false where there are none.
func (c Conn) SeqAdjs() ([2]SeqAdj, bool) {
	if !c.Valid() || c.Status()&IPSSeqAdjust == 0 {
		return [2]SeqAdj{}, false
	}
	a := &c.t.seqAdj
	a.mu.RLock()
	defer a.mu.RUnlock()
	if p := a.of[c.h]; p != nil {
		return *p, true
	}
	return [2]SeqAdj{}, false
}

// ShiftSeq is what a segment of direction d with these numbers must carry on
// its way out, so that both ends see their own.
func (c Conn) ShiftSeq(d Dir, seq, ack uint32) (newSeq, newAck uint32) {
	s, ok := c.SeqAdjs()
	if !ok || d > Reply {
		return seq, ack
	}
	other := &s[1-d]
	return seq + uint32(s[d].offset(seq)), ack - uint32(other.offset(ack-uint32(other.OffsetBefore)))
}

// seqOffset is the shift of seq in direction d.
func (t *Table) seqOffset(c Conn, d Dir, seq uint32) uint32 {
	if c.Status()&IPSSeqAdjust == 0 {
		return 0
	}
	s, _ := c.SeqAdjs()
	return uint32(s[d].offset(seq))
}

// forgetSeqAdj ends those of a connection.
func (t *Table) forgetSeqAdj(h handle) {
	t.seqAdj.mu.Lock()
	delete(t.seqAdj.of, h)
	t.seqAdj.mu.Unlock()
}
