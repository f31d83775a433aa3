package contract

import (
	"math/bits"
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/contract/internal/ops"
)

// universe is what a generated sequence is about: few hosts and ports, so that its
// connections meet. Those of two universes never do.
type universe byte

// host is one of the hosts of u.
func (u universe) host(n byte, v6 bool) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte{0: 0xfd, 1: byte(u), 15: n})
	}
	return netip.AddrFrom4([4]byte{10, byte(u), 0, n})
}

// of is the universe of an entry.
func of(c *ops.Conn) universe {
	b := c.Orig[0].Addr().AsSlice()
	return universe(b[1])
}

// uniform draws from [0, n). The ranges of rapid prefer small numbers, which is good
// for finding a boundary and bad for choosing among equals.
func uniform(t *rapid.T, n int) int {
	v := 0
	for range bits.Len(uint(n-1)) + 4 {
		v <<= 1
		if rapid.Bool().Draw(t, "bit") {
			v |= 1
		}
	}
	return v % n
}

func percent(t *rapid.T, p int) bool { return uniform(t, 100) < p }

func pick[T any](t *rapid.T, from ...T) T { return from[uniform(t, len(from))] }

// mostly picks from usual, and in p of 100 cases from rare.
func mostly[T any](t *rapid.T, p int, usual, rare []T) T {
	if percent(t, p) {
		return pick(t, rare...)
	}
	return pick(t, usual...)
}

// Nothing between at once and a minute: while a sequence runs the kernel's clock goes on.
var someMs = []uint32{0, 0, 0, 60000, 60001, 60003, 61000, 3600000, 0x7ffffffc, 0x7fffffff, 0x80000000, 0xffffffff}

// What a slot is presumed to hold.
const (
	empty = iota
	allocated
	inserted
)

var codesFor = [][]ops.Code{
	empty: {ops.Alloc, ops.Alloc, ops.Lookup},
	allocated: {ops.Insert, ops.Insert, ops.Insert, ops.SetTimeout, ops.SetStatus, ops.SetMark,
		ops.SetNATInfo, ops.SetNATInfo, ops.Read},
	inserted: {ops.Release, ops.Release, ops.ChangeTimeout, ops.ChangeStatus, ops.SetMark, ops.Read},
}

var anyCode = []ops.Code{
	ops.Alloc, ops.Lookup, ops.Insert, ops.Release, ops.SetTimeout, ops.ChangeTimeout,
	ops.SetStatus, ops.ChangeStatus, ops.SetNATInfo, ops.SetMark, ops.Read,
}

// tuple is what an op is about.
type tuple struct{ src, dst netip.AddrPort }

// sequence is what the generator keeps while it makes one. The members up to ports
// are what holds for the most of its ops.
type sequence struct {
	u     universe
	v6    bool
	proto uint8
	netns int32
	zone  uint16
	dir   uint8
	size  uint32
	ports []uint16
	made  []tuple // allocated before
	slots [ops.Slots]int
	// manips has a bit for each manip that a slot got: a second of one kind is
	// refused, but the kernel writes a page to its log about it.
	manips [ops.Slots]int
}

// genRuns generates sequences in u.
func genRuns(u universe) *rapid.Generator[[]ops.Run] {
	return rapid.Custom(func(t *rapid.T) []ops.Run {
		s := &sequence{
			u: u, v6: percent(t, 30), proto: pick[uint8](t, conntrack.ProtoTCP, conntrack.ProtoUDP),
			netns: pick[int32](t, -1, -1, -1, 0, 5), size: pick[uint32](t, 12, 16, 16),
		}
		if percent(t, 30) && s.size == 16 {
			s.zone, s.dir = pick[uint16](t, 1, 7), pick[uint8](t, 0, 1, 2, 3)
		}
		low := percent(t, 30)
		for range 1 + uniform(t, 3) {
			if low {
				s.ports = append(s.ports, pick[uint16](t, 0, 1, 80, 511, 512, 700, 1023))
			} else {
				s.ports = append(s.ports, pick[uint16](t, 0, 80, 1024, 5000, 65535))
			}
		}
		var runs []ops.Run
		for range 1 + uniform(t, 3) {
			runs = append(runs, s.run(t))
		}
		return runs
	})
}

func (s *sequence) run(t *rapid.T) ops.Run {
	s.slots = [ops.Slots]int{}
	s.manips = [ops.Slots]int{}
	r := ops.Run{Hook: pick(t, ops.Hooks...)}
	for range 1 + uniform(t, 40) {
		r.Ops = append(r.Ops, s.op(t))
	}
	return r
}

func (s *sequence) op(t *rapid.T) ops.Op {
	op := ops.Op{Slot: uint32(uniform(t, ops.Slots))}
	state := &s.slots[op.Slot]
	op.Code = mostly(t, 4, codesFor[*state], anyCode)
	switch op.Code {
	case ops.Alloc, ops.Lookup:
		s.tuple(t, &op)
		ok := s.opts(t, &op)
		if *state == empty && ok {
			*state = allocated
			if op.Code == ops.Lookup {
				*state = pick(t, empty, inserted, inserted)
			}
		}
		s.manips[op.Slot] = 0
	case ops.Insert:
		if *state == allocated {
			*state = inserted
		}
	case ops.Release:
		if *state == inserted {
			*state = empty
		}
	case ops.SetTimeout, ops.ChangeTimeout:
		op.Arg = pick(t, someMs...)
	case ops.SetStatus, ops.ChangeStatus:
		op.Arg = status(t, op.Code)
	case ops.SetMark:
		op.Arg = rapid.Uint32().Draw(t, "mark")
	case ops.SetNATInfo:
		s.nat(t, &op)
	}
	return op
}

