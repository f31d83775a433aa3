package conntrack

import (
	"math"

	"github.com/bpfct/bpfct/internal/errno"
)

// Conn is a counted reference to a connection. It is a small value; copies of
// it are the same reference, which is given back once. The zero Conn refers to
// nothing.
//
// After its last reference went, a connection's place serves others. A Conn
// knows by a generation number that this happened: then [Conn.Valid] is false,
// what it reads is zero and what it does is ESRCH.
type Conn struct {
	t   *Table // immutable
	e   *entry // immutable: the entry of h
	h   handle // immutable
	gen uint32 // immutable
}

// Valid says whether c refers to a connection that still exists.
func (c Conn) Valid() bool {
	return c.e != nil && c.e.gen.Load() == c.gen && c.e.use.Load() > 0
}

// Table is where c belongs, nil for the zero Conn.
func (c Conn) Table() *Table { return c.t }

// Same says whether c and o are the same connection.
func (c Conn) Same(o Conn) bool { return c.e == o.e && c.gen == o.gen }

// Hold takes one more reference.
func (c Conn) Hold() error {
	if !c.Valid() {
		return errno.ESRCH
	}
	c.e.use.Add(1)
	return nil
}

// Release gives the reference back. With the last one the connection goes.
func (c Conn) Release() error {
	if !c.Valid() {
		return errno.ESRCH
	}
	c.put()
	return nil
}

// put gives back a reference that the caller knows to have.
func (c Conn) put() {
	if c.e.use.Add(-1) == 0 {
		c.t.free(c.h, c.e)
	}
}

// Delete takes the connection out of the table: it is DYING and nobody finds
// it any more. Who holds a reference keeps it. It is false where somebody else
// was first or it was never inserted.
func (c Conn) Delete() bool {
	return c.Valid() && c.t.unlink(c)
}

// Tuple is the tuple of direction d.
func (c Conn) Tuple(d Dir) Tuple {
	if !c.Valid() || d > Reply {
		return Tuple{}
	}
	return *c.e.tuple(d)
}

// Zone is the zone it was made in.
func (c Conn) Zone() Zone {
	if !c.Valid() {
		return Zone{}
	}
	return c.e.zone
}

// Status is the status word.
func (c Conn) Status() Status {
	if !c.Valid() {
		return 0
	}
	return Status(c.e.status.Load())
}

// Timeout is the member timeout: a number of jiffies before Insert, and after
// it the time stamp (the low 32 bits of jiffies) at which the connection ends.
func (c Conn) Timeout() uint32 {
	if !c.Valid() {
		return 0
	}
	return c.e.timeout.Load()
}

// Expires is how many jiffies the connection has left, 0 where its time is
// over; before Insert, how many it will have.
func (c Conn) Expires() uint32 {
	if !c.Valid() {
		return 0
	}
	left := c.e.timeout.Load()
	if c.Status()&IPSConfirmed != 0 {
		left -= c.t.now()
	}
	return uint32(max(int32(left), 0))
}

// Use is the reference count. As in Linux it is 0 before Insert, though the
// caller of Alloc has one, and 2 right after it: the table's and the caller's.
func (c Conn) Use() int {
	if !c.Valid() || c.Status()&IPSConfirmed == 0 {
		return 0
	}
	return int(c.e.use.Load())
}

// Mark is the mark that a program or a rule set.
func (c Conn) Mark() uint32 {
	if !c.Valid() {
		return 0
	}
	return c.e.mark.Load()
}

// SetMark sets the mark.
func (c Conn) SetMark(m uint32) error {
	if !c.Valid() {
		return errno.ESRCH
	}
	if c.e.mark.Swap(m) != m {
		c.t.publishUpdate(ChangedMark, c)
	}
	return nil
}

// SetSecMark sets the security mark.
func (c Conn) SetSecMark(m uint32) error {
	if !c.Valid() {
		return errno.ESRCH
	}
	c.t.slab.coldAt(c.h).secmark.Store(m)
	return nil
}

