package conntrack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	ti "github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/conntrack/internal/wire"
)

const zoneRules = `
table inet zones {
	chain raw { type filter hook prerouting priority raw;
		ip saddr 10.1.7.0/24 ct zone set 7
		ip daddr 10.1.7.0/24 ct zone set 7
		ip saddr 10.1.8.0/24 ct original zone set 8
		ip saddr 10.1.9.0/24 notrack
	}
}
`

// TestKernelZones puts packets in zones of both directions and of one, and
// leaves some untracked.
func TestKernelZones(t *testing.T) {
	b := newBeside(t, wire.Rules{Tables: zoneRules})
	for _, c := range []struct {
		src       string
		zone      conntrack.Zone
		reply     conntrack.Zone
		untracked bool
	}{
		{"10.1.6.2", conntrack.DefaultZone, conntrack.DefaultZone, false},
		{"10.1.7.2", conntrack.Zone{ID: 7, Dir: conntrack.ZoneDirDefault}, conntrack.Zone{ID: 7, Dir: conntrack.ZoneDirDefault}, false},
		{"10.1.8.2", conntrack.Zone{ID: 8, Dir: conntrack.ZoneDirOrig}, conntrack.DefaultZone, false},
		{"10.1.9.2", conntrack.DefaultZone, conntrack.DefaultZone, true},
	} {
		for range 2 {
			b.p.Zone, b.p.Untracked = c.zone, c.untracked
			if err := b.send(wire.Client, text(t, "%s:1000 > 10.2.0.5:53 udp \"a\"", c.src)); err != nil {
				t.Errorf("%s: %v", c.src, err)
			}
			b.p.Zone, b.p.Untracked = c.reply, false
			if c.untracked {
				continue
			}
			if err := b.send(wire.Server, text(t, "10.2.0.5:53 > %s:1000 udp \"a\"", c.src)); err != nil {
				t.Errorf("%s: %v", c.src, err)
			}
		}
	}
}

// TestKernelCounters compares the statistics after packets of all kinds.
func TestKernelCounters(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	b.lines(`
		10.1.0.5:1000 > 10.2.0.5:53 udp "a"
		10.1.0.5:1000 > 10.2.0.5:53 udp sum 1 "a"
		10.1.0.5 > 10.2.0.5 icmp type 9
		10.1.0.5 > 10.2.0.5 icmp type 99
		10.1.0.5 > 10.2.0.5 icmp echo reply id 5 seq 1
		10.2.0.5 > 10.1.0.5 icmp unreachable port (10.1.0.5:1001 > 10.2.0.5:53 udp "a")
		10.1.0.5:1000 > 10.2.0.5:80 tcp SF seq 1
		10.1.0.5:1000 > 10.2.0.5:80 tcp R seq 1
		10.1.0.5:1000 > 10.2.0.5:80 tcp S seq 1 win 100
		10.1.0.5:1000 > 10.2.0.5:80 tcp . seq 1 win 100
		fd00:100::5 > fd00:200::5 icmp6 type 135 rest 5
	`)
	all, err := b.k.CT.Stats()
	if err != nil {
		t.Fatal(err)
	}
	var k ti.Stats
	for _, s := range all {
		k.Invalid += s.Invalid
		k.Insert += s.Insert
		k.InsertFailed += s.InsertFailed
		k.Drop += s.Drop
		k.EarlyDrop += s.EarlyDrop
		k.Error += s.Error
	}
	o := b.t.Stats()
	if k.Invalid != o.Invalid || k.InsertFailed != o.InsertFailed || k.Drop != o.Drop || k.EarlyDrop != o.EarlyDrop || k.Error != o.Error {
		t.Errorf("kernel %+v\nours   %+v", k, o)
	}
}

// TestKernelStream waits until a UDP exchange is a stream: what decides is the
// age, and no clock of the kernel can be turned.
func TestKernelStream(t *testing.T) {
	t.Parallel()
	b := newBeside(t, wire.Rules{})
	up, down := text(t, `10.1.0.5:1000 > 10.2.0.5:53 udp "a"`), text(t, `10.2.0.5:53 > 10.1.0.5:1000 udp "b"`)
	begin := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		age := time.Since(begin)
		if near := age > 1950*time.Millisecond && age < 2050*time.Millisecond; !near {
			for _, err := range []error{b.send(wire.Client, up), b.send(wire.Server, down)} {
				if err != nil {
					t.Fatalf("after %v: %v", age, err)
				}
			}
		}
		if age > 2100*time.Millisecond {
			break
		}
	}
}

// TestKernelEvents compares the events that packets cause.
func TestKernelEvents(t *testing.T) {
	b := newBeside(t, wire.Rules{})
	var conn *ti.Conn
	var err error
	b.k.In(func() { conn, err = ti.Dial(nil) })
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan ti.Event, 100)
	if _, err := conn.Listen(events, 1, []netfilter.NetlinkGroup{netfilter.GroupCTNew, netfilter.GroupCTUpdate, netfilter.GroupCTDestroy}); err != nil {
		t.Fatal(err)
	}
	var ours []string
	b.t.Subscribe(func(e conntrack.Event) {
		state := ""
		if p := e.Conn.Proto; p != nil && p.TCP != nil && (e.Changes&conntrack.ChangedProtoInfo != 0 || e.Type == conntrack.EventDestroy || e.Type == conntrack.EventNew) {
			state = p.TCP.State.String()
		}
		ours = append(ours, fmt.Sprintf("%v %v %s", e.Type, e.Conn.Status&^conntrack.IPSDying, state))
	})
	b.lines(`
		10.1.0.5:1000 > 10.2.0.5:80 tcp S seq 1 win 100
		10.1.0.5:1000 > 10.2.0.5:80 tcp S seq 1 win 100
		10.2.0.5:80 > 10.1.0.5:1000 tcp S. seq 100 ack 2 win 100
		10.1.0.5:1000 > 10.2.0.5:80 tcp . seq 2 ack 101 win 100
		10.1.0.5:1000 > 10.2.0.5:80 tcp P. seq 2 ack 101 win 100 "data"
		10.1.0.5:1000 > 10.2.0.5:80 tcp F. seq 6 ack 101 win 100
		10.2.0.5:80 > 10.1.0.5:1000 tcp F. seq 101 ack 7 win 100
		10.1.0.5:1000 > 10.2.0.5:80 tcp . seq 7 ack 102 win 100
		10.1.0.5:1000 > 10.2.0.5:80 tcp S seq 9000 win 100
		10.2.0.5:80 > 10.1.0.5:1000 tcp R. seq 0 ack 9001
		10.1.0.5:1000 > 10.2.0.5:53 udp "a"
		10.2.0.5:53 > 10.1.0.5:1000 udp "a"
	`)
	var want []string
	for range ours {
		select {
		case e := <-events:
			state := ""
			if e.Flow.ProtoInfo.TCP != nil {
				state = conntrack.TCPState(e.Flow.ProtoInfo.TCP.State).String()
			}
			typ := map[string]string{"EventNew": "NEW", "EventUpdate": "UPDATE", "EventDestroy": "DESTROY"}[e.Type.String()]
			want = append(want, fmt.Sprintf("%s %v %s", typ, conntrack.Status(e.Flow.Status)&^conntrack.IPSDying, state))
		case <-time.After(5 * time.Second):
			want = append(want, "(none)")
		}
	}
	if a, b := strings.Join(ours, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("ours\n%s\nthe kernel's\n%s", a, b)
	}
	select {
	case e := <-events:
		t.Errorf("the kernel has one more: %v", e)
	default:
	}
}
