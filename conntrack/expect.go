package conntrack

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/bpfct/bpfct/internal/errno"
)

// ExpectFlags are facts about an expectation (NF_CT_EXPECT_*).
type ExpectFlags uint8

// The flags.
const (
	ExpectPermanent ExpectFlags = 1 << 0 // stays when it comes true
	ExpectInactive  ExpectFlags = 1 << 1 // does not come true
)

// Expectation says that a connection will come that belongs to another: the
// data connection of FTP. It comes true with the first packet that begins a
// connection with its tuple; where SrcAddr or SrcPort of the mask is not set,
// that part may be anything.
type Expectation struct {
	Tuple    Tuple
	MaskAddr bool // the source address counts
	MaskPort bool // the source port counts
	Master   Conn
	Flags    ExpectFlags
	// Class tells kinds of expectations of one helper apart, Max is how many
	// of a class a master may have (0: any number), Seconds how long each waits.
	Class   uint8
	Max     int
	Seconds uint32
	// Helper is the helper's name; where HelpNew the new connection is in its
	// care too.
	Helper  string
	HelpNew bool

	// For NAT: the direction that the helper saw it in, where the packet is to
	// go before translation, and what is done with the new connection.
	Dir       Dir
	SavedAddr Addr
	SavedPort uint16
	OnNew     func(c Conn, x *Expectation)
}

// expectation is one in the table.
type expectation struct {
	Expectation
	expires uint32 // jiffies
}

// expectKey is the part of a tuple that always counts.
type expectKey struct {
	dst   Addr
	port  uint16
	fam   Family
	proto uint8
}

func keyOf(t *Tuple) expectKey { return expectKey{t.Dst, t.DstPort, t.Family, t.Proto} }

// expectations are those of a table.
type expectations struct {
	n  atomic.Int32 // how many there are
	mu sync.Mutex
	by map[expectKey][]*expectation // newest first; guarded by mu
	of map[handle][]*expectation    // by master, oldest first; guarded by mu
}

// drop takes x out. The caller holds mu, and gives back the reference to the
// master when it no longer does.
func (e *expectations) drop(x *expectation) {
	k := keyOf(&x.Tuple)
	gone := func(o *expectation) bool { return o == x }
	if e.by[k] = slices.DeleteFunc(e.by[k], gone); len(e.by[k]) == 0 {
		delete(e.by, k)
	}
	h := x.Master.h
	if e.of[h] = slices.DeleteFunc(e.of[h], gone); len(e.of[h]) == 0 {
		delete(e.of, h)
	}
	e.n.Add(-1)
}

// fits says whether a packet with tuple t makes x true.
func (x *expectation) fits(t *Tuple) bool {
	return (!x.MaskAddr || x.Tuple.Src == t.Src) && (!x.MaskPort || x.Tuple.SrcPort == t.SrcPort)
}

// clashes says whether some packet could make both true.
func (x *expectation) clashes(o *Expectation) bool {
	return (!x.MaskAddr || !o.MaskAddr || x.Tuple.Src == o.Tuple.Src) &&
		(!x.MaskPort || !o.MaskPort || x.Tuple.SrcPort == o.Tuple.SrcPort)
}

// same says whether x and o expect the same.
func (x *expectation) same(o *Expectation) bool {
	return x.Tuple == o.Tuple && x.MaskAddr == o.MaskAddr && x.MaskPort == o.MaskPort && x.Helper == o.Helper
}

func sameZones(a, b Zone) bool { return a.ID == b.ID && a.Dir == b.Dir }

// Expect adds an expectation. The same one again begins its time anew. EBUSY
// where a packet could make it and another true, EALREADY where another
// connection expects just the same, EMFILE beyond nf_conntrack_expect_max; of
// more than Max the oldest goes. EINVAL where the master is of another table
// or gone.
func (t *Table) Expect(x Expectation) error {
	if x.Master.t != t || x.Master.Hold() != nil {
		return errno.EINVAL
	}
	now := t.now()
	n := &expectation{Expectation: x, expires: now + x.Seconds*uint32(t.hz)}
	e := &t.expects
	var gone []*expectation
	e.mu.Lock()
	err := func() error {
		gone = e.reap(now)
		k := keyOf(&x.Tuple)
		for _, o := range e.by[k] {
			if !sameZones(o.Master.Zone(), x.Master.Zone()) {
				continue
			}
			if o.same(&x) {
				if o.Class != x.Class || !o.Master.Same(x.Master) {
					return errno.EALREADY
				}
				e.drop(o)
				gone = append(gone, o)
				break
			}
			if o.clashes(&x) {
				return errno.EBUSY
			}
		}
		if x.Max > 0 {
			var class []*expectation
			for _, o := range e.of[x.Master.h] {
				if o.Class == x.Class {
					class = append(class, o)
				}
			}
			if len(class) >= x.Max {
				e.drop(class[0])
				gone = append(gone, class[0])
			}
		}
		if e.n.Load() >= t.sysctls[sysctlExpectMax].Load() {
			return errno.EMFILE
		}
		if e.by == nil {
			e.by, e.of = map[expectKey][]*expectation{}, map[handle][]*expectation{}
		}
		e.by[k] = append([]*expectation{n}, e.by[k]...)
		e.of[x.Master.h] = append(e.of[x.Master.h], n)
		e.n.Add(1)
		return nil
	}()
	e.mu.Unlock()
	release(gone)
	if err != nil {
		x.Master.put()
	}
	return err
}

