package conntrack

import (
	"github.com/bpfct/bpfct/internal/errno"
)

// Manip is which end of a connection NAT changes (enum nf_nat_manip_type).
type Manip uint8

// The manips.
const (
	ManipSrc Manip = 0 // NF_NAT_MANIP_SRC
	ManipDst Manip = 1 // NF_NAT_MANIP_DST
)

// String is "snat" or "dnat".
func (m Manip) String() string {
	if m == ManipSrc {
		return "snat"
	}
	return "dnat"
}

// SetNATInfo decides NAT for a connection that was not inserted yet: manip of
// its packets in the original direction becomes addr and port, and its reply
// tuple is altered accordingly. With a port below 1 the port stays where the
// reply tuple is free, and another is searched where it is not; with a port
// that reply tuple is taken untested, and Insert fails where it is not free.
// So it does where a search ends without a free port.
//
// Where the source has a connection that already got addr, its port is tried
// first, so that one source is seen as one.
//
// addr is 16 bytes as a program hands them over. Of an IPv4 address only four
// count, but with others that are not zero even a translation to the address
// that the packet has counts as one (SRC_NAT or DST_NAT is set) where Linux
// compares all sixteen.
//
// After Insert the call does nothing. ENOMEM where manip was decided before,
// EINVAL where it is neither manip; in Linux the latter is a warning and a
// corrupted list.
func (c Conn) SetNATInfo(addr Addr, port int32, manip Manip) error {
	if !c.Valid() {
		return errno.ESRCH
	}
	if manip > ManipDst {
		return errno.EINVAL
	}
	r := Range{Flags: RangeMapIPs, MinAddr: addr, MaxAddr: addr}
	if port > 0 {
		r.Flags |= RangePorts
		r.MinPort, r.MaxPort = uint16(port), uint16(port)
	}
	return c.setupNAT(&r, manip)
}

// SetupNAT decides NAT as a rule does: manip of the packets in the original
// direction becomes something of r that no other connection has, as far as
// such is found (nf_nat_setup_info). It is for the first packet, between
// [Table.Track] and [Table.Confirm]; after that it does nothing.
//
// ENOMEM where manip was decided before: see [Conn.NATDecided]. EINVAL where
// it is neither manip.
func (c Conn) SetupNAT(r Range, manip Manip) error {
	if !c.Valid() {
		return errno.ESRCH
	}
	if manip > ManipDst {
		return errno.EINVAL
	}
	return c.setupNAT(&r, manip)
}

// NullBinding decides that manip stays as it is, or rather: that only the port
// changes, and only where another connection has the same tuple. It is what
// Linux does with every first packet that no NAT rule met, once a table has
// NAT at all.
func (c Conn) NullBinding(manip Manip) error {
	if !c.Valid() {
		return errno.ESRCH
	}
	if manip > ManipDst {
		return errno.EINVAL
	}
	addr := c.e.reply.Dst
	if manip == ManipDst {
		addr = c.e.reply.Src
	}
	return c.setupNAT(&Range{Flags: RangeMapIPs, MinAddr: addr, MaxAddr: addr}, manip)
}

// NATDecided says whether manip was decided, be it that nothing changes.
func (c Conn) NATDecided(manip Manip) bool {
	if manip == ManipDst {
		return c.Status()&IPSDstNATDone != 0
	}
	return c.Status()&IPSSrcNATDone != 0
}

// Translate is the tuple that the packet of i must have behind the hook that
// does manip, and whether that is another than it has (nf_nat_packet). It is
// the outer tuple also for an ICMP error; the packet that the error quotes
// gets the inverse of it, manip being the other one for it.
func (i *Info) Translate(manip Manip) (Tuple, bool) {
	c := i.Conn
	if c.e == nil || !c.Valid() {
		return Tuple{}, false
	}
	bit := IPSSrcNAT
	if manip == ManipDst {
		bit = IPSDstNAT
	}
	if i.Dir() == Reply {
		bit ^= IPSNATMask
	}
	if c.Status()&bit == 0 {
		return Tuple{}, false
	}
	return c.e.tuple(1 - i.Dir()).Invert()
}

