package conntrack

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func udpPacket(src, dst string) Packet {
	return Packet{Zone: DefaultZone, Len: 29, Tuple: TupleFrom(ProtoUDP, netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst))}
}

// TestTrackFull fills a small table: what is not assured is dropped early where
// its bucket is near, else the packet is.
func TestTrackFull(t *testing.T) {
	table := New(Options{Max: 50, Buckets: 1024})
	dropped := 0
	for n := range 200 {
		p := udpPacket("10.0.0.1:1000", "10.0.0.2:53")
		p.Tuple.SrcPort += uint16(n)
		i := table.Track(&p)
		if i.Verdict == VerdictDrop {
			dropped++
			if i.Reason.ID != ReasonTableFull || i.Reason.String() != "table full, dropping packet: nf_conntrack_max is 50" {
				t.Fatal(i.Reason)
			}
		}
		table.Confirm(&i)
		i.Release()
	}
	s := table.Stats()
	if n := table.Count(); n > 50 || dropped == 0 || int(s.Drop) != dropped || int(s.Insert) != 200-dropped || int(s.Insert-s.EarlyDrop) != n {
		t.Errorf("%d in the table, %d dropped, counters %+v", n, dropped, s)
	}
	if err := check(table); err != nil {
		t.Error(err)
	}
}

// TestTrackClash has two packets begin the same connection before either is
// confirmed.
func TestTrackClash(t *testing.T) {
	for _, c := range []struct {
		name    string
		proto   uint8
		nat     func(c Conn, n int)
		verdict Verdict
		same    bool
	}{
		{"udp", ProtoUDP, func(Conn, int) {}, VerdictAccept, true},
		{"udp, null bindings", ProtoUDP, func(c Conn, _ int) { c.NullBinding(ManipDst); c.NullBinding(ManipSrc) }, VerdictAccept, true},
		{"udp, one reply", ProtoUDP, func(c Conn, n int) {
			c.SetupNAT(Range{Flags: RangeMapIPs, MinAddr: Addr{10, 9, 9, byte(n)}, MaxAddr: Addr{10, 9, 9, byte(n)}}, ManipDst)
		}, VerdictAccept, false},
		{"tcp", ProtoTCP, func(Conn, int) {}, VerdictDrop, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := New(Options{})
			table.SetSysctl("nf_conntrack_acct", 1)
			p := udpPacket("10.0.0.1:1000", "10.0.0.2:53")
			p.Tuple.Proto = c.proto
			p.TCP = TCPSegment{Flags: TCPSyn, Window: 1}
			a := table.Track(&p)
			b := table.Track(&p)
			c.nat(a.Conn, 1)
			c.nat(b.Conn, 2)
			if v := table.Confirm(&a); v != VerdictAccept {
				t.Fatal(v)
			}
			if v := table.Confirm(&b); v != c.verdict || v == VerdictAccept && a.Conn.Same(b.Conn) != c.same {
				t.Fatalf("%v, the same: %v, %v", v, a.Conn.Same(b.Conn), b.Reason)
			}
			s := table.Stats()
			if c.verdict == VerdictDrop {
				if s.InsertFailed != 1 || s.Drop != 1 {
					t.Errorf("%+v", s)
				}
			} else if s.ClashResolve != 1 {
				t.Errorf("%+v", s)
			}
			if n, _ := a.Conn.Counters(); c.same && n[Original].Packets != 2 {
				t.Errorf("counted %v", n)
			}
			if c.verdict == VerdictAccept && !c.same {
				if b.Conn.Status()&(IPSNATClash|IPSFixedTimeout) != IPSNATClash|IPSFixedTimeout || b.Conn.Expires() != 250 {
					t.Errorf("%v, %d", b.Conn.Status(), b.Conn.Expires())
				}
			}
			a.Release()
			b.Release()
			if err := check(table); err != nil {
				t.Error(err)
			}
			table.Flush()
			for range 2 { // what lost is not shown, but its time comes
				table.GC(0)
			}
		})
	}
}

// TestTrackUnconfirmed drops a packet on its way: nothing stays.
func TestTrackUnconfirmed(t *testing.T) {
	table := New(Options{})
	p := udpPacket("10.0.0.1:1000", "10.0.0.2:53")
	i := table.Track(&p)
	if i.State() != StateNew || table.Count() != 1 {
		t.Fatal(i.State(), table.Count())
	}
	if _, _, err := table.Lookup(p.Tuple, DefaultZone); err == nil {
		t.Error("it is found before it is confirmed")
	}
	i.Release()
	if table.Count() != 0 || i.Conn.Valid() {
		t.Error("it is still there")
	}
}

