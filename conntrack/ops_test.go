package conntrack

import (
	"encoding/binary"
	"errors"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/conntrack/internal/oracle"
	"github.com/bpfct/bpfct/internal/errno"
)

// scripted is a random source that a test tells what to draw next.
type scripted struct {
	randSource
	next  []uint16
	drawn int
}

func (s *scripted) uint16() uint16 {
	s.drawn++
	if len(s.next) > 0 {
		v := s.next[0]
		s.next = s.next[1:]
		return v
	}
	return s.randSource.uint16()
}

// performer performs the oracle's operations on a table.
type performer struct {
	t     *Table
	clock *testClock
	rand  *scripted
}

func newPerformer(o Options) *performer {
	t, clock := newTest(o)
	r := &scripted{randSource: t.rand}
	t.rand = r
	return &performer{t, clock, r}
}

func ret(err error) int32 {
	var e errno.Errno
	if errors.As(err, &e) {
		return -int32(e)
	}
	return 0
}

func tupleOf(s *oracle.Spec) Tuple {
	t := Tuple{Proto: s.Proto, Family: IPv4}
	b := s.Tuple[:]
	n := 4
	if s.V6 != 0 {
		t.Family, n = IPv6, 16
	}
	copy(t.Src[:], b[:n])
	copy(t.Dst[:], b[n:2*n])
	t.SrcPort = binary.BigEndian.Uint16(b[2*n:])
	t.DstPort = binary.BigEndian.Uint16(b[2*n+2:])
	return t
}

func zoneOf(s *oracle.Spec) Zone {
	z := Zone{ID: s.ZoneID, Dir: ZoneDir(s.ZoneDir)}
	if z.Dir == 0 { // the kernel's functions read 0 so
		z.Dir = ZoneDirDefault
	}
	return z
}

func viewOf(c Conn) oracle.View {
	s, _ := c.Snapshot()
	v := oracle.View{
		Status: uint32(s.Status), Timeout: s.Timeout, Mark: s.Mark, Use: uint32(s.Use),
		ZoneID: s.Zone.ID, ZoneFlags: s.Zone.Flags, ZoneDir: uint8(s.Zone.Dir),
	}
	for d, t := range s.Tuples {
		w := &v.Tuple[d]
		w.Src, w.Dst, w.L3Num, w.Proto = t.Src, t.Dst, uint16(t.Family), uint16(t.Proto)
		binary.BigEndian.PutUint16(w.SrcPort[:], t.SrcPort)
		binary.BigEndian.PutUint16(w.DstPort[:], t.DstPort)
	}
	return v
}

// alloc performs the part before insert. hint is what another did, or nil:
// searches begin with the ports that it found.
func (p *performer) alloc(s *oracle.Spec, r *oracle.Result, hint *oracle.Result) (Conn, bool) {
	r.Dir, r.ZoneDir = 9, uint32(zoneOf(s).Dir)
	c, err := p.t.Alloc(tupleOf(s), zoneOf(s))
	if err != nil {
		r.Error = ret(err)
		return c, false
	}
	r.Got = 1
	r.Before = viewOf(c)
	if s.Flags&oracle.DoTimeout != 0 {
		c.SetTimeout(s.Timeout)
	}
	if s.Flags&oracle.DoStatus != 0 {
		r.StatusRet = ret(c.ChangeStatus(Status(s.Status)))
	}
	if s.Flags&oracle.DoMark != 0 {
		c.SetMark(s.Mark)
	}
	for i := range s.NAT {
		if s.Flags&(oracle.DoNAT0<<i) == 0 {
			continue
		}
		p.rand.next = nil
		if hint != nil && s.NAT[i].Manip == 0 {
			port := binary.BigEndian.Uint16(hint.Made.Tuple[Reply].DstPort[:])
			p.rand.next = []uint16{offsetOf(port)}
		}
		r.NATRet[i] = ret(c.SetNATInfo(s.NAT[i].Addr, s.NAT[i].Port, Manip(s.NAT[i].Manip)))
	}
	r.Made = viewOf(c)
	return c, true
}

// offsetOf is what must be drawn for a search to begin with port.
func offsetOf(port uint16) uint16 {
	switch {
	case port >= 1024:
		return port - 1024
	case port >= 600:
		return port - 600
	default:
		return port - 1
	}
}

