package conntrack

import (
	"sync"
	"testing"
)

// TestTrackParallel has many goroutines send packets of the same and of other
// connections, some of which end meanwhile.
func TestTrackParallel(t *testing.T) {
	clock := new(testClock)
	table := New(Options{Clock: clock, Max: 200})
	table.SetSysctl("nf_conntrack_acct", 1)
	cancel := table.Subscribe(func(e Event) { _ = e.Conn.String() })
	defer cancel()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 2000 {
				p := udpPacket("10.0.0.1:1000", "10.0.0.2:53")
				p.Tuple.SrcPort += uint16(n*7+g) % 60
				if n%2 == 0 {
					p.Tuple.Proto = ProtoTCP
					p.TCP = TCPSegment{Seq: uint32(n), Window: 1000, Flags: []uint8{TCPSyn, TCPAck, TCPFin | TCPAck, TCPRst}[n/2%4]}
				}
				if n%3 == 0 {
					p.Tuple, _ = p.Tuple.Invert()
				}
				i := table.Track(&p)
				if i.State() == StateNew && n%5 == 0 {
					i.Conn.SetupNAT(Range{Flags: RangeMapIPs, MinAddr: Addr{10, 0, 0, 7}, MaxAddr: Addr{10, 0, 0, 9}}, ManipSrc)
				}
				if i.State() == StateNew && n%11 == 0 {
					table.Expect(expectOn(i.Conn, uint16(1000+n%100)))
				}
				table.Confirm(&i)
				if n%50 == 0 {
					i.Conn.Delete()
				}
				i.Release()
				if n%500 == 0 {
					clock.j.Add(1000)
					table.GC(100)
				}
			}
		})
	}
	wg.Wait()
	if err := check(table); err != nil {
		t.Fatal(err)
	}
	table.Flush()
	clock.j.Add(1 << 29)
	table.Expectations()
	table.GC(0)
	if n := table.Count(); n != 0 {
		t.Errorf("%d connections leaked", n)
	}
}
