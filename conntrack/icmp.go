package conntrack

// Kinds of ICMP messages, as bits of the tables below.
const (
	icmpBegins    = 1 << iota // may begin a connection
	icmpError                 // quotes the packet that it is about
	icmpUntracked             // is never tracked: neighbour discovery and multicast groups
)

// icmpKinds are those of ICMP by type, icmpv6Kinds those of ICMPv6.
var icmpKinds = [256]uint8{
	8: icmpBegins, 13: icmpBegins, 15: icmpBegins, 17: icmpBegins, // echo, timestamp, information, mask: requests
	3: icmpError, 4: icmpError, 5: icmpError, 11: icmpError, 12: icmpError,
}

var icmpv6Kinds = [256]uint8{
	128: icmpBegins, 139: icmpBegins, // echo request, node information query
	130: icmpUntracked, 131: icmpUntracked, 132: icmpUntracked, // listener query, report, done
	133: icmpUntracked, 134: icmpUntracked, 135: icmpUntracked, 136: icmpUntracked, // solicitations, advertisements
	143: icmpUntracked,                     // listener report, version 2
	151: icmpUntracked, 152: icmpUntracked, // multicast router advertisement, solicitation
}

// maxICMPType is the last type that Linux knows.
const maxICMPType = 18

// trackMessage deals with those ICMP and ICMPv6 messages that belong to no
// connection of their own: errors, neighbour discovery, broken ones. It is not
// done with others.
func (t *Table) trackMessage(p *Packet) (info Info, done bool) {
	switch {
	case p.Tuple.Proto == ProtoICMP && p.Tuple.Family == IPv4:
		if p.Fault != ReasonNone {
			return t.refused(Reason{p.Fault, p.FaultN}), true
		}
		if t.badChecksum(p) {
			return t.refused(because(ReasonBadChecksum)), true
		}
		if p.ICMPType > maxICMPType {
			return t.refused(because(ReasonICMPType, uint32(p.ICMPType))), true
		}
		if icmpKinds[p.ICMPType]&icmpError == 0 {
			return Info{}, false
		}
	case p.Tuple.Proto == ProtoICMPv6 && p.Tuple.Family == IPv6:
		if p.Fault != ReasonNone {
			return t.refused(Reason{p.Fault, p.FaultN}), true
		}
		if t.badChecksum(p) {
			return t.refused(because(ReasonBadChecksum)), true
		}
		if icmpv6Kinds[p.ICMPType]&icmpUntracked != 0 {
			return Info{CtInfo: CtUntracked, Verdict: VerdictAccept}, true
		}
		if p.ICMPType >= 128 {
			return Info{}, false
		}
	default:
		return Info{}, false
	}
	return t.trackError(p), true
}

// refused is a message that is not valid by itself. Linux counts it apart.
func (t *Table) refused(r Reason) Info {
	t.stats.add(statError, 1)
	return Info{Verdict: VerdictAccept, Reason: r}
}

// trackError finds the connection of the packet that an ICMP error quotes.
func (t *Table) trackError(p *Packet) Info {
	if !p.HasQuoted {
		return t.refused(because(ReasonQuotedTuple))
	}
	// The quoted packet went the other way than the error comes.
	inner, ok := p.Quoted.Invert()
	if !ok {
		return t.refused(because(ReasonQuotedTuple))
	}
	c, d, err := t.Lookup(inner, p.zone())
	if err != nil {
		return t.refused(because(ReasonQuotedConn))
	}
	// Who gets the error must be who sent what it is about.
	if c.e.tuple(d).Dst != p.Tuple.Dst {
		c.put()
		return t.refused(because(ReasonQuotedAddr))
	}
	info := Info{Conn: c, CtInfo: CtRelated, Verdict: VerdictAccept}
	if d == Reply {
		info.CtInfo = CtRelatedReply
	}
	return info
}

// stepICMP tracks messages with an id.
func (t *Table) stepICMP(i *Info, p *Packet) step {
	proto, family := i.Conn.e.orig.Proto, i.Conn.e.orig.Family
	kinds, timeout := &icmpKinds, sysctlICMP
	if proto == ProtoICMPv6 {
		kinds, timeout = &icmpv6Kinds, sysctlICMPv6
	}
	if (proto == ProtoICMP) != (family == IPv4) {
		return refuse(ReasonFamily, uint32(proto))
	}
	if i.Conn.Status()&IPSConfirmed == 0 && kinds[p.ICMPType]&icmpBegins == 0 {
		return refuse(ReasonICMPNotFirst, uint32(p.ICMPType))
	}
	t.refresh(i, p, t.setting(timeout))
	return step{}
}