// setupNAT is nf_nat_setup_info.
func (c Conn) setupNAT(r *Range, manip Manip) error {
	e := c.e
	st := c.Status()
	if st&IPSConfirmed != 0 {
		return nil
	}
	does, done := IPSSrcNAT, IPSSrcNATDone
	if manip == ManipDst {
		does, done = IPSDstNAT, IPSDstNATDone
	}
	if st&done != 0 {
		return errno.ENOMEM
	}
	// What an earlier manip made of the original tuple is the reply's inverse.
	curr, ok := e.reply.Invert()
	if !ok {
		return errno.EINVAL
	}
	tuple := c.uniqueTuple(curr, r, manip)
	if tuple != curr {
		reply, ok := tuple.Invert()
		if !ok {
			return errno.EINVAL
		}
		c.t.alterReply(e, reply)
		e.status.Or(uint32(does))
	}
	if manip == ManipSrc {
		c.t.rememberSource(c.h, e)
	}
	e.status.Or(uint32(done))
	return nil
}

// uniqueTuple is what curr becomes: in the range, and with a reply that no
// connection has, as far as one is found.
func (c Conn) uniqueTuple(curr Tuple, r *Range, manip Manip) Tuple {
	random := r.Flags&rangeAnyRandom != 0
	if manip == ManipSrc && !random {
		if r.contains(&curr) {
			if !c.takenAtFirst(&curr) {
				return curr
			}
		} else if t, ok := c.t.mappingOf(&curr, c.e.zone, r); ok && !c.taken(&t) {
			return t
		}
	}
	tuple := curr
	r.place(&tuple, c.e.zone, manip)
	switch {
	case random:
	case r.Flags&RangePorts == 0:
		if !c.taken(&tuple) {
			return tuple
		}
	case r.Flags&RangeOffset == 0 && r.portIn(&tuple, manip) && (r.MinPort == r.MaxPort || !c.taken(&tuple)):
		return tuple
	}
	c.searchPort(&tuple, r, manip)
	return tuple
}

// How many ports a search tries at first, and with how few it stops.
const (
	maxAttempts = 128
	minAttempts = 16
)

// portChoice is what a search for a free port may choose from: which end of
// the tuple, and lo and the numbers behind it. It is false where the port must
// not change.
func (c Conn) portChoice(tuple *Tuple, r *Range, manip Manip) (port *uint16, lo, size uint32, ok bool) {
	port = &tuple.SrcPort
	ports := r.Flags&RangePorts != 0
	lo, size = uint32(r.MinPort), uint32(r.MaxPort-r.MinPort)+1
	switch tuple.Proto {
	case ProtoICMP, ProtoICMPv6: // the id is the same both ways
		if !ports {
			lo, size = 0, 65536
		}
		return port, lo, size, true
	case ProtoGRE:
		if _, ok := c.Master(); !ok {
			return nil, 0, 0, false // not PPTP: the key is not ours to change
		}
		if manip == ManipDst {
			port = &tuple.DstPort
		}
		if !ports {
			lo, size = 1, 65535
		}
		return port, lo, size, true
	case ProtoUDP, ProtoUDPLite, ProtoTCP, ProtoSCTP:
	default:
		return nil, 0, 0, false
	}
	if manip == ManipDst {
		port = &tuple.DstPort
	}
	switch {
	case ports && r.MaxPort < r.MinPort:
		lo, size = uint32(r.MaxPort), uint32(r.MinPort-r.MaxPort)+1
	case ports:
	case manip == ManipDst:
		return nil, 0, 0, false // a service is not moved to another port
	case *port < 512: // a low port stays a low one
		lo, size = 1, 511
	case *port < 1024:
		lo, size = 600, 424
	default:
		lo, size = 1024, 65536-1024
	}
	return port, lo, size, true
}

