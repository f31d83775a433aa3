package conntrack

import "encoding/binary"

// RangeFlags say what counts of a [Range] (NF_NAT_RANGE_*).
type RangeFlags uint32

// The flags, with Linux' numbers.
const (
	RangeMapIPs      RangeFlags = 1 << 0 // the addresses count
	RangePorts       RangeFlags = 1 << 1 // the ports count (PROTO_SPECIFIED)
	RangeRandom      RangeFlags = 1 << 2 // the search begins at a random port, always
	RangePersistent  RangeFlags = 1 << 3 // one source gets one address, whatever it talks to
	RangeRandomFully RangeFlags = 1 << 4 // like RangeRandom
	RangeOffset      RangeFlags = 1 << 5 // ports are shifted: BasePort becomes MinPort (PROTO_OFFSET)
	RangeNetmap      RangeFlags = 1 << 6 // for the rule set, see [Netmap]

	rangeAnyRandom = RangeRandom | RangeRandomFully
)

// Range is what NAT may choose from (struct nf_nat_range2). The zero Range
// leaves the address and keeps the port where it is free.
type Range struct {
	Flags            RangeFlags
	MinAddr, MaxAddr Addr
	// MinPort to MaxPort are ports, ICMP ids or GRE keys.
	MinPort, MaxPort uint16
	BasePort         uint16
}

// addrIn says whether a is an address of the range in family f.
func (r *Range) addrIn(a *Addr, f Family) bool {
	n := 16
	if f == IPv4 {
		n = 4
	}
	return string(a[:n]) >= string(r.MinAddr[:n]) && string(a[:n]) <= string(r.MaxAddr[:n])
}

// contains says whether the source of t needs no change.
func (r *Range) contains(t *Tuple) bool {
	if r.Flags&RangeMapIPs != 0 && !r.addrIn(&t.Src, t.Family) {
		return false
	}
	return r.Flags&RangePorts == 0 || r.portIn(t, ManipSrc)
}

// portIn says whether the port that manip changes is in the range.
func (r *Range) portIn(t *Tuple, manip Manip) bool {
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
	return p >= r.MinPort && p <= r.MaxPort
}

// place sets the address that manip changes to one of the range. Which one, a
// hash of both addresses says: the same hosts get the same address again, also
// after the table was lost.
func (r *Range) place(t *Tuple, zone Zone, manip Manip) {
	if r.Flags&RangeMapIPs == 0 {
		return
	}
	at := &t.Src
	if manip == ManipDst {
		at = &t.Dst
	}
	if r.MinAddr == r.MaxAddr {
		*at = r.MinAddr
		return
	}
	last := 3
	if t.Family == IPv4 {
		last = 0
	}
	persistent := r.Flags&RangePersistent != 0
	seed := uint32(0)
	if !persistent {
		seed = word(&t.Dst, last) ^ uint32(zone.ID)
	}
	j := jenkins(&t.Src, seed)
	free := false // the words before are below the greatest: any word will do
	for i := range last + 1 {
		lo, size := uint32(0), ^uint32(0)
		if !free {
			lo = binary.BigEndian.Uint32(r.MinAddr[4*i:])
			size = binary.BigEndian.Uint32(r.MaxAddr[4*i:]) - lo + 1
		}
		binary.BigEndian.PutUint32(at[4*i:], lo+uint32(uint64(j)*uint64(size)>>32))
		free = free || word(at, i) != word(&r.MaxAddr, i)
		if !persistent {
			j ^= word(&t.Dst, i)
		}
	}
}

// word is a part of an address as a little-endian machine reads it. Linux'
// choice depends on the machine's byte order; ours is that of amd64 and arm64.
func word(a *Addr, i int) uint32 { return binary.LittleEndian.Uint32(a[4*i:]) }

// jenkins is Bob Jenkins' hash "lookup3" of the four words of an address
// (public domain, 2006).
func jenkins(addr *Addr, seed uint32) uint32 {
	rot := func(x uint32, k uint) uint32 { return x<<k | x>>(32-k) }
	a := 0xdeadbeef + uint32(4<<2) + seed
	b, c := a, a
	a += word(addr, 0)
	b += word(addr, 1)
	c += word(addr, 2)
	// mix
	a -= c
	a ^= rot(c, 4)
	c += b
	b -= a
	b ^= rot(a, 6)
	a += c
	c -= b
	c ^= rot(b, 8)
	b += a
	a -= c
	a ^= rot(c, 16)
	c += b
	b -= a
	b ^= rot(a, 19)
	a += c
	c -= b
	c ^= rot(b, 4)
	b += a
	// the last word, and final
	a += word(addr, 3)
	c ^= b
	c -= rot(b, 14)
	a ^= c
	a -= rot(c, 11)
	b ^= a
	b -= rot(a, 25)
	c ^= b
	c -= rot(b, 16)
	a ^= c
	a -= rot(c, 4)
	b ^= a
	b -= rot(a, 14)
	c ^= b
	c -= rot(b, 24)
	return c
}

// Netmap is addr with its prefix replaced by that of lo, where lo to hi is a
// whole network: what a rule with "prefix" makes of an address.
func Netmap(addr, lo, hi Addr) Addr {
	for i := range addr {
		mask := ^(lo[i] ^ hi[i])
		addr[i] = addr[i]&^mask | lo[i]&mask
	}
	return addr
}