// TestTrackProgramEntry sends packets of a connection that a program made, as
// bpf_ct_insert_entry does: no packet began it.
func TestTrackProgramEntry(t *testing.T) {
	table := New(Options{})
	p := udpPacket("10.0.0.1:1000", "10.0.0.2:53")
	p.Tuple.Proto = ProtoTCP
	c, err := table.Alloc(p.Tuple, DefaultZone)
	if err != nil {
		t.Fatal(err)
	}
	c.SetNATInfo(Addr{10, 0, 0, 9}, 0, ManipDst)
	c.ChangeStatus(IPSSeenReply | IPSAssured)
	if err := table.Insert(c); err != nil {
		t.Fatal(err)
	}
	p.TCP = TCPSegment{Flags: TCPSyn, Seq: 1, Window: 100}
	i := table.Track(&p)
	to, ok := i.Translate(ManipDst)
	if s, _ := c.TCPState(); i.State() != StateEstablished || s != TCPSynSent || !ok || to.Dst != (Addr{10, 0, 0, 9}) {
		t.Errorf("%v, %v, %v, %v", i.State(), s, to, ok)
	}
	i.Release()
	c.Release()
}

// TestTrackInvariants sends packets of few hosts with anything in them; the
// table must stay whole after each.
func TestTrackInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		clock := new(testClock)
		table := New(Options{Clock: clock, Max: 20})
		var held []Info
		for range rapid.IntRange(1, 40).Draw(rt, "packets") {
			clock.j.Add(uint64(rapid.SampledFrom([]int{0, 1, 1000, 100000}).Draw(rt, "later")))
			p := genPacket(rt)
			i := table.Track(&p)
			if (i.Conn.e != nil) == (i.State() == StateInvalid || i.State() == StateUntracked) {
				rt.Fatalf("state %v with connection %v", i.State(), i.Conn.e != nil)
			}
			if i.State() == StateInvalid && i.Reason.ID == ReasonNone {
				rt.Fatal("invalid without a reason")
			}
			switch rapid.IntRange(0, 3).Draw(rt, "then") {
			case 0:
				held = append(held, i)
				continue
			case 1:
				i.Conn.SetupNAT(Range{Flags: RangeMapIPs, MinAddr: Addr{10, 0, 0, 1}, MaxAddr: Addr{10, 0, 0, 3}}, Manip(rapid.IntRange(0, 1).Draw(rt, "manip")))
				table.Confirm(&i)
			case 2:
				table.Confirm(&i)
			}
			i.Release()
			if err := check(table); err != nil {
				rt.Fatal(err)
			}
		}
		for n := range held {
			table.Confirm(&held[n])
			held[n].Release()
		}
		if err := check(table); err != nil {
			rt.Fatal(err)
		}
		table.Flush()
		clock.j.Add(1 << 30)
		table.GC(0)
		if n := table.Count(); n != 0 {
			rt.Fatalf("%d connections leaked", n)
		}
	})
}

func genPacket(t *rapid.T) Packet {
	p := Packet{Zone: DefaultZone, Len: 100}
	host := func(n string) Addr { return Addr{10, 0, 0, byte(rapid.IntRange(1, 3).Draw(t, n))} }
	p.Tuple = Tuple{
		Src: host("src"), Dst: host("dst"), Family: IPv4,
		SrcPort: uint16(rapid.IntRange(1, 2).Draw(t, "sport")), DstPort: uint16(rapid.IntRange(1, 2).Draw(t, "dport")),
		Proto: rapid.SampledFrom([]uint8{ProtoTCP, ProtoUDP, ProtoSCTP, ProtoICMP, ProtoGRE, ProtoUDPLite, 99}).Draw(t, "proto"),
	}
	p.Fault = ReasonID(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, int(ReasonNoTransport), int(ReasonNoTuple), int(ReasonShort)}).Draw(t, "fault"))
	p.TCP = TCPSegment{
		Seq: rapid.Uint32().Draw(t, "seq"), Ack: rapid.Uint32().Draw(t, "ack"), Window: rapid.Uint16().Draw(t, "win"),
		Flags: rapid.SampledFrom([]uint8{TCPSyn, TCPSyn | TCPAck, TCPAck, TCPFin | TCPAck, TCPRst, TCPRst | TCPAck, 0, 255}).Draw(t, "flags"),
	}
	p.TCP.SACK = p.TCP.Ack
	if p.Tuple.Proto == ProtoICMP {
		p.ICMPType = rapid.SampledFrom([]uint8{0, 8, 3, 13, 99, 9}).Draw(t, "type")
		p.Tuple.DstPort = uint16(p.ICMPType) << 8
		p.HasQuoted = true
		p.Quoted = Tuple{Src: p.Tuple.Dst, Dst: host("quoted"), SrcPort: 1, DstPort: 2, Family: IPv4, Proto: ProtoUDP}
	}
	p.VTag = uint32(rapid.IntRange(0, 1).Draw(t, "vtag"))
	p.Chunks = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "chunks")
	if rapid.Bool().Draw(t, "init") {
		p.Chunks = append([]byte{1, 0, 0, 20}, make([]byte, 16)...)
		p.VTag = 0
	}
	return p
}