// reap takes out those whose time is over. The caller holds mu.
func (e *expectations) reap(now uint32) (gone []*expectation) {
	for _, list := range e.by {
		for _, x := range list {
			if expired(x.expires, now) {
				gone = append(gone, x)
			}
		}
	}
	for _, x := range gone {
		e.drop(x)
	}
	return gone
}

// release gives back the masters of expectations that are out of the table.
func release(gone []*expectation) {
	for _, x := range gone {
		x.Master.put()
	}
}

// Expectations lists what is expected, by the tuples' text. Master has no
// reference of its own.
func (t *Table) Expectations() []Expectation {
	e := &t.expects
	e.mu.Lock()
	gone := e.reap(t.now())
	var out []Expectation
	for _, list := range e.by {
		for _, x := range list {
			out = append(out, x.Expectation)
		}
	}
	e.mu.Unlock()
	release(gone)
	slices.SortFunc(out, func(a, b Expectation) int {
		if s, o := a.Tuple.String(), b.Tuple.String(); s != o {
			if s < o {
				return -1
			}
			return 1
		}
		return int(a.Master.h) - int(b.Master.h)
	})
	return out
}

// unexpect ends what a connection expects, since it is deleted.
func (t *Table) unexpect(c Conn) {
	e := &t.expects
	if e.n.Load() == 0 {
		return
	}
	e.mu.Lock()
	gone := slices.Clone(e.of[c.h])
	for _, x := range gone {
		e.drop(x)
	}
	e.mu.Unlock()
	release(gone)
}

// fulfil makes c the connection that an expectation in its zone was about, if
// there is one.
func (t *Table) fulfil(c Conn) bool {
	e := &t.expects
	if e.n.Load() == 0 {
		return false
	}
	e.mu.Lock()
	gone := e.reap(t.now())
	var x *expectation
	for _, o := range e.by[keyOf(&c.e.orig)] {
		if o.Flags&ExpectInactive == 0 && o.fits(&c.e.orig) && sameZones(o.Master.Zone(), c.e.zone) {
			x = o
			break
		}
	}
	if x != nil && x.Master.Status()&(IPSConfirmed|IPSDying) != IPSConfirmed {
		x = nil // its master is not known to the other end yet, or over
	}
	if x != nil && x.Flags&ExpectPermanent == 0 {
		e.drop(x)
		gone = append(gone, x)
	}
	e.mu.Unlock()
	if x != nil {
		if c.SetMaster(x.Master) == nil {
			c.e.mark.Store(x.Master.Mark())
			t.slab.coldAt(c.h).secmark.Store(t.slab.coldAt(x.Master.h).secmark.Load())
			if x.HelpNew {
				c.SetHelper(x.Helper, nil, false)
			}
			if x.OnNew != nil {
				x.OnNew(c, &x.Expectation)
			}
		} else {
			x = nil
		}
	}
	release(gone)
	return x != nil
}

// FollowMaster translates a new connection as its master is translated: it is
// what OnNew of an expectation does where NAT is on (nf_nat_follow_master).
func FollowMaster(c Conn, x *Expectation) {
	m := x.Master.Tuple(1 - x.Dir)
	c.SetupNAT(Range{Flags: RangeMapIPs, MinAddr: m.Dst, MaxAddr: m.Dst}, ManipSrc)
	c.SetupNAT(Range{Flags: RangeMapIPs | RangePorts, MinAddr: m.Src, MaxAddr: m.Src, MinPort: x.SavedPort, MaxPort: x.SavedPort}, ManipDst)
}