// searchPort changes the port of tuple until its reply is free. It tries up to
// 128 from a random place on, then 64 from another, 32 and 16: a full range
// must not make one packet wait for 64,000 lookups. Where nothing is found the
// tuple keeps the port that was tried last.
func (c Conn) searchPort(tuple *Tuple, r *Range, manip Manip) {
	port, lo, size, ok := c.portChoice(tuple, r, manip)
	if !ok {
		return
	}
	var off uint16
	switch {
	case r.Flags&RangeOffset != 0:
		off = *port - r.BasePort
	case r.Flags&rangeAnyRandom != 0 || manip != ManipDst:
		off = c.t.rand.uint16()
	}
	for attempts := min(size, maxAttempts); ; attempts /= 2 {
		for i := range attempts {
			*port = uint16(lo + uint32(off)%size)
			if !c.takenStill(tuple, attempts-i) {
				return
			}
			off++
		}
		if attempts >= size || attempts < minAttempts {
			return
		}
		off = c.t.rand.uint16()
	}
}

// evictFrom is with how many tries left a search may take the tuple of a
// connection that is over.
const evictFrom = maxAttempts / 4

// takenStill is taken near the end of a search: a TCP connection in TIME_WAIT
// or CLOSE gives way to one that begins with a later sequence number.
func (c Conn) takenStill(tuple *Tuple, left uint32) bool {
	if left > evictFrom || tuple.Proto != ProtoTCP {
		return c.taken(tuple)
	}
	if s, _ := c.TCPState(); s != TCPSynSent {
		return c.taken(tuple)
	}
	reply, ok := tuple.Invert()
	if !ok {
		return false
	}
	o, _, err := c.t.Lookup(reply, c.e.zone)
	if err != nil {
		return false
	}
	defer o.put()
	c.t.stats.add(statFound, 1)
	if s, _ := o.TCPState(); s < TCPTimeWait || o.Status()&(IPSFixedTimeout|IPSDying|IPSOffload|IPSHWOffload) != 0 {
		return true
	}
	mine, theirs := c.t.slab.trackOf(c.h), c.t.slab.trackOf(o.h)
	theirs.mu.Lock()
	older := theirs.tcp.side[Original].end
	theirs.mu.Unlock()
	if !after(mine.tcp.side[Original].end, older) {
		return true
	}
	return !c.t.unlink(o)
}

// taken says whether a connection other than c has the reply of tuple
// (nf_nat_used_tuple). One with c's own original tuple does not count: they
// are the same flow, and Insert will keep one of them out.
func (c Conn) taken(tuple *Tuple) bool {
	reply, ok := tuple.Invert()
	if !ok {
		return false
	}
	zone := c.e.zone
	id := zone.IDFor(Reply)
	o, _, ok := c.t.search(&reply, id, func(o *entry, d Dir) bool {
		if zone.IDFor(d) != id {
			return false
		}
		return o.orig != c.e.orig ||
			o.zone.IDFor(Original) != zone.IDFor(Original)
	})
	if ok {
		o.put()
		c.t.stats.add(statFound, 1)
	}
	return ok
}

// takenAtFirst is taken for a tuple that needs no change. Where two hosts
// called each other at once, both packets may have made a connection; those of
// a protocol for which that is resolved later keep their ports.
func (c Conn) takenAtFirst(tuple *Tuple) bool {
	if !c.taken(tuple) {
		return false
	}
	switch tuple.Proto {
	case ProtoTCP, ProtoICMP, ProtoICMPv6, ProtoSCTP:
		return true
	}
	const usesNAT = IPSNATMask | IPSSeqAdjust
	if c.Status()&usesNAT != 0 {
		return true
	}
	o, _, err := c.t.Lookup(*tuple, c.e.zone)
	if err != nil {
		reply, _ := tuple.Invert()
		if o, _, err = c.t.Lookup(reply, c.e.zone); err != nil {
			return false
		}
	}
	defer o.put()
	return o.Status()&usesNAT != 0 || o.e.orig != c.e.reply
}