// SetTimeout makes the connection last for ms milliseconds, rounded up to
// jiffies and at most MaxInt32 of them: before Insert from then on, after it
// from now on.
func (c Conn) SetTimeout(ms uint32) error {
	if !c.Valid() {
		return errno.ESRCH
	}
	c.setTimeout(MsecsToJiffies(ms, c.t.hz))
	return nil
}

func (c Conn) setTimeout(jiffies uint64) {
	n := uint32(min(jiffies, math.MaxInt32))
	if c.Status()&IPSConfirmed != 0 {
		n += c.t.now()
	}
	c.e.timeout.Store(n)
}

// ChangeTimeout is SetTimeout for a connection that others may hold: EPERM
// where its timeout is fixed. On one that is dying the timeout is set and the
// answer ETIME.
func (c Conn) ChangeTimeout(ms uint32) error {
	if !c.Valid() {
		return errno.ESRCH
	}
	if c.Status()&IPSFixedTimeout != 0 {
		return errno.EPERM
	}
	c.setTimeout(MsecsToJiffies(ms, c.t.hz))
	if c.Status()&IPSDying != 0 {
		return errno.ETIME
	}
	c.t.publishUpdate(ChangedByProgram, c)
	return nil
}

// ChangeStatus makes s the status word as far as that is allowed; EBUSY, and
// nothing changes, where s differs in EXPECTED, CONFIRMED or DYING or lacks a
// SEEN_REPLY or ASSURED that is set. Other bits are set or left as they are,
// never cleared; NAT, SEQ_ADJUST, TEMPLATE, NAT_CLASH and the offload bits are
// left without a word. It is what bpf_ct_set_status does before Insert and
// bpf_ct_change_status after it.
func (c Conn) ChangeStatus(s Status) error {
	if !c.Valid() {
		return errno.ESRCH
	}
	old := c.Status()
	d := old ^ s
	if d&ipsRefused != 0 || d&ipsOnlySet&^s != 0 {
		return errno.EBUSY
	}
	if on := s & ipsAll &^ ipsUnchangeable; on != 0 {
		if was := Status(c.e.status.Or(uint32(on))); was|on != was {
			c.t.publishUpdate(ChangedByProgram, c)
		}
	}
	return nil
}

// Labels is the 128 connection labels, bit n in byte n/8.
func (c Conn) Labels() (l [16]byte) {
	if !c.Valid() {
		return l
	}
	return c.e.labelBytes()
}

// SetLabels replaces the labels under mask. It is atomic for each half of 64.
func (c Conn) SetLabels(value, mask [16]byte) error {
	if !c.Valid() {
		return errno.ESRCH
	}
	if c.e.replaceLabels(value, mask) {
		c.t.publishUpdate(ChangedLabel, c)
	}
	return nil
}

// SetMaster makes m the connection that expected c, and EXPECTED a bit of c's
// status. c holds a reference to m as long as it lives. EBUSY once c is
// inserted or has one, EINVAL where m is of another table or gone.
func (c Conn) SetMaster(m Conn) error {
	if !c.Valid() {
		return errno.ESRCH
	}
	if m.t != c.t || m.Same(c) || m.Hold() != nil {
		return errno.EINVAL
	}
	x := c.t.slab.coldAt(c.h)
	if c.Status()&IPSConfirmed != 0 || x.master != 0 {
		m.put()
		return errno.EBUSY
	}
	x.master, x.masterGen = m.h, m.gen
	c.e.status.Or(uint32(IPSExpected))
	return nil
}

// Master is the connection that expected c, without a reference of its own:
// it lives as long as c.
func (c Conn) Master() (Conn, bool) {
	if !c.Valid() {
		return Conn{}, false
	}
	x := c.t.slab.coldAt(c.h)
	if x.master == 0 {
		return Conn{}, false
	}
	return Conn{t: c.t, e: c.t.slab.at(x.master), h: x.master, gen: x.masterGen}, true
}
