package conntrack

import "github.com/bpfct/bpfct/internal/errno"

// Track says which connection p belongs to, and moves that on. A packet that
// begins one gets a new Conn that nobody else finds until [Table.Confirm] at
// the end of the packet's way; it ends with [Info.Release] where the packet
// does not get there.
//
// p is not kept. Many goroutines may call Track at once.
func (t *Table) Track(p *Packet) Info {
	if p.Untracked {
		return Info{CtInfo: CtUntracked, Verdict: VerdictAccept}
	}
	if p.Fault == ReasonNoTransport {
		return t.invalid(Reason{p.Fault, p.FaultN})
	}
	if info, done := t.trackMessage(p); done {
		return info
	}
	for {
		info := t.resolve(p)
		if info.Conn.e == nil {
			return info
		}
		out := t.step(&info, p)
		if out.what == stepTaken {
			info.Reason = out.reason
			if info.CtInfo == CtEstablishedReply && info.Conn.Status()&IPSSeenReply == 0 {
				if Status(info.Conn.e.status.Or(uint32(IPSSeenReply)))&IPSSeenReply == 0 {
					info.Conn.note(ChangedReply)
				}
			}
			return info
		}
		refused := uint32(0)
		if info.Conn.Status()&IPSConfirmed != 0 {
			refused = info.Conn.ID()
		}
		info.Release()
		if out.what != stepAgain {
			bad := t.invalid(out.reason)
			bad.Refused = refused
			if out.what == stepDrop {
				t.stats.add(statDrop, 1)
				bad.Verdict = VerdictDrop
			}
			return bad
		}
	}
}

// A step is what a protocol's tracker makes of a packet.
type step struct {
	what   stepKind
	reason Reason
}

type stepKind uint8

const (
	stepTaken   stepKind = iota // it belongs to the connection
	stepInvalid                 // it does not
	stepDrop                    // it must not pass
	stepAgain                   // the connection is gone: look it up anew
)

func (t *Table) invalid(r Reason) Info {
	t.stats.add(statInvalid, 1)
	return Info{Verdict: VerdictAccept, Reason: r}
}

// resolve finds the connection of p or makes one (resolve_normal_ct).
func (t *Table) resolve(p *Packet) Info {
	if p.Fault == ReasonNoTuple {
		return t.invalid(Reason{p.Fault, p.FaultN})
	}
	zone := p.zone()
	at := t.placeOf(&p.Tuple, zone.IDFor(Original))
	c, d, ok := t.findAt(&at, &p.Tuple, zone, zone.IDFor(Original))
	if rid := zone.IDFor(Reply); !ok && rid != zone.IDFor(Original) {
		c, d, ok = t.find(&p.Tuple, zone, rid)
	}
	if !ok {
		return t.begin(p, zone, &at)
	}
	info := Info{Conn: c, CtInfo: CtEstablishedReply, Verdict: VerdictAccept}
	if d == Original {
		switch s := c.Status(); {
		case s&IPSSeenReply != 0:
			info.CtInfo = CtEstablished
		case s&IPSExpected != 0:
			info.CtInfo = CtRelated
		default:
			info.CtInfo = CtNew
		}
	}
	return info
}

// begin makes the connection whose first packet is p (init_conntrack).
func (t *Table) begin(p *Packet, zone Zone, at *place) Info {
	reply, ok := p.Tuple.Invert()
	if !ok {
		return t.invalid(because(ReasonNoInverse, uint32(p.ICMPType), uint32(p.Tuple.Proto)))
	}
	c, err := t.alloc(&p.Tuple, &reply, zone, at.hash)
	if err != nil {
		t.stats.add(statDrop, 1)
		return Info{Verdict: VerdictDrop, Reason: because(ReasonTableFull, t.sysctls.max())}
	}
	info := Info{Conn: c, CtInfo: CtNew, Verdict: VerdictAccept}
	x := t.slab.trackOf(c.h)
	x.reset()
	if t.sysctls[sysctlAcct].Load() != 0 {
		x.extras |= hasCounters
	}
	if t.sysctls[sysctlTimestamp].Load() != 0 {
		x.extras |= hasStamps
	}
	if x.extras != 0 {
		*t.slab.countsOf(c.h) = counts{}
	}
	if t.fulfil(c) {
		info.CtInfo = CtRelated
	}
	return info
}

