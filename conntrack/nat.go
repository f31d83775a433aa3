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

// natRange is what NAT may choose from: one address, and all ports or those
// between min and max.
type natRange struct {
	addr     Addr
	ports    bool
	min, max uint16
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
	r := natRange{addr: addr}
	if port > 0 {
		r.ports = true
		r.min, r.max = uint16(port), uint16(port)
	}
	return c.setupNAT(&r, manip)
}

// setupNAT is nf_nat_setup_info.
func (c Conn) setupNAT(r *natRange, manip Manip) error {
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
func (c Conn) uniqueTuple(curr Tuple, r *natRange, manip Manip) Tuple {
	if manip == ManipSrc {
		if r.contains(&curr) {
			if !c.takenAtFirst(&curr) {
				return curr
			}
		} else if t, ok := c.t.mappingOf(&curr, c.e.zone, r); ok && !c.taken(&t) {
			return t
		}
	}
	tuple := curr
	if manip == ManipSrc {
		tuple.Src = r.addr
	} else {
		tuple.Dst = r.addr
	}
	if r.ports {
		if r.portIn(&tuple, manip) && (r.min == r.max || !c.taken(&tuple)) {
			return tuple
		}
	} else if !c.taken(&tuple) {
		return tuple
	}
	c.searchPort(&tuple, r, manip)
	return tuple
}

// contains says whether the source of t needs no change.
func (r *natRange) contains(t *Tuple) bool {
	if t.Family == IPv4 && [4]byte(t.Src[:4]) != [4]byte(r.addr[:4]) || t.Family != IPv4 && t.Src != r.addr {
		return false
	}
	return !r.ports || r.portIn(t, ManipSrc)
}

// portIn says whether the port that manip changes is in the range.
func (r *natRange) portIn(t *Tuple, manip Manip) bool {
	p := t.SrcPort
	switch t.Proto {
	case ProtoICMP, ProtoICMPv6:
	case ProtoGRE, ProtoTCP, ProtoUDP, ProtoUDPLite, ProtoSCTP:
		if manip == ManipDst {
			p = t.DstPort
		}
	default:
		return true
	}
	return p >= r.min && p <= r.max
}

// How many ports a search tries at first, and with how few it stops.
const (
	maxAttempts = 128
	minAttempts = 16
)

// searchPort changes the port of tuple until its reply is free. It tries up to
// 128 from a random place on, then 64 from another, 32 and 16: a full range
// must not make one packet wait for 64,000 lookups. Where nothing is found the
// tuple keeps the port that was tried last.
func (c Conn) searchPort(tuple *Tuple, r *natRange, manip Manip) {
	port := &tuple.SrcPort
	lo, size := uint32(r.min), uint32(r.max-r.min)+1
	switch tuple.Proto {
	case ProtoICMP, ProtoICMPv6:
		if !r.ports {
			lo, size = 0, 65536
		}
	case ProtoGRE:
		if _, ok := c.Master(); !ok {
			return // not PPTP: the key is not ours to change
		}
		if manip == ManipDst {
			port = &tuple.DstPort
		}
		if !r.ports {
			lo, size = 1, 65535
		}
	case ProtoUDP, ProtoUDPLite, ProtoTCP, ProtoSCTP:
		if manip == ManipDst {
			port = &tuple.DstPort
		}
		switch {
		case r.ports && r.max < r.min:
			lo, size = uint32(r.max), uint32(r.min-r.max)+1
		case r.ports:
		case manip == ManipDst:
			return // a service is not moved to another port
		case *port < 512: // a low port stays a low one
			lo, size = 1, 511
		case *port < 1024:
			lo, size = 600, 424
		default:
			lo, size = 1024, 65536-1024
		}
	default:
		return
	}
	var off uint16
	if manip != ManipDst {
		off = c.t.rand.uint16()
	}
	for attempts := min(size, maxAttempts); ; attempts /= 2 {
		for range attempts {
			*port = uint16(lo + uint32(off)%size)
			if !c.taken(tuple) {
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
