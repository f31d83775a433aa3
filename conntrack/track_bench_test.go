package conntrack

import "testing"

// flows are n TCP conversations in the middle of their transfer.
func flows(tb testing.TB, n int) (*Table, []Packet) {
	tb.Helper()
	t := New(Options{})
	pkts := make([]Packet, 0, 2*n)
	send := func(p *Packet) {
		i := t.Track(p)
		if i.Reason.ID != ReasonNone || t.Confirm(&i) != VerdictAccept {
			tb.Fatal(i.Reason)
		}
		i.Release()
	}
	for k := range n {
		up := Packet{Tuple: nthTuple(uint32(k)), Zone: DefaultZone, Len: 40}
		up.Tuple.Proto = ProtoTCP
		down := up
		down.Tuple, _ = up.Tuple.Invert()
		up.TCP = TCPSegment{Seq: 100, Window: 60000, Flags: TCPSyn}
		send(&up)
		down.TCP = TCPSegment{Seq: 500, Ack: 101, SACK: 101, Window: 60000, Flags: TCPSyn | TCPAck}
		send(&down)
		up.TCP = TCPSegment{Seq: 101, Ack: 501, SACK: 501, Window: 60000, Flags: TCPAck}
		send(&up)
		down.TCP = TCPSegment{Seq: 501, Ack: 101, SACK: 101, Window: 60000, Flags: TCPAck, Len: 1000}
		pkts = append(pkts, up, down)
	}
	return t, pkts
}

func benchTrack(b *testing.B, n int) {
	t, pkts := flows(b, n)
	k := 0
	b.ReportAllocs()
	for b.Loop() {
		i := t.Track(&pkts[k])
		t.Confirm(&i)
		i.Release()
		if k++; k == len(pkts) {
			k = 0
		}
	}
}

// BenchmarkTrackTCP sends segments of established connections, those of few
// and of many.
func BenchmarkTrackTCP(b *testing.B) {
	b.Run("100", func(b *testing.B) { benchTrack(b, 100) })
	b.Run("100000", func(b *testing.B) { benchTrack(b, 100000) })
}

// BenchmarkTrackNew begins, confirms and forgets UDP exchanges.
func BenchmarkTrackNew(b *testing.B) {
	t := New(Options{Clock: new(testClock)})
	p := Packet{Zone: DefaultZone, Len: 60}
	n := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		p.Tuple = nthTuple(n)
		n++
		i := t.Track(&p)
		t.Confirm(&i)
		t.unlink(i.Conn)
		i.Release()
	}
}

// TestTrackAllocs wants no allocation for a packet of a known connection.
func TestTrackAllocs(t *testing.T) {
	table, pkts := flows(t, 10)
	k := 0
	if n := testing.AllocsPerRun(1000, func() {
		i := table.Track(&pkts[k%len(pkts)])
		table.Confirm(&i)
		i.Release()
		k++
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