// step hands the packet to the tracker of its protocol.
func (t *Table) step(i *Info, p *Packet) step {
	switch i.Conn.e.orig.Proto {
	case ProtoTCP:
		return t.stepTCP(i, p)
	case ProtoUDP, ProtoUDPLite:
		return t.stepUDP(i, p)
	case ProtoICMP, ProtoICMPv6:
		return t.stepICMP(i, p)
	case ProtoGRE:
		return t.stepGRE(i, p)
	case ProtoSCTP:
		return t.stepSCTP(i, p)
	}
	t.refresh(i, p, t.setting(sysctlGenericTimeout))
	return step{}
}

// setting is a sysctl of seconds in jiffies.
func (t *Table) setting(i int) uint32 {
	return uint32(t.sysctls[i].Load()) * uint32(t.hz)
}

// refresh gives the connection a new timeout and counts the packet
// (nf_ct_refresh_acct).
func (t *Table) refresh(i *Info, p *Packet, timeout uint32) {
	e := i.Conn.e
	s := Status(e.status.Load())
	if s&IPSFixedTimeout == 0 {
		if s&IPSConfirmed != 0 {
			timeout += t.now()
		}
		if e.timeout.Load() != timeout {
			e.timeout.Store(timeout)
		}
	}
	t.account(i.Conn, i.Dir(), p.Len)
}

// badChecksum says whether p must be refused for its checksum.
func (t *Table) badChecksum(p *Packet) bool {
	return p.BadChecksum && t.sysctls[sysctlChecksum].Load() != 0
}

// refuse is the step of a packet that is invalid for a reason.
func refuse(id ReasonID, n ...uint32) step {
	return step{what: stepInvalid, reason: because(id, n...)}
}

// fault is the step of a packet whose headers are wrong.
func fault(p *Packet) step {
	return step{what: stepInvalid, reason: Reason{p.Fault, p.FaultN}}
}

// Confirm ends the way of a packet through the host: a connection that it
// began goes into the table, and what it changed is told to subscribers. The
// packet must be dropped where the answer is VerdictDrop; then i has no
// connection any more.
//
// Where another packet of the same connection was faster, the two are made
// one if their protocol allows that: i.Conn is the other's connection then.
func (t *Table) Confirm(i *Info) Verdict {
	c := i.Conn
	if c.e == nil {
		return i.Verdict
	}
	if c.Status()&IPSConfirmed == 0 && i.Dir() == Original {
		if r := t.confirm(i); r.ID != ReasonNone {
			i.Release()
			i.Reason, i.Verdict = r, VerdictDrop
			return VerdictDrop
		}
		c = i.Conn
	}
	t.deliver(c)
	return VerdictAccept
}

func (t *Table) confirm(i *Info) Reason {
	c := i.Conn
	merged, err := t.insert(c.h, c.e, i)
	if i.loser.e != nil { // not under the locks of insert
		i.loser.put()
		i.loser = Conn{}
	}
	switch err {
	case nil:
		if !merged {
			t.stats.add(statInsert, 1)
			if _, expected := c.Master(); expected {
				c.note(ChangedRelated)
			} else {
				c.note(ChangedNew)
			}
		}
		return Reason{}
	case errno.EEXIST:
		t.stats.add(statDrop, 1)
		t.stats.add(statInsertFailed, 1)
		return because(ReasonClash)
	case errno.ENOSPC:
		return because(ReasonChainTooLong)
	}
	t.stats.add(statInsertFailed, 1)
	return because(ReasonDying)
}
