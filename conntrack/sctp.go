package conntrack

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/internal/errno"
)

// sctpTrack is what packets leave of an association.
type sctpTrack struct {
	vtag     [2]uint32 // the verification tag that packets of each direction carry
	inited   [2]bool   // an INIT was seen in the direction, and no COOKIE ACK since
	state    SCTPState
	lastDir  Dir  // of the heartbeat that failed
	failedHB bool // a heartbeat had a tag that is not known
}

// closing says whether the association had its end.
func (x *sctpTrack) closing() bool {
	return x.state >= SCTPShutdownSent && x.state <= SCTPShutdownAckSent
}

// SCTPInfo is the state of an association as netlink has it.
type SCTPInfo struct {
	State SCTPState
	VTag  [2]uint32 // by direction
}

// SetSCTPInfo replaces state and tags, as netlink lets a user do. EINVAL for a
// state that there is not, ESRCH where c is gone or not SCTP.
func (c Conn) SetSCTPInfo(n SCTPInfo) error {
	if !c.Valid() || c.e.orig.Proto != ProtoSCTP {
		return errno.ESRCH
	}
	if n.State >= sctpStates {
		return errno.EINVAL
	}
	x := c.t.slab.trackOf(c.h)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sctp.state, x.sctp.vtag = n.State, n.VTag
	return nil
}

// chunks walks the chunks of a packet.
type chunks struct {
	b   []byte
	off int
	n   int // how many were met before
}

// next gives a chunk's type, flags and its bytes from its header to the end of
// the packet.
func (c *chunks) next() (typ, flags uint8, rest []byte, ok bool) {
	if len(c.b)-c.off < 4 {
		return 0, 0, nil, false
	}
	rest = c.b[c.off:]
	c.off += (int(binary.BigEndian.Uint16(rest[2:])) + 3) &^ 3
	c.n++
	return rest[0], rest[1], rest, true
}

// initTag is the tag in an INIT or INIT ACK.
func initTag(rest []byte) (uint32, bool) {
	if len(rest) < 20 {
		return 0, false
	}
	return binary.BigEndian.Uint32(rest[4:]), true
}

// A chunkSet has a bit for each type that a packet has.
type chunkSet [4]uint64

func (s *chunkSet) add(t uint8)      { s[t/64] |= 1 << (t % 64) }
func (s *chunkSet) has(t uint8) bool { return s[t/64]>>(t%64)&1 != 0 }

// sctpCheck looks whether the chunks of a packet may stand together.
func sctpCheck(b []byte) (set chunkSet, r Reason) {
	c := chunks{b: b}
	alone := false
	for {
		typ, _, rest, ok := c.next()
		if !ok {
			break
		}
		switch typ {
		case chunkInit, chunkInitAck, chunkShutdownComplete:
			alone = true
		}
		first := c.n == 1
		if (typ == chunkCookieAck || typ == chunkCookieEcho || alone) && !first {
			return set, because(ReasonSCTPBundle, uint32(typ))
		}
		if binary.BigEndian.Uint16(rest[2:]) == 0 {
			return set, because(ReasonSCTPShort)
		}
		set.add(typ)
	}
	if c.n == 0 {
		return set, because(ReasonSCTPShort)
	}
	return set, Reason{}
}

// begin sets up an association by its first packet.
func (x *sctpTrack) begin(p *Packet) Reason {
	*x = sctpTrack{}
	c := chunks{b: p.Chunks}
	for {
		typ, _, rest, ok := c.next()
		if !ok {
			return Reason{}
		}
		if s := sctpNext(Original, SCTPNone, typ); s == SCTPNone || s == sctpInvalid {
			return because(ReasonSCTPNew)
		}
		switch typ {
		case chunkInit:
			tag, ok := initTag(rest)
			if !ok {
				return because(ReasonSCTPShort)
			}
			x.vtag[Reply] = tag
		case chunkHeartbeat:
			x.vtag[Original] = p.VTag
		case chunkShutdownAck:
			// The answer to one that nobody expected has its tag.
			x.vtag[Reply] = p.VTag
		}
	}
}

// stepSCTP tracks SCTP, chunk by chunk.
func (t *Table) stepSCTP(i *Info, p *Packet) step {
	if p.Fault != ReasonNone {
		return fault(p)
	}
	if t.badChecksum(p) {
		return refuse(ReasonBadChecksum)
	}
	set, r := sctpCheck(p.Chunks)
	if r.ID != ReasonNone {
		return step{what: stepInvalid, reason: r}
	}
	holder := t.slab.trackOf(i.Conn.h)
	x := &holder.sctp
	if i.Conn.Status()&IPSConfirmed == 0 {
		// Who knows no association must drop these (RFC 9260, 8.4).
		for _, typ := range [...]uint8{chunkAbort, chunkShutdownComplete, chunkCookieAck} {
			if set.has(typ) {
				return refuse(ReasonSCTPNew)
			}
		}
		if r := x.begin(p); r.ID != ReasonNone {
			return step{what: stepInvalid, reason: r}
		}
	}
	holder.mu.Lock()
	m := sctpMove{x: x, p: p, dir: i.Dir(), set: &set, confirmed: i.Conn.Status()&IPSConfirmed != 0}
	r = m.run()
	holder.mu.Unlock()
	if m.changes&ChangedAssured != 0 && Status(i.Conn.e.status.Or(uint32(IPSAssured)))&IPSAssured != 0 {
		m.changes &^= ChangedAssured
	}
	if m.changes != 0 {
		i.Conn.note(m.changes)
	}
	if r.ID != ReasonNone {
		return step{what: stepInvalid, reason: r}
	}
	if m.unused {
		return step{reason: because(ReasonSCTPIgnored, uint32(m.last))}
	}
	t.refresh(i, p, t.sctpTimeout(m.next))
	return step{}
}

