package conntrack_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ti "github.com/ti-mo/conntrack"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/conntrack/ctframe"
	"github.com/bpfct/bpfct/conntrack/internal/wire"
	"github.com/bpfct/bpfct/packet"
)

// wallClock is jiffies since it was made.
type wallClock struct{ start time.Time }

const testHZ = 250

func (c wallClock) Jiffies() uint64 {
	return 1<<33 + uint64(time.Since(c.start)*testHZ/time.Second)
}

// beside is the kernel and a table of ours that see the same packets.
type beside struct {
	tb testing.TB
	k  *wire.Kernel
	t  *conntrack.Table
	p  conntrack.Packet
	// explain is what ours said of the last packet.
	explain conntrack.Info
	// path is what a packet meets between Track and Confirm.
	path func(i *conntrack.Info)
}

// apart are timeouts by which classes can be told from each other.
var apart = map[string]int{
	"nf_conntrack_generic_timeout":                610,
	"nf_conntrack_tcp_timeout_syn_sent":           1110,
	"nf_conntrack_tcp_timeout_syn_recv":           1220,
	"nf_conntrack_tcp_timeout_established":        9330,
	"nf_conntrack_tcp_timeout_fin_wait":           1440,
	"nf_conntrack_tcp_timeout_close_wait":         1550,
	"nf_conntrack_tcp_timeout_last_ack":           1660,
	"nf_conntrack_tcp_timeout_time_wait":          1770,
	"nf_conntrack_tcp_timeout_close":              880,
	"nf_conntrack_tcp_timeout_max_retrans":        1290,
	"nf_conntrack_tcp_timeout_unacknowledged":     1390,
	"nf_conntrack_udp_timeout":                    710,
	"nf_conntrack_udp_timeout_stream":             820,
	"nf_conntrack_icmp_timeout":                   730,
	"nf_conntrack_icmpv6_timeout":                 740,
	"nf_conntrack_gre_timeout":                    750,
	"nf_conntrack_gre_timeout_stream":             760,
	"nf_conntrack_acct":                           1,
	"nf_conntrack_sctp_timeout_closed":            510,
	"nf_conntrack_sctp_timeout_cookie_wait":       520,
	"nf_conntrack_sctp_timeout_cookie_echoed":     530,
	"nf_conntrack_sctp_timeout_established":       540,
	"nf_conntrack_sctp_timeout_shutdown_sent":     550,
	"nf_conntrack_sctp_timeout_shutdown_recd":     560,
	"nf_conntrack_sctp_timeout_shutdown_ack_sent": 570,
	"nf_conntrack_sctp_timeout_heartbeat_sent":    580,
}

func newBeside(tb testing.TB, r wire.Rules) *beside {
	tb.Helper()
	b := &beside{tb: tb, k: wire.Open(tb, r)}
	b.t = conntrack.New(conntrack.Options{Clock: wallClock{time.Now()}, HZ: testHZ})
	for name, v := range apart {
		b.sysctl(name, v)
	}
	return b
}

func (b *beside) sysctl(name string, v int) {
	b.tb.Helper()
	b.k.Sysctl(name, v)
	if err := b.t.SetSysctl(name, v); err != nil {
		b.tb.Fatal(err)
	}
}

// text makes an IP packet of its text form.
func text(tb testing.TB, format string, a ...any) []byte {
	tb.Helper()
	b, _, err := packet.ParseTextLink("raw " + fmt.Sprintf(format, a...))
	if err != nil {
		tb.Fatalf("%v in %s", err, fmt.Sprintf(format, a...))
	}
	return b
}

// view is what both can say of a connection after a packet.
type view struct {
	Class      int
	Reply      bool
	Exists     bool
	Status     conntrack.Status
	Timeout    int
	TCP        conntrack.TCPInfo
	SCTP       conntrack.SCTPInfo
	Counters   [2]conntrack.Counter
	Mark       uint32
	ReplyTuple string
	Master     string
}

// send sends a packet through both and says where they differ.
func (b *beside) send(from wire.Side, pkt []byte) error {
	b.tb.Helper()
	r := b.k.Send(from, pkt)
	want := view{Class: r.Class, Reply: r.Reply}
	got := b.track(pkt)
	tuple := b.p.Tuple
	if f, ok := b.k.Entry(toTi(tuple), b.p.Zone.ID); ok {
		kernelView(&want, &f)
	}
	if c, _, err := b.t.Lookup(tuple, b.zone()); err == nil {
		if s, ok := c.Snapshot(); ok {
			ourView(&got, &s)
		}
		c.Release()
	}
	if d := got.Timeout - want.Timeout; d >= -1 && d <= 1 {
		got.Timeout = want.Timeout
	}
	if want != got {
		return fmt.Errorf("%s\nours: %v, %s: %v\n(-kernel +ours)\n%s", packet.FormatOptions{}.Format(pkt, packet.LinkRaw),
			b.explain.State(), b.explain.Reason.ID, b.explain.Reason, cmp.Diff(want, got))
	}
	return nil
}