func (p *performer) after(c Conn, s *oracle.Spec, r *oracle.Result) {
	r.After = viewOf(c)
	if s.Flags&oracle.DoTimeout2 != 0 {
		r.Timeout2Ret = ret(c.ChangeTimeout(s.Timeout2))
	}
	if s.Flags&oracle.DoStatus2 != 0 {
		r.Status2Ret = ret(c.ChangeStatus(Status(s.Status2)))
	}
	if s.Flags&oracle.DoMark2 != 0 {
		c.SetMark(s.Mark2)
	}
	r.Last = viewOf(c)
}

func (p *performer) lookup(s *oracle.Spec, r *oracle.Result) (Conn, bool) {
	r.Dir, r.ZoneDir = 9, uint32(zoneOf(s).Dir)
	c, d, err := p.t.Lookup(tupleOf(s), zoneOf(s))
	if err != nil {
		r.Error = ret(err)
		return c, false
	}
	r.Got, r.Dir = 1, uint32(d)
	return c, true
}

// do performs one operation. hint is another's results of the same, or nil.
func (p *performer) do(o *oracle.Op, hint *oracle.Results) (r oracle.Results) {
	var ha, hb *oracle.Result
	if hint != nil {
		ha, hb = &hint.A, &hint.B
	}
	insert := func(c Conn, ok bool, r *oracle.Result) bool {
		if !ok || p.t.Insert(c) != nil {
			return false
		}
		r.Inserted = 1
		return true
	}
	finish := func(c Conn, ok bool, s *oracle.Spec, r *oracle.Result) {
		if ok {
			p.after(c, s, r)
			c.Release()
		}
	}
	switch o.Kind {
	case oracle.OpInsert:
		c, ok := p.alloc(&o.A, &r.A, ha)
		ok = insert(c, ok, &r.A)
		finish(c, ok, &o.A, &r.A)
	case oracle.OpLookup:
		c, ok := p.lookup(&o.A, &r.A)
		finish(c, ok, &o.A, &r.A)
	case oracle.OpPair:
		a, aok := p.alloc(&o.A, &r.A, ha)
		b, bok := p.alloc(&o.B, &r.B, hb)
		aok = insert(a, aok, &r.A)
		bok = insert(b, bok, &r.B)
		finish(a, aok, &o.A, &r.A)
		finish(b, bok, &o.B, &r.B)
	case oracle.OpHeld:
		a, ok := p.alloc(&o.A, &r.A, ha)
		if !insert(a, ok, &r.A) {
			break
		}
		p.after(a, &o.A, &r.A)
		b, ok := p.lookup(&o.B, &r.B)
		finish(b, ok, &o.B, &r.B)
		r.A.Last = viewOf(a)
		a.Release()
	}
	return r
}

// universe is what generated operations are about: few hosts and ports, so
// that they meet. Hosts of different universes differ, everything else does not.
type universe uint16

func (u universe) host(n byte, v6 bool) (a Addr) {
	if v6 {
		return Addr{0: 0xfd, 1: byte(u >> 8), 2: byte(u), 15: n}
	}
	return Addr{0: 10, 1: byte(u >> 8), 2: byte(u), 3: n}
}

var (
	genPort = rapid.SampledFrom([]uint16{0, 1, 80, 511, 512, 700, 1023, 1024, 5000, 65535})
	genBits = rapid.OneOf(
		rapid.SampledFrom([]uint32{0, 2, 4, 6, 8, 0xe, 0x408, 0x2000, 0x200, 1, 1 << 31, 0xffffffff}),
		rapid.Map(rapid.IntRange(0, 31), func(n int) uint32 { return 1 << n }),
		rapid.Uint32())
	// Nothing between at once and a minute: the two clocks are read at
	// different moments.
	genMs = rapid.SampledFrom([]uint32{0, 0, 60000, 60001, 60003, 3600000, 0x7fffffff, 0x80000000, 0xffffffff})
)