// An sctpMove is one packet on its way through the tracker.
type sctpMove struct {
	x         *sctpTrack
	p         *Packet
	dir       Dir
	set       *chunkSet
	confirmed bool

	next    SCTPState
	last    uint8   // the type of the last chunk
	unused  bool    // let it pass, but no more
	changes Changes // to tell, also of chunks before one that is invalid
}

// ownTag are the types whose tag has rules of its own.
var ownTag = [...]uint8{chunkInit, chunkShutdownComplete, chunkCookieEcho, chunkAbort, chunkShutdownAck, chunkHeartbeat, chunkHeartbeatAck}

func (m *sctpMove) wrongTag(want uint32) Reason { return because(ReasonSCTPVTag, m.p.VTag, want) }

func (m *sctpMove) run() Reason {
	x := m.x
	special := false
	for _, typ := range ownTag {
		special = special || m.set.has(typ)
	}
	if want := x.vtag[m.dir]; !special && m.p.VTag != want {
		return m.wrongTag(want)
	}
	c := chunks{b: m.p.Chunks}
	for {
		typ, flags, rest, ok := c.next()
		if !ok {
			return Reason{}
		}
		m.last = typ
		skip, r := m.tag(typ, flags)
		if r.ID != ReasonNone {
			return r
		}
		if skip {
			continue
		}
		old := x.state
		m.next = sctpNext(m.dir, old, typ)
		if m.next == sctpInvalid {
			return because(ReasonSCTPState, uint32(typ), uint32(m.dir), uint32(old))
		}
		if r := m.begin(typ, rest, old); r.ID != ReasonNone {
			return r
		}
		x.state = m.next
		if old != m.next {
			m.changes |= ChangedProtoInfo
			if m.next == SCTPEstablished {
				m.changes |= ChangedAssured
			}
		}
	}
}

// tag checks the verification tag of the packet for a chunk that has a rule of
// its own (RFC 9260, 8.5.1). A chunk to skip is let through unused.
func (m *sctpMove) tag(typ, flags uint8) (skip bool, r Reason) {
	x, tag := m.x, m.p.VTag
	own, peer := &x.vtag[m.dir], &x.vtag[1-m.dir]
	switch typ {
	case chunkInit:
		if tag != 0 {
			return false, m.wrongTag(0)
		}
	case chunkAbort, chunkShutdownComplete:
		want := *own
		if flags&1 != 0 { // the T bit: the sender had no association
			want = *peer
		}
		if tag != want {
			return false, m.wrongTag(want)
		}
	case chunkCookieEcho:
		if tag != *own {
			return false, m.wrongTag(*own)
		}
	case chunkCookieAck:
		x.inited = [2]bool{} // the tags are settled
	case chunkHeartbeat:
		switch {
		case *own == 0:
			*own = tag
		case tag != *own:
			// The other end may have begun anew on this path.
			if m.set.has(chunkData) || m.unused {
				return false, m.wrongTag(*own)
			}
			x.failedHB, x.lastDir = true, m.dir
			m.unused = true
			return true, Reason{}
		default:
			x.failedHB = false
		}
	case chunkHeartbeatAck:
		switch {
		case *own == 0:
			*own = tag
		case tag != *own:
			if m.set.has(chunkData) || m.unused || !x.failedHB || x.lastDir == m.dir {
				return false, m.wrongTag(*own)
			}
			// The answer to the heartbeat with the unknown tag: it was right.
			x.failedHB = false
			*own, *peer = tag, 0
		default:
			x.failedHB = false
		}
	}
	return false, Reason{}
}

// begin takes the tags from INIT and INIT ACK.
func (m *sctpMove) begin(typ uint8, rest []byte, old SCTPState) Reason {
	if typ != chunkInit && typ != chunkInitAck {
		return Reason{}
	}
	x, peer := m.x, 1-m.dir
	tag, ok := initTag(rest)
	if !ok {
		return because(ReasonSCTPShort)
	}
	if typ == chunkInit {
		// One that only says what is known may be old or forged.
		if !m.confirmed || x.vtag[peer] != tag {
			if x.inited[m.dir] && x.inited[peer] {
				x.inited[peer] = false
			}
			x.inited[m.dir] = true
		}
		x.vtag[peer] = tag
		// The same INIT again must not keep the entry for ever.
		if m.next == SCTPClosed && old == SCTPClosed && m.confirmed {
			m.unused = true
		}
		return Reason{}
	}
	have := x.vtag[peer]
	if !x.inited[peer] && have != 0 && have != tag || x.inited[0] && x.inited[1] && have != tag {
		return because(ReasonSCTPVTag, tag, have)
	}
	x.vtag[peer] = tag
	return Reason{}
}
