package conntrack_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/conntrack/internal/wire"
)

// TestKernelNATEvict uses up a range of ports. A connection that is over gives
// its port to one that begins with a later sequence number, others do not. The
// ports are chosen at random, so each side is answered at its own.
func TestKernelNATEvict(t *testing.T) {
	b := newBeside(t, wire.Rules{Tables: `
table ip nat {
	chain post { type nat hook postrouting priority srcnat;
		ip saddr 10.1.0.0/16 ip protocol tcp snat to 10.2.8.1:5000-5003
		ip saddr 10.1.0.0/16 ip protocol udp snat to 10.2.8.1:6000-6003
	}
}
`})
	b.path = func(i *conntrack.Info) {
		if i.State() != conntrack.StateNew {
			return
		}
		r := conntrack.Range{Flags: conntrack.RangeMapIPs | conntrack.RangePorts, MinAddr: addr("10.2.8.1"), MaxAddr: addr("10.2.8.1"), MinPort: 5000, MaxPort: 5003}
		if i.Conn.Tuple(conntrack.Original).Proto == conntrack.ProtoUDP {
			r.MinPort, r.MaxPort = 6000, 6003
		}
		i.Conn.NullBinding(conntrack.ManipDst)
		if !i.Conn.NATDecided(conntrack.ManipSrc) {
			i.Conn.SetupNAT(r, conntrack.ManipSrc)
		}
	}
	type world struct {
		send  func(from wire.Side, pkt []byte) int
		reply func(orig conntrack.Tuple) string // where the server sends answers
	}
	worlds := map[string]world{
		"kernel": {
			func(from wire.Side, pkt []byte) int { return b.k.Send(from, pkt).Class },
			func(o conntrack.Tuple) string {
				f, _ := b.k.Entry(toTi(o), 0)
				return fmt.Sprintf("%v:%d", f.TupleReply.IP.DestinationAddress, f.TupleReply.Proto.DestinationPort)
			},
		},
		"ours": {
			func(_ wire.Side, pkt []byte) int { return b.track(pkt).Class },
			func(o conntrack.Tuple) string {
				c, _, err := b.t.Lookup(o, conntrack.DefaultZone)
				if err != nil {
					return "0.0.0.0:0"
				}
				defer c.Release()
				return c.Tuple(conntrack.Reply).DstAddrPort().String()
			},
		},
	}
	got := map[string][]int{}
	for name, w := range worlds {
		step := func(from wire.Side, format string, a ...any) {
			got[name] = append(got[name], w.send(from, text(t, format, a...)))
		}
		begin := func(port int, seq uint32) {
			step(wire.Client, "10.1.0.5:%d > 10.2.0.5:80 tcp S seq %d win 1000", port, seq)
		}
		end := func(port int, seq uint32) {
			client := fmt.Sprintf("10.1.0.5:%d", port)
			at := w.reply(conntrack.TupleFrom(6, netip.MustParseAddrPort(client), netip.MustParseAddrPort("10.2.0.5:80")))
			step(wire.Server, "10.2.0.5:80 > %s tcp S. seq 100 ack %d win 1000", at, seq+1)
			step(wire.Client, "%s > 10.2.0.5:80 tcp F. seq %d ack 101 win 1000", client, seq+1)
			step(wire.Server, "10.2.0.5:80 > %s tcp F. seq 101 ack %d win 1000", at, seq+2)
			step(wire.Client, "%s > 10.2.0.5:80 tcp . seq %d ack 102 win 1000", client, seq+2)
		}
		for n := range 4 {
			begin(2000+n, 1000)
		}
		begin(2004, 9000) // all are in use
		for n := range 4 {
			end(2000+n, 1000)
		}
		begin(2005, 900)  // all are over, but this one is older
		begin(2006, 9000) // takes the place of one
		begin(2007, 9000)
		begin(2008, 9000)
		begin(2009, 9000)
		begin(2010, 9000) // all are in use again
		for n := range 5 {
			step(wire.Client, "10.1.0.5:%d > 10.2.0.5:53 udp \"a\"", 3000+n)
		}
	}
	if fmt.Sprint(got["kernel"]) != fmt.Sprint(got["ours"]) {
		t.Errorf("kernel %v\nours   %v", got["kernel"], got["ours"])
	}
	t.Log(got["ours"])
	if err := conntrack.Check(b.t); err != nil {
		t.Error(err)
	}
}
