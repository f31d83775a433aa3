package conntrack

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bpfct/bpfct/conntrack/internal/oracle"
	"github.com/bpfct/bpfct/internal/testkernel"
)

// onBoth performs ops on the kernel and on ours and wants the same.
func onBoth(t *testing.T, k *oracle.Kernel, ops ...oracle.Op) {
	t.Helper()
	if err := compare(k, newPerformer(Options{}), ops); err != nil {
		t.Error(err)
	}
}

// inNext gives a spec of a connection that no other test of k has.
type inNext struct{ port uint16 }

func (n *inNext) spec(f func(*oracle.Spec)) oracle.Spec {
	n.port++
	s := oracle.Spec{Proto: ProtoTCP}
	u := universe(0)
	putTuple(&s, Tuple{Src: u.host(1, false), Dst: u.host(2, false), SrcPort: n.port, DstPort: 80}, false)
	if f != nil {
		f(&s)
	}
	return s
}

// TestKernelStatusBits sets each bit before and after insert.
func TestKernelStatusBits(t *testing.T) {
	k := oracle.New(t)
	var n inNext
	for bit := range 32 {
		onBoth(t, k, oracle.Op{A: n.spec(func(s *oracle.Spec) {
			s.Flags, s.Status = oracle.DoStatus, 1<<bit
		})})
		for _, with := range []uint32{0, uint32(IPSConfirmed), uint32(IPSConfirmed | IPSSeenReply | IPSAssured)} {
			onBoth(t, k, oracle.Op{A: n.spec(func(s *oracle.Spec) {
				s.Flags, s.Status, s.Status2 = oracle.DoStatus|oracle.DoStatus2, uint32(IPSSeenReply|IPSAssured), 1<<bit|with
			})})
		}
	}
}

// TestKernelTimeouts sets and changes timeouts about every boundary.
func TestKernelTimeouts(t *testing.T) {
	k := oracle.New(t)
	var n inNext
	for _, ms := range []uint32{0, 1, 3, 4, 5, 7, 8, 9, 999, 1000, 10000, 0x7ffffffc, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff} {
		onBoth(t, k, oracle.Op{A: n.spec(func(s *oracle.Spec) {
			s.Flags, s.Timeout = oracle.DoTimeout, ms
		})})
		for _, status := range []Status{0, IPSFixedTimeout} {
			onBoth(t, k, oracle.Op{A: n.spec(func(s *oracle.Spec) {
				s.Flags = oracle.DoTimeout | oracle.DoStatus | oracle.DoTimeout2
				s.Timeout, s.Timeout2, s.Status = 3600000, ms, uint32(status)
			})})
		}
	}
}

// TestKernelZoneDirs inserts with each value of ct_zone_dir and looks up with
// those that differ in their low bits, from both sides.
func TestKernelZoneDirs(t *testing.T) {
	k := oracle.New(t)
	var n inNext
	for dir := range 256 {
		a := n.spec(func(s *oracle.Spec) { s.ZoneID, s.ZoneDir = 7, uint8(dir) })
		ops := []oracle.Op{{A: a}}
		for _, d := range []uint8{0, 1, 2, 3, 4, 5, 6, 7, 255} {
			for _, id := range []uint16{0, 7, 8} {
				s := a
				s.ZoneID, s.ZoneDir = id, d
				tu := tupleOf(&s)
				ops = append(ops, oracle.Op{Kind: oracle.OpLookup, A: s})
				inv, _ := tu.Invert()
				putTuple(&s, inv, false)
				ops = append(ops, oracle.Op{Kind: oracle.OpLookup, A: s})
			}
		}
		onBoth(t, k, ops...)
	}
}