func (b *beside) zone() conntrack.Zone {
	if b.p.Zone == (conntrack.Zone{}) {
		return conntrack.DefaultZone
	}
	return b.p.Zone
}

// track sends a packet through ours.
func (b *beside) track(pkt []byte) view {
	info, _ := packet.Parse(pkt, packet.LinkRaw)
	if !ctframe.Fill(&b.p, pkt, &info, true) {
		return view{Class: wire.Dropped}
	}
	b.p.Zone = b.zone()
	i := b.t.Track(&b.p)
	v := view{Reply: i.Dir() == conntrack.Reply}
	switch i.State() {
	case conntrack.StateInvalid:
		v.Class = wire.Invalid
	case conntrack.StateEstablished:
		v.Class = wire.Established
	case conntrack.StateRelated:
		v.Class = wire.Related
	case conntrack.StateNew:
		v.Class = wire.New
	case conntrack.StateUntracked:
		v.Class = wire.Untracked
	}
	if b.path != nil {
		b.path(&i)
	}
	if i.Verdict == conntrack.VerdictDrop || b.t.Confirm(&i) == conntrack.VerdictDrop {
		v = view{}
	}
	b.explain = i
	i.Release()
	return v
}

func toTi(t conntrack.Tuple) ti.Tuple {
	out := ti.Tuple{IP: ti.IPTuple{SourceAddress: t.Src.Netip(t.Family), DestinationAddress: t.Dst.Netip(t.Family)},
		Proto: ti.ProtoTuple{Protocol: t.Proto, SourcePort: t.SrcPort, DestinationPort: t.DstPort}}
	switch t.Proto {
	case conntrack.ProtoICMP:
		out.Proto = ti.ProtoTuple{Protocol: t.Proto, ICMPv4: true, ICMPID: t.SrcPort, ICMPType: uint8(t.DstPort >> 8), ICMPCode: uint8(t.DstPort)}
	case conntrack.ProtoICMPv6:
		out.Proto = ti.ProtoTuple{Protocol: t.Proto, ICMPv6: true, ICMPID: t.SrcPort, ICMPType: uint8(t.DstPort >> 8), ICMPCode: uint8(t.DstPort)}
	}
	return out
}

func tiString(t ti.Tuple) string {
	if t.Proto.ICMPv4 || t.Proto.ICMPv6 {
		return fmt.Sprintf("%s>%s %d/%d/%d", t.IP.SourceAddress, t.IP.DestinationAddress, t.Proto.ICMPType, t.Proto.ICMPCode, t.Proto.ICMPID)
	}
	return fmt.Sprintf("%s>%s", netip.AddrPortFrom(t.IP.SourceAddress, t.Proto.SourcePort), netip.AddrPortFrom(t.IP.DestinationAddress, t.Proto.DestinationPort))
}

func kernelView(v *view, f *ti.Flow) {
	v.Exists = true
	v.Status = conntrack.Status(f.Status)
	v.Timeout = int(f.Timeout)
	if p := f.ProtoInfo.TCP; p != nil {
		v.TCP = conntrack.TCPInfo{State: conntrack.TCPState(p.State), WScale: [2]uint8{p.OriginalWindowScale, p.ReplyWindowScale},
			Flags: [2]uint8{uint8(p.OriginalFlags >> 8), uint8(p.ReplyFlags >> 8)}}
	}
	if p := f.ProtoInfo.SCTP; p != nil {
		v.SCTP = conntrack.SCTPInfo{State: conntrack.SCTPState(p.State), VTag: [2]uint32{p.VTagOriginal, p.VTagReply}}
	}
	v.Counters = [2]conntrack.Counter{{Packets: f.CountersOrig.Packets, Bytes: f.CountersOrig.Bytes}, {Packets: f.CountersReply.Packets, Bytes: f.CountersReply.Bytes}}
	v.Mark = f.Mark
	v.ReplyTuple = tiString(f.TupleReply)
	if f.TupleMaster.Proto.Protocol != 0 {
		v.Master = tiString(f.TupleMaster)
	}
}

func ourView(v *view, s *conntrack.Snapshot) {
	v.Exists = true
	v.Status = s.Status
	v.Timeout = s.Seconds()
	if s.Proto != nil {
		if s.Proto.TCP != nil {
			v.TCP = *s.Proto.TCP
		}
		if s.Proto.SCTP != nil {
			v.SCTP = *s.Proto.SCTP
		}
		if s.Proto.Counters != nil {
			v.Counters = *s.Proto.Counters
		}
	}
	v.Mark = s.Mark
	v.ReplyTuple = tiString(toTi(s.Tuples[conntrack.Reply]))
}

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

func itoa(n int) string { return fmt.Sprint(n) }

func ipSum(b []byte) uint16 { return ^packet.Checksum(b) }
