package contract

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/contract/internal/ops"
	"github.com/bpfct/bpfct/internal/errno"
)

const src, dst = conntrack.ManipSrc, conntrack.ManipDst

// udp makes the calls about UDP.
func udp(calls ...ops.Op) []ops.Op {
	for i := range calls {
		if c := &calls[i]; c.Code == ops.Alloc || c.Code == ops.Lookup {
			*c = with(*c, func(o *ops.Options) { o.Proto = conntrack.ProtoUDP })
		}
	}
	return calls
}

// ends are those of a tuple of the view.
func (e *env) ends(t *ops.TupleView) (from, to netip.AddrPort) {
	n := 4
	if e.v6 {
		n = 16
	}
	a, _ := netip.AddrFromSlice(t.Src[:n])
	b, _ := netip.AddrFromSlice(t.Dst[:n])
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(t.SrcPort[:])), netip.AddrPortFrom(b, binary.BigEndian.Uint16(t.DstPort[:]))
}

// becomes translates in both protocols and wants a reply tuple and a status.
func (e *env) becomes(from, to netip.AddrPort, status uint32, nats ...ops.Op) {
	e.Helper()
	for _, wrap := range []func(...ops.Op) []ops.Op{func(c ...ops.Op) []ops.Op { return c }, udp} {
		calls := wrap(append(append([]ops.Op{e.alloc()}, nats...), do(ops.Insert, 0))...)
		r := e.good(calls...)
		v := &r[len(r)-1].View
		gotFrom, gotTo := e.ends(&v.Tuple[conntrack.Reply])
		equal(e, "source of the answer", gotFrom, from)
		equal(e, "destination of the answer", gotTo, to)
		equal(e, "status", conntrack.Status(v.Status), conntrack.Status(status))
		gotFrom, gotTo = e.ends(&v.Tuple[conntrack.Original])
		equal(e, "source", gotFrom, e.at(client, sport))
		equal(e, "destination", gotTo, e.at(server, dport))
		// The answer is found.
		l := e.lookup()
		l.SetTuple(from, to)
		f := e.more(wrap(l)...)
		equal(e, "found", f[0].Ret, 1)
		equal(e, "dir", f[0].Dir(), 1)
	}
}

func TestFacts_NATReturns0(t *testing.T) {
	claim(t, func(e *env) {
		e.good(e.alloc(), e.nat(src, outside, 5555), e.nat(dst, another, 6666), do(ops.Insert, 0))
		e.good(e.alloc(), e.nat(dst, another, 6666), e.nat(src, outside, 5555), do(ops.Insert, 0))
		e.good(e.alloc(), e.nat(dst, another, 0), do(ops.Insert, 0))
	})
}

func TestFacts_NATSource(t *testing.T) {
	claim(t, func(e *env) {
		e.becomes(e.at(server, dport), e.at(outside, 5555), 0x98, e.nat(src, outside, 5555))
	})
}

func TestFacts_NATDestination(t *testing.T) {
	claim(t, func(e *env) {
		e.becomes(e.at(another, 6666), e.at(client, sport), 0x128, e.nat(dst, another, 6666))
	})
}

func TestFacts_NATBoth(t *testing.T) {
	claim(t, func(e *env) {
		a, b := e.nat(src, outside, 5556), e.nat(dst, another, 6667)
		e.becomes(e.at(another, 6667), e.at(outside, 5556), 0x1b8, a, b)
		e.becomes(e.at(another, 6667), e.at(outside, 5556), 0x1b8, b, a)
	})
}

func TestFacts_NATPortKept(t *testing.T) {
	claim(t, func(e *env) {
		for _, port := range []int32{0, -1} {
			e.becomes(e.at(server, dport), e.at(outside, sport), 0x98, e.nat(src, outside, port))
		}
	})
}

func TestFacts_NATAddressZero(t *testing.T) {
	claim(t, func(e *env) {
		zero := e.nat(src, outside, 7777)
		zero.Addr = [16]byte{}
		any := netip.IPv4Unspecified()
		if e.v6 {
			any = netip.IPv6Unspecified()
		}
		e.becomes(e.at(server, dport), netip.AddrPortFrom(any, 7777), 0x98, zero)
	})
}

func TestFacts_NATSameSource(t *testing.T) {
	claim(t, func(e *env) {
		e.becomes(e.at(server, dport), e.at(client, sport), 0x88, e.nat(src, client, 0))
	})
}

func TestFacts_NATSameDestination(t *testing.T) {
	claim(t, func(e *env) {
		e.becomes(e.at(server, dport), e.at(client, sport), 0x108, e.nat(dst, server, dport))
	})
}

// from is an allocation in a slot from another end.
func (e *env) from(slot uint32, host byte, port uint16) ops.Op {
	op := e.alloc()
	op.Slot = slot
	op.SetTuple(e.at(host, port), e.at(server, dport))
	return op
}

// in puts a call into a slot.
func in(slot uint32, op ops.Op) ops.Op {
	op.Slot = slot
	return op
}