// TestKernelZoneInsert lets two connections of one tuple, straight and
// reversed, meet under all pairs of zones.
func TestKernelZoneInsert(t *testing.T) {
	k := oracle.New(t)
	var n inNext
	for _, da := range []uint8{1, 2, 3, 4} {
		for _, db := range []uint8{1, 2, 3, 4} {
			for _, ids := range [][2]uint16{{0, 0}, {0, 7}, {7, 0}, {7, 7}, {7, 8}} {
				for _, reversed := range []bool{false, true} {
					a := n.spec(func(s *oracle.Spec) { s.ZoneID, s.ZoneDir = ids[0], da })
					b := a
					b.ZoneID, b.ZoneDir = ids[1], db
					if reversed {
						inv, _ := tupleOf(&b).Invert()
						putTuple(&b, inv, false)
					}
					onBoth(t, k, withLookups([]oracle.Op{{A: a}, {A: b}})...)
				}
			}
		}
	}
}

// TestKernelNATTable is the table of what bpf_ct_set_nat_info does to a reply.
func TestKernelNATTable(t *testing.T) {
	k := oracle.New(t)
	nat := func(addr [4]byte, port int32, m Manip) oracle.NAT {
		n := oracle.NAT{Port: port, Manip: uint32(m)}
		copy(n.Addr[:], addr[:])
		return n
	}
	five, six, src, dst := [4]byte{5, 5, 5, 5}, [4]byte{6, 6, 6, 6}, [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}
	var n inNext
	p := newPerformer(Options{}) // rows may meet those before
	for _, nats := range [][]oracle.NAT{
		{nat(five, 5555, ManipSrc)},
		{nat(six, 6666, ManipDst)},
		{nat(five, 5556, ManipSrc), nat(six, 6667, ManipDst)},
		{nat(six, 6668, ManipDst), nat(five, 5557, ManipSrc)},
		{nat(five, 0, ManipSrc)}, {nat(five, -1, ManipSrc)},
		{nat([4]byte{}, 7777, ManipSrc)},
		{nat(src, 0, ManipSrc)}, {nat(dst, 80, ManipDst)}, {nat(dst, 0, ManipDst)},
		{nat(five, 5555, ManipSrc), nat(six, 1, ManipSrc)}, // the second is refused
		{nat(six, 5555, ManipDst), nat(five, 1, ManipDst)},
	} {
		for _, proto := range []uint8{ProtoTCP, ProtoUDP} {
			s := n.spec(func(s *oracle.Spec) {
				s.Proto = proto
				for i := range nats {
					s.Flags |= oracle.DoNAT0 << i
					s.NAT[i] = nats[i]
				}
			})
			again := n.spec(func(o *oracle.Spec) { tu := o.Tuple; *o = s; o.Tuple = tu })
			if err := compare(k, p, withLookups([]oracle.Op{{A: s}, {A: again}})); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestKernelSameSource maps many connections of one source: the port that the
// first got is tried for the others too, also where it is not their own.
func TestKernelSameSource(t *testing.T) {
	k := oracle.New(t)
	u := universe(1)
	for _, port := range []int32{0, 4000} {
		var ops []oracle.Op
		for i := range 20 {
			s := oracle.Spec{Proto: ProtoUDP, Flags: oracle.DoNAT0}
			putTuple(&s, Tuple{Src: u.host(1, false), Dst: u.host(byte(2+i%3), false), SrcPort: 5000 + uint16(i%2), DstPort: 80 + uint16(i/4) + uint16(port)}, false)
			s.NAT[0] = oracle.NAT{Addr: u.host(9, false)}
			if i == 0 {
				s.NAT[0].Port = port
			}
			ops = append(ops, oracle.Op{A: s})
		}
		onBoth(t, k, ops...)
	}
}

// TestKernelNATRules is one case for each rule of the choice of a tuple that
// generated sequences meet too seldom. Each is two or three connections.
func TestKernelNATRules(t *testing.T) {
	k := oracle.New(t)
	type conn struct {
		src, dst    byte // hosts
		sport, dst2 uint16
		zone        uint16
		dir         uint8
		nats        []oracle.NAT // addresses are hosts
	}
	snat := func(host byte, port int32) oracle.NAT { return oracle.NAT{Addr: Addr{host}, Port: port} }
	dnat := func(host byte, port int32) oracle.NAT { return oracle.NAT{Addr: Addr{host}, Port: port, Manip: 1} }
	own := func(host byte) []oracle.NAT { return []oracle.NAT{snat(host, 0)} }
	u := universe(7)
	for _, c := range []struct {
		name  string
		conns []conn
	}{
		{"two hosts call each other at once", []conn{
			{1, 2, 5000, 6000, 0, 0, nil}, {2, 1, 6000, 5000, 0, 0, own(2)}}},
		{"the same, and the first has NAT", []conn{
			{1, 2, 5000, 6000, 0, 0, []oracle.NAT{dnat(2, 6001), snat(1, 0)}}, {2, 1, 6001, 5000, 0, 0, own(2)}}},
		{"the same, and the first has another port", []conn{
			{1, 2, 5000, 6000, 0, 0, []oracle.NAT{snat(1, 5001)}}, {2, 1, 6000, 5000, 0, 0, own(2)}}},
		{"the same, and the second has NAT", []conn{
			{3, 1, 5000, 6000, 0, 0, nil}, {1, 2, 6000, 7000, 0, 0, []oracle.NAT{dnat(3, 5000), snat(1, 0)}}}},
		{"one flow in two zones of the original direction", []conn{
			{1, 2, 5000, 6000, 1, 1, own(1)}, {1, 2, 5000, 6000, 2, 1, own(1)}, {1, 2, 5000, 6000, 2, 1, own(1)}}},
		{"the same without NAT of the first", []conn{
			{1, 2, 5000, 6000, 1, 1, nil}, {1, 2, 5000, 6000, 2, 1, own(1)}}},
		{"one source, zone of both directions", []conn{
			{1, 2, 5000, 6000, 1, 3, []oracle.NAT{snat(9, 4000)}}, {1, 3, 5000, 6000, 1, 3, own(9)}}},
		{"one source, zone of all eight", []conn{
			{1, 2, 5000, 6000, 1, 7, []oracle.NAT{snat(9, 4000)}}, {1, 3, 5000, 6000, 1, 7, own(9)}}},
		{"one source, one zone of both and one of all eight", []conn{
			{1, 2, 5000, 6000, 1, 7, []oracle.NAT{snat(9, 4000)}}, {1, 3, 5000, 6000, 1, 3, own(9)}}},
		{"one source, two zones", []conn{
			{1, 2, 5000, 6000, 1, 3, []oracle.NAT{snat(9, 4000)}}, {1, 3, 5000, 6000, 2, 3, own(9)}}},
		{"one source, two zones of the reply direction", []conn{
			{1, 2, 5000, 6000, 1, 2, []oracle.NAT{snat(9, 4000)}}, {1, 3, 5000, 6000, 2, 2, own(9)}}},
		{"one source, the newest mapping first", []conn{
			{1, 2, 5000, 6000, 0, 0, []oracle.NAT{snat(9, 4000)}}, {1, 3, 5000, 6000, 0, 0, []oracle.NAT{snat(9, 4001)}}, {1, 4, 5000, 6000, 0, 0, own(9)}}},
		{"a mapping to another address", []conn{
			{1, 2, 5000, 6000, 0, 0, []oracle.NAT{snat(8, 4000)}}, {1, 3, 5000, 6000, 0, 0, own(9)}}},
		{"a mapping with another port than asked for", []conn{
			{1, 2, 5000, 6000, 0, 0, []oracle.NAT{snat(9, 4000)}}, {1, 3, 5000, 6000, 0, 0, []oracle.NAT{snat(9, 4001)}}}},
		{"a service is not moved", []conn{
			{1, 2, 5000, 6000, 0, 0, nil}, {1, 3, 5000, 6000, 0, 0, []oracle.NAT{dnat(2, 0)}}}},
	} {
		for _, proto := range []uint8{ProtoTCP, ProtoUDP} {
			for _, v6 := range []bool{false, true} {
				u++
				var ops []oracle.Op
				for _, x := range c.conns {
					s := oracle.Spec{Proto: proto, ZoneID: x.zone, ZoneDir: x.dir}
					putTuple(&s, Tuple{Src: u.host(x.src, v6), Dst: u.host(x.dst, v6), SrcPort: x.sport, DstPort: x.dst2}, v6)
					for i, n := range x.nats {
						s.Flags |= oracle.DoNAT0 << i
						s.NAT[i] = n
						s.NAT[i].Addr = u.host(n.Addr[0], v6)
					}
					ops = append(ops, oracle.Op{A: s})
				}
				if err := compare(k, newPerformer(Options{}), withLookups(ops)); err != nil {
					t.Errorf("%s, %s, IPv6 %v: %v", c.name, protoName(proto), v6, err)
				}
			}
		}
	}
}

// TestKernelPortsRunOut fills the small ranges of low ports. Which ports are
// drawn is chance on both sides; the range, that each is used once, and that
// some inserts fail near the end is not.
func TestKernelPortsRunOut(t *testing.T) {
	k := oracle.New(t)
	for _, r := range []struct {
		port   uint16
		lo, hi uint16
	}{{100, 1, 511}, {599, 600, 1023}} {
		ops := collide(2000, r.port)
		p := newPerformer(Options{Seed: 1})
		kernel := k.Run(ops)
		ours := make([]oracle.Results, len(ops))
		for i := range ops {
			ours[i] = p.do(&ops[i], nil)
		}
		for name, res := range map[string][]oracle.Results{"kernel": kernel, "ours": ours} {
			used := map[uint16]bool{}
			for i := range res {
				a := &res[i].A
				if a.NATRet[0] != 0 {
					t.Fatalf("%s: set_nat_info returned %d", name, a.NATRet[0])
				}
				if a.Inserted == 0 {
					continue
				}
				d := a.After.Tuple[Reply].DstPort
				got := uint16(d[0])<<8 | uint16(d[1])
				if used[got] {
					t.Errorf("%s: port %d twice", name, got)
				}
				used[got] = true
				if got != r.port && (got < r.lo || got > r.hi) {
					t.Errorf("%s: port %d for %d, not in %d-%d", name, got, r.port, r.lo, r.hi)
				}
			}
			// With 512 tries in a range of that size nearly all are found.
			want := int(r.hi-r.lo) + 1
			if r.port < r.lo {
				want++ // its own, outside
			}
			if len(used) > want || len(used) < want*95/100 {
				t.Errorf("%s: %d ports used of %d", name, len(used), want)
			}
		}
	}
}

// TestKernelOnePortEach is the same with the ports given: each serves once.
func TestKernelOnePortEach(t *testing.T) {
	k := oracle.New(t)
	ops := collide(4000, 100)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range ops {
		ops[i].A.NAT[0].Port = 1 + r.Int32N(1000)
	}
	if err := compare(k, newPerformer(Options{}), ops); err != nil {
		t.Error(err)
	}
}

// TestKernelFullTable fills a namespace to nf_conntrack_max. Where everything
// is assured alloc fails; where not, now and then something is dropped for it.
func TestKernelFullTable(t *testing.T) {
	if testing.Short() {
		t.Skip("fills two tables of 262,144 connections twice")
	}
	k := oracle.New(t)
	limit := k.Sysctl("nf_conntrack_max")
	if limit > 1<<20 {
		testkernel.Skip(t, fmt.Sprintf("nf_conntrack_max is %d: filling it takes too long", limit))
	}
	buckets := k.Sysctl("nf_conntrack_buckets")
	for _, status := range []Status{IPSAssured, 0} {
		k.Exec("conntrack", "-F")
		p := newPerformer(Options{Max: uint32(limit), Buckets: uint32(buckets)})
		nth := func(i int) oracle.Op {
			s := oracle.Spec{Proto: ProtoUDP, Flags: oracle.DoStatus | oracle.DoTimeout, Status: uint32(status), Timeout: 3600000}
			putTuple(&s, nthTuple(uint32(i)), false)
			return oracle.Op{A: s}
		}
		k.Fill(limit, uint32(status))
		for i := range limit {
			c := mustAlloc(t, p.t, nthTuple(uint32(i)), DefaultZone)
			c.ChangeStatus(status)
			c.SetTimeout(3600000)
			if err := p.t.Insert(c); err != nil {
				t.Fatal(err)
			}
			c.Release()
		}
		if n := k.Sysctl("nf_conntrack_count"); n != limit || p.t.Count() != limit {
			t.Fatalf("filled to %d, kernel has %d, ours %d", limit, n, p.t.Count())
		}
		// One insert more each time, until the first buckets are empty of
		// what may be dropped.
		var batch []oracle.Op
		for i := range 100 {
			batch = append(batch, nth(limit+i))
		}
		before := k.Stats()
		results := k.Run(batch)
		var ok, okOurs int
		for i, r := range results {
			for name, a := range map[string]oracle.Result{"kernel": r.A, "ours": p.do(&batch[i], nil).A} {
				switch {
				case a.Inserted != 0 && a.Error == 0:
					if name == "kernel" {
						ok++
					} else {
						okOurs++
					}
				case a.Error != -12 || a.Got != 0:
					t.Fatalf("%s: got %d, error %d in a full table", name, a.Got, a.Error)
				}
			}
		}
		dropped := int(k.Stats()["early_drop"] - before["early_drop"])
		st := p.t.Stats()
		if status == IPSAssured && (ok+okOurs != 0 || dropped != 0 || st.EarlyDrop != 0) {
			t.Errorf("assured: kernel let in %d and dropped %d, ours %d and %d", ok, dropped, okOurs, st.EarlyDrop)
		}
		// Eight of 262,144 buckets hold about sixteen of the 524,288 tuples.
		if status == 0 && (dropped < ok || int(st.EarlyDrop) < okOurs || ok == 0 || ok > 60 || okOurs == 0 || okOurs > 60) {
			t.Errorf("not assured: kernel let in %d and dropped %d, ours %d and %d", ok, dropped, okOurs, st.EarlyDrop)
		}
		t.Logf("status %v: kernel let in %d and dropped %d, ours %d and %d", status, ok, dropped, okOurs, st.EarlyDrop)
		if err := check(p.t); err != nil {
			t.Error(err)
		}
	}
	k.Exec("conntrack", "-F")
}

// TestKernelSysctls compares names, first values and what may be written.
func TestKernelSysctls(t *testing.T) {
	k := oracle.New(t)
	tab := New(Options{Max: uint32(k.Sysctl("nf_conntrack_max")), Buckets: uint32(k.Sysctl("nf_conntrack_buckets"))})
	for _, name := range Sysctls() {
		got, err := tab.Sysctl(name)
		if want := k.Sysctl(name); err != nil || got != want {
			t.Errorf("%s = %d, kernel %d", name, got, want)
		}
		switch name {
		case "nf_conntrack_max", "nf_conntrack_buckets", "nf_conntrack_expect_max", countName:
			continue // not for namespaces to write
		}
		for _, v := range []int{-1, 0, 1, 2, 3, 255, 256, 8589934, 8589935, -8589934, -8589935, 1<<31 - 1} {
			kerr, err := k.SetSysctl(name, v), tab.SetSysctl(name, v)
			if (kerr == nil) != (err == nil) {
				t.Errorf("%s = %d: kernel %v, ours %v", name, v, kerr, err)
			}
			if got, _ := tab.Sysctl(name); got != k.Sysctl(name) {
				t.Errorf("%s after %d: %d, kernel %d", name, v, got, k.Sysctl(name))
			}
		}
	}
}