func status(t *rapid.T, code ops.Code) uint32 {
	var s uint32
	switch uniform(t, 3) {
	case 0:
		s = pick[uint32](t, 0, 2, 4, 6, 0x400, 0x2000, 0x200, 1, 8, 1<<31, 0xffffffff)
	case 1:
		s = 1 << uniform(t, 32)
	default:
		s = rapid.Uint32().Draw(t, "status")
	}
	if code == ops.ChangeStatus && percent(t, 75) {
		s = s&^0x201 | uint32(conntrack.IPSConfirmed)
		if percent(t, 50) {
			s |= uint32(conntrack.IPSSeenReply | conntrack.IPSAssured)
		}
	}
	return s
}

// tuple is of hosts and of addresses that NAT may give. Most are met before, in
// either direction.
func (s *sequence) tuple(t *rapid.T, op *ops.Op) {
	v6 := s.v6 != percent(t, 5)
	end := func(hosts int) netip.AddrPort {
		return netip.AddrPortFrom(s.u.host(byte(1+uniform(t, hosts)), v6), pick(t, s.ports...))
	}
	tu := tuple{end(3), end(4)}
	if len(s.made) > 0 && percent(t, 50) {
		tu = pick(t, s.made...)
		if percent(t, 40) {
			tu = tuple{tu.dst, tu.src}
		}
		if percent(t, 15) {
			tu.dst = netip.AddrPortFrom(end(4).Addr(), tu.dst.Port())
		}
		if tu.src.Addr().Is4() != tu.dst.Addr().Is4() {
			tu.dst = end(4)
			tu.src = end(3)
		}
	}
	if op.Code == ops.Alloc {
		s.made = append(s.made, tu)
	}
	op.SetTuple(tu.src, tu.dst)
	switch uniform(t, 40) {
	case 0:
		op.TupleSize = uint32(uniform(t, ops.TupleRoom+1))
	case 1:
		if percent(t, 50) {
			op.Flags |= ops.NullTuple
		}
	}
}

// opts says whether a call with them can succeed.
func (s *sequence) opts(t *rapid.T, op *ops.Op) bool {
	o := ops.Options{
		NetnsID: mostly(t, 8, []int32{s.netns}, []int32{-1, 0, 5, -2, -3, 1, 7, 1<<31 - 1, -1 << 31}),
		Proto:   mostly(t, 8, []uint8{s.proto}, []uint8{conntrack.ProtoTCP, conntrack.ProtoUDP, 0, 1, 33, 47, 58, 132, 136, 255}),
		Error:   pick[int32](t, 0, -22, 0x5a5a5a5a),
		Dir:     pick[uint8](t, 0, 0, 1, 2, 9, 255),
		ZoneID:  s.zone, ZoneDir: s.dir,
	}
	size := mostly(t, 4, []uint32{s.size}, []uint32{12, 16, 0, 1, 4, 5, 7, 8, 9, 10, 11, 13, 14, 15, 17, 20, 24, 31, 32})
	if s.zone != 0 && size != 12 && percent(t, 40) {
		o.ZoneDir = pick[uint8](t, 0, 1, 2, 3)
	}
	if size != 12 && percent(t, 10) {
		o.ZoneID = pick[uint16](t, 0, 1, 7, 65535)
		o.ZoneDir = pick[uint8](t, 0, 1, 2, 3, 4, 5, 6, 7, 0x80, 255)
	}
	if percent(t, 3) {
		o.Reserved[uniform(t, 3)] = pick[uint8](t, 1, 0x80)
		if size == 12 {
			o.ZoneID = pick[uint16](t, 1, 0x100)
		}
	}
	op.SetOpts(o, size)
	if percent(t, 1) {
		op.Flags |= ops.NullOpts
	}
	return op.Flags == 0 && (size == 12 || size == 16) && slices.Contains([]int32{-1, 0, 5}, o.NetnsID) &&
		o.Reserved == [3]byte{}
}

func (s *sequence) nat(t *rapid.T, op *ops.Op) {
	op.Arg = pick[uint32](t, 0, 0, 1)
	bit := 1 << op.Arg
	if s.manips[op.Slot]&bit != 0 && !percent(t, 2) {
		op.Code = ops.Read
		return
	}
	s.manips[op.Slot] |= bit
	op.SetAddr(s.u.host(byte(1+uniform(t, 4)), s.v6))
	switch uniform(t, 30) {
	case 0:
		op.Addr = [16]byte{}
	case 1:
		op.Addr[14] ^= 7
	}
	op.Port = int32(pick(t, s.ports...))
	if percent(t, 50) {
		op.Port = mostly(t, 15, []int32{0, -1}, []int32{65536, 65536 + 80, -1 << 31, 1<<31 - 1})
	}
}