func TestFacts_NATTaken(t *testing.T) {
	claim(t, func(e *env) {
		nat := e.nat(src, outside, 5555)
		r := e.run(e.alloc(), nat, do(ops.Insert, 0), e.from(1, 3, sport), in(1, nat), ops.Op{Code: ops.Insert, Slot: 1})
		equal(e, "set_nat_info", r[4].Ret, 0)
		equal(e, "reply port before insert", r[4].View.Tuple[1].DstPort, [2]byte{5555 >> 8, 5555 & 0xff})
		equal(e, "insert", r[5].Ret, 0)
		equal(e, "entries", len(e.dump()), 1)
		// Not taken in the other protocol.
		e.good(append([]ops.Op{e.alloc(), nat, do(ops.Insert, 0)}, udp(e.from(1, 3, sport), in(1, nat), ops.Op{Code: ops.Insert, Slot: 1})...)...)
	})
}

func TestFacts_NATOriginalStays(t *testing.T) {
	claim(t, func(e *env) {
		r := e.good(e.alloc(), e.nat(src, outside, 5555), e.nat(dst, another, 6666), do(ops.Insert, 0))
		for i := range r {
			from, to := e.ends(&r[i].View.Tuple[conntrack.Original])
			equal(e, "source", from, e.at(client, sport))
			equal(e, "destination", to, e.at(server, dport))
		}
	})
}

// distinct is the n-th of many clients.
func (e *env) distinct(n int) netip.AddrPort {
	a := e.host(0)
	b := a.AsSlice()
	b[len(b)-2], b[len(b)-3] = byte(n), byte(1+n>>8)
	a, _ = netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a, sport)
}

// translate makes connections of distinct clients, each with a translation, and
// says how many were inserted.
func (e *env) translate(first, n int, nat func(i int) ops.Op, port uint16) (inserted int) {
	e.Helper()
	const perRun = ops.MaxOps / 4
	for n > 0 {
		var calls []ops.Op
		for i := range min(n, perRun) {
			a := e.alloc()
			a.SetTuple(netip.AddrPortFrom(e.distinct(first+i).Addr(), port), e.at(server, dport))
			calls = append(calls, a, nat(first+i), do(ops.Insert, 0), do(ops.Release, 0))
		}
		r := e.more(calls...)
		for i := 0; i < len(r); i += 4 {
			equal(e, "alloc", r[i].Ret, 1)
			equal(e, "set_nat_info", r[i+1].Ret, 0)
			inserted += int(r[i+2].Ret)
		}
		first += min(n, perRun)
		n -= min(n, perRun)
	}
	return inserted
}

func TestFacts_NATPortsRunOut(t *testing.T) {
	claim(t, func(e *env) {
		ports := 256
		if e.hook == ops.TC && !e.v6 && !testing.Short() && !e.documented {
			ports = 32768
		}
		e.reset()
		given := func(i int) ops.Op { return e.nat(src, outside, int32(1+i%ports)) }
		equal(e, "inserted", e.translate(0, ports, given, sport), ports)
		equal(e, "inserted when all are taken", e.translate(ports, 200, given, sport), 0)
	})
}

func TestFacts_NATPortSearched(t *testing.T) {
	claim(t, func(e *env) {
		e.chance = true
		for _, c := range []struct{ port, low, high uint16 }{
			{0, 1, 511}, {1, 1, 511}, {100, 1, 511}, {511, 1, 511}, {512, 600, 1023}, {1000, 600, 1023}, {1023, 600, 1023},
			{1024, 1024, 65535}, {40000, 1024, 65535}, {65535, 1024, 65535},
		} {
			nat := e.nat(src, outside, 0)
			r := e.good(e.from(0, client, c.port), nat, do(ops.Insert, 0),
				e.from(1, 3, c.port), in(1, nat), ops.Op{Code: ops.Insert, Slot: 1})
			if first := binary.BigEndian.Uint16(r[2].View.Tuple[1].DstPort[:]); first != c.port {
				e.Errorf("the first from port %d got %d", c.port, first)
			}
			got := binary.BigEndian.Uint16(r[5].View.Tuple[1].DstPort[:])
			if got == c.port || got < c.low || got > c.high {
				e.Errorf("the second from port %d got %d, not of %d to %d", c.port, got, c.low, c.high)
			}
		}
	})
}

func TestFacts_NATRangeRunsOut(t *testing.T) {
	claim(t, func(e *env) {
		e.chance = true // which port the search ends with
		const all = 511
		e.reset()
		given := func(i int) ops.Op { return e.nat(src, outside, int32(1+i)) }
		equal(e, "inserted", e.translate(0, all, given, 100), all)
		search := func(int) ops.Op { return e.nat(src, outside, 0) }
		equal(e, "inserted when all are taken", e.translate(all, 20, search, 100), 0)
		// Other ranges are free.
		equal(e, "inserted from a high port", e.translate(all+20, 20, search, 5000), 20)
	})
}