// A narrow sequence is about so few tuples and so much NAT that replies
// collide all the time; a wide one has everything.
func genSpec(t *rapid.T, u universe, narrow bool) (s oracle.Spec) {
	v6 := !narrow && rapid.IntRange(0, 3).Draw(t, "v6") == 0
	port, dsts := genPort, byte(3)
	if narrow {
		port, dsts = rapid.SampledFrom([]uint16{700, 5000}), 2
	}
	tu := Tuple{
		Src: u.host(rapid.ByteRange(1, 2).Draw(t, "src"), v6), Dst: u.host(rapid.ByteRange(1, dsts).Draw(t, "dst"), v6),
		SrcPort: port.Draw(t, "sport"), DstPort: port.Draw(t, "dport"),
	}
	s.Proto = rapid.SampledFrom([]byte{ProtoTCP, ProtoUDP}).Draw(t, "proto")
	putTuple(&s, tu, v6)
	switch {
	case narrow:
		if s.ZoneDir = rapid.SampledFrom([]byte{0, 0, 0, 1, 3, 7}).Draw(t, "dir"); s.ZoneDir != 0 {
			s.ZoneID = 1
		}
	case rapid.IntRange(0, 2).Draw(t, "zoned") == 0:
		s.ZoneID = rapid.SampledFrom([]uint16{0, 1, 1, 2}).Draw(t, "zone")
		s.ZoneDir = rapid.SampledFrom([]byte{0, 1, 1, 2, 2, 3, 4, 5, 7, 0xff}).Draw(t, "dir")
	}
	s.Flags = rapid.Uint32Range(0, 1<<9-1).Draw(t, "do")
	switch {
	case narrow:
		if rapid.IntRange(0, 2).Draw(t, "plain") != 0 {
			s.Flags |= oracle.DoNAT0
		}
		s.Flags &^= oracle.DoTimeout | oracle.DoTimeout2
	case rapid.Bool().Draw(t, "plain"):
		s.Flags = 0
	}
	s.Timeout, s.Timeout2 = genMs.Draw(t, "timeout"), genMs.Draw(t, "timeout2")
	s.Status, s.Status2 = genBits.Draw(t, "status"), genBits.Draw(t, "status2")
	s.Mark, s.Mark2 = genBits.Draw(t, "mark"), genBits.Draw(t, "mark2")
	first := uint32(rapid.IntRange(0, 3).Draw(t, "manip") / 3)
	for i := range s.NAT {
		n := &s.NAT[i]
		// One of each manip as a rule. A second of the same is refused, but
		// the kernel also writes a page to its log.
		n.Manip = first ^ uint32(i&1)
		if i == 2 && rapid.IntRange(0, 19).Draw(t, "third") != 0 {
			s.Flags &^= oracle.DoNAT2
		}
		if s.Flags&(oracle.DoNAT0<<i) == 0 {
			continue
		}
		n.Addr = u.host(rapid.ByteRange(1, 4).Draw(t, "nat"), v6)
		if rapid.IntRange(0, 9).Draw(t, "garbage") == 0 {
			n.Addr[14] = 7
		}
		n.Port = int32(port.Draw(t, "nport"))
		if rapid.IntRange(0, 3).Draw(t, "keep") != 0 {
			n.Port = rapid.SampledFrom([]int32{0, 0, 0, -1, 65536, 65536 + 80, -1 << 31}).Draw(t, "odd")
		}
	}
	return s
}

func putTuple(s *oracle.Spec, t Tuple, v6 bool) {
	n := 4
	if v6 {
		s.V6, n = 1, 16
	}
	copy(s.Tuple[:n], t.Src[:])
	copy(s.Tuple[n:2*n], t.Dst[:])
	binary.BigEndian.PutUint16(s.Tuple[2*n:], t.SrcPort)
	binary.BigEndian.PutUint16(s.Tuple[2*n+2:], t.DstPort)
}

func genOps(t *rapid.T, u universe, narrow bool) []oracle.Op {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) (o oracle.Op) {
		o.Kind = rapid.SampledFrom([]uint32{oracle.OpInsert, oracle.OpInsert, oracle.OpInsert,
			oracle.OpLookup, oracle.OpPair, oracle.OpHeld}).Draw(t, "kind")
		o.A = genSpec(t, u, narrow)
		if o.Kind >= oracle.OpPair {
			o.B = genSpec(t, u, narrow)
		}
		return o
	}), 1, 40).Draw(t, "ops")
}

// collide lets total connections, each from another host but with the same
// source port, fall on one NAT address towards one destination.
func collide(total int, port uint16) []oracle.Op {
	ops := make([]oracle.Op, total)
	for i := range ops {
		s := oracle.Spec{Proto: ProtoTCP, Flags: oracle.DoNAT0 | oracle.DoTimeout, Timeout: 3600000}
		putTuple(&s, Tuple{Src: Addr{10, 9, byte(i >> 8), byte(i)}, Dst: Addr{10, 8, 0, 1}, SrcPort: port, DstPort: 80}, false)
		s.NAT[0].Addr = Addr{5, 5, 5, 5}
		ops[i] = oracle.Op{A: s}
	}
	return ops
}