func TestFacts_NATCollidesWithOriginal(t *testing.T) {
	claim(t, func(e *env) {
		e.chance = true
		// The server has called the outside address.
		back := e.alloc()
		back.SetTuple(e.at(server, dport), e.at(outside, sport))
		r := e.good(back, do(ops.Insert, 0), in(1, e.alloc()), in(1, e.nat(src, outside, 0)), ops.Op{Code: ops.Insert, Slot: 1})
		got := binary.BigEndian.Uint16(r[4].View.Tuple[1].DstPort[:])
		if got == sport || got < 600 || got > 1023 {
			e.Errorf("got port %d", got)
		}
		r = e.run(back, do(ops.Insert, 0), in(1, e.alloc()), in(1, e.nat(src, outside, sport)), ops.Op{Code: ops.Insert, Slot: 1})
		equal(e, "set_nat_info", r[3].Ret, 0)
		equal(e, "insert", r[4].Ret, 0)
	})
}

func TestFacts_NATSourceKeepsMapping(t *testing.T) {
	claim(t, func(e *env) {
		second := in(1, e.alloc())
		second.SetTuple(e.at(client, sport), e.at(3, 443))
		r := e.good(e.alloc(), e.nat(src, outside, 5555), do(ops.Insert, 0),
			second, in(1, e.nat(src, outside, 0)), ops.Op{Code: ops.Insert, Slot: 1})
		_, to := e.ends(&r[5].View.Tuple[conntrack.Reply])
		equal(e, "seen as", to, e.at(outside, 5555))
	})
}

func TestFacts_NATDestinationPort0(t *testing.T) {
	claim(t, func(e *env) {
		for _, port := range []int32{0, -1} {
			e.becomes(e.at(another, dport), e.at(client, sport), 0x128, e.nat(dst, another, port))
		}
		direct := e.alloc()
		direct.SetTuple(e.at(client, sport), e.at(another, dport))
		r := e.run(direct, do(ops.Insert, 0), in(1, e.alloc()), in(1, e.nat(dst, another, 0)), ops.Op{Code: ops.Insert, Slot: 1})
		equal(e, "set_nat_info", r[3].Ret, 0)
		equal(e, "insert", r[4].Ret, 0)
	})
}

func TestFacts_NATPort16Bits(t *testing.T) {
	claim(t, func(e *env) {
		e.becomes(e.at(server, dport), e.at(outside, 80), 0x98, e.nat(src, outside, 65536+80))
		e.becomes(e.at(server, dport), e.at(outside, 0), 0x98, e.nat(src, outside, 65536))
		e.becomes(e.at(server, dport), e.at(outside, sport), 0x98, e.nat(src, outside, -1<<31))
		e.becomes(e.at(server, dport), e.at(outside, 65535), 0x98, e.nat(src, outside, 1<<31-1))
	})
}

func TestFacts_NATTwice(t *testing.T) {
	claim(t, func(e *env) {
		if e.hook != ops.TC || e.v6 {
			return // each call writes a page to the kernel's log
		}
		for _, m := range []conntrack.Manip{src, dst} {
			calls := []ops.Op{e.alloc(), e.nat(m, outside, 5555), e.nat(m, another, 6666), do(ops.Insert, 0)}
			r := e.run(calls...)
			equal(e, "first", r[1].Ret, 0)
			equal(e, "second", r[2].Ret, -int32(errno.ENOMEM))
			equal(e, "reply", r[3].View.Tuple[1], r[1].View.Tuple[1])
		}
	})
}

func TestFacts_NATMappingZones(t *testing.T) {
	claim(t, func(e *env) {
		key := func(id uint16, dir uint8) [2]uint16 {
			k := [2]uint16{idFor(id, dir, conntrack.Original)}
			if dir == 0 || dir == 3 {
				k[1] = id
			}
			return k
		}
		for _, ids := range [][2]uint16{{7, 7}, {7, 8}, {0, 7}, {7, 0}} {
			for _, a := range zoneDirs {
				for _, b := range zoneDirs {
					second := with(in(1, e.alloc()), func(o *ops.Options) { o.ZoneID, o.ZoneDir = ids[1], b })
					second.SetTuple(e.at(client, sport), e.at(3, 443))
					r := e.good(with(e.alloc(), func(o *ops.Options) { o.ZoneID, o.ZoneDir = ids[0], a }), e.nat(src, outside, 5555),
						do(ops.Insert, 0), second, in(1, e.nat(src, outside, 0)), ops.Op{Code: ops.Insert, Slot: 1})
					_, to := e.ends(&r[5].View.Tuple[conntrack.Reply])
					want := e.at(outside, sport)
					if key(ids[0], a) == key(ids[1], b) {
						want = e.at(outside, 5555)
					}
					if to != want {
						e.Errorf("zone %d/%d, then %d/%d: seen as %v, want %v", ids[0], a, ids[1], b, to, want)
					}
				}
			}
		}
	})
}
