package helper

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	ti "github.com/ti-mo/conntrack"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/conntrack/ctframe"
	"github.com/bpfct/bpfct/conntrack/internal/wire"
	"github.com/bpfct/bpfct/packet"
)

const helperRules = `
table inet helpers {
	ct helper ftp-std { type "ftp" protocol tcp; }
	ct helper tftp-std { type "tftp" protocol udp; }
	chain pre { type filter hook prerouting priority -10;
		tcp dport 21 ct helper set "ftp-std"
		udp dport 69 ct helper set "tftp-std"
	}
}
`

const natRules = `
table ip nat {
	chain pre { type nat hook prerouting priority dstnat; }
	chain post { type nat hook postrouting priority srcnat;
		ip saddr 10.1.0.0/16 snat to 10.2.100.200
	}
}
`

// both is the kernel and ours with the helpers on.
type both struct {
	tb  testing.TB
	k   *wire.Kernel
	t   *conntrack.Table
	nat bool
	seq [2]uint32
	met map[string]bool // the expectations that both had
}

func newBoth(tb testing.TB, nat bool) *both {
	r := wire.Rules{Tables: helperRules}
	if nat {
		r.Tables += natRules
	}
	return &both{tb: tb, k: wire.Open(tb, r), t: conntrack.New(conntrack.Options{}), nat: nat}
}

func (b *both) packet(format string, a ...any) []byte {
	b.tb.Helper()
	p, _, err := packet.ParseTextLink("raw " + fmt.Sprintf(format, a...))
	if err != nil {
		b.tb.Fatal(err)
	}
	return p
}

var wireClasses = map[conntrack.State]int{conntrack.StateInvalid: wire.Invalid, conntrack.StateEstablished: wire.Established,
	conntrack.StateRelated: wire.Related, conntrack.StateNew: wire.New}

// send has both track a packet and compares state, payload and expectations.
func (b *both) send(from wire.Side, pkt []byte) {
	b.tb.Helper()
	r := b.k.Send(from, pkt)
	var p conntrack.Packet
	info, _ := packet.Parse(pkt, packet.LinkRaw)
	if !ctframe.Fill(&p, pkt, &info, true) {
		b.tb.Fatal("no IP")
	}
	p.Zone = conntrack.DefaultZone
	i := b.t.Track(&p)
	class := wireClasses[i.State()]
	if i.State() == conntrack.StateNew {
		switch {
		case p.Tuple.DstPort == 21:
			Attach(i.Conn, "ftp")
		case p.Tuple.DstPort == 69:
			Attach(i.Conn, "tftp")
		}
	}
	if b.nat && i.Conn.Valid() && (i.State() == conntrack.StateNew || i.State() == conntrack.StateRelated) {
		if !i.Conn.NATDecided(conntrack.ManipDst) {
			i.Conn.NullBinding(conntrack.ManipDst)
		}
		if !i.Conn.NATDecided(conntrack.ManipSrc) {
			if from == wire.Client {
				to := conntrack.AddrFrom(netip.MustParseAddr("10.2.100.200"))
				i.Conn.SetupNAT(conntrack.Range{Flags: conntrack.RangeMapIPs, MinAddr: to, MaxAddr: to}, conntrack.ManipSrc)
			} else {
				i.Conn.NullBinding(conntrack.ManipSrc)
			}
		}
	}
	payload := pkt[info.Payload:info.End]
	a := Help(b.t, &Packet{Info: &i, Seq: p.TCP.Seq, Payload: payload})
	if a.Edit != nil {
		payload = a.Edit.Apply(payload)
	}
	if a.Verdict == conntrack.VerdictDrop || b.t.Confirm(&i) == conntrack.VerdictDrop {
		class = wire.Dropped
	}
	if class != r.Class {
		b.tb.Errorf("%q: class %d, the kernel's is %d", payload, class, r.Class)
	}
	if r.Class != wire.Dropped {
		out, _ := packet.Parse(r.Out, packet.LinkRaw)
		if want := string(r.Out[out.Payload:out.End]); string(payload) != want {
			b.tb.Errorf("payload %q, the kernel's is %q", payload, want)
		}
		if p.Tuple.Proto == conntrack.ProtoTCP && i.Conn.Valid() {
			seq, ack := i.Conn.ShiftSeq(i.Dir(), p.TCP.Seq, p.TCP.Ack)
			h := r.Out[out.Transport:]
			be := func(b []byte) uint32 {
				return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
			}
			if be(h[4:]) != seq || p.TCP.Flags&conntrack.TCPAck != 0 && be(h[8:]) != ack {
				b.tb.Errorf("seq %d ack %d, the kernel's are %d and %d", seq, ack, be(h[4:]), be(h[8:]))
			}
		}
	}
	i.Release()
	b.expectations()
}

func tuple(t ti.Tuple) string {
	return fmt.Sprintf("%v:%d>%v:%d/%d", t.IP.SourceAddress, t.Proto.SourcePort, t.IP.DestinationAddress, t.Proto.DestinationPort, t.Proto.Protocol)
}

func (b *both) expectations() {
	b.tb.Helper()
	list, err := b.k.CT.DumpExpect()
	if err != nil {
		b.tb.Fatal(err)
	}
	want, got := map[string]bool{}, map[string]bool{}
	for _, x := range list {
		want[tuple(x.Tuple)+" of "+tuple(x.TupleMaster)+" by "+x.HelpName] = true
	}
	for _, x := range b.t.Expectations() {
		t, m := x.Tuple, x.Master.Tuple(conntrack.Original)
		str := func(t conntrack.Tuple) string {
			return fmt.Sprintf("%v:%d>%v:%d/%d", t.Src.Netip(t.Family), t.SrcPort, t.Dst.Netip(t.Family), t.DstPort, t.Proto)
		}
		if b.met == nil {
			b.met = map[string]bool{}
		}
		b.met[str(t)] = true
		got[str(t)+" of "+str(m)+" by "+x.Helper] = true
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		b.tb.Errorf("expectations\n%v\nthe kernel's are\n%v", got, want)
	}
}

// open makes a control connection.
func (b *both) open(port int) (client, server string) {
	client, server = fmt.Sprintf("10.1.0.5:%d", port), "10.2.0.5:21"
	b.seq = [2]uint32{1000, 5000}
	b.tcp(wire.Client, client, server, "S", "")
	b.tcp(wire.Server, server, b.toward(client), "S.", "")
	b.tcp(wire.Client, client, server, ".", "")
	return client, server
}

// toward is where the server sends what is for the client.
func (b *both) toward(client string) string {
	if !b.nat {
		return client
	}
	return "10.2.100.200" + client[strings.IndexByte(client, ':'):]
}

func (b *both) tcp(from wire.Side, src, dst, flags, payload string) {
	b.tb.Helper()
	b.send(from, b.packet("%s > %s tcp %s seq %d ack %d win 8000 %s", src, dst, flags, b.seq[from], b.seq[1-from], strconv.Quote(payload)))
	b.seq[from] += uint32(len(payload))
	if strings.ContainsAny(flags, "SF") {
		b.seq[from]++
	}
}

var lines = []struct {
	from wire.Side
	text string
}{
	{1, "220 ready\r\n"}, {0, "USER me\r\n"}, {1, "331 password\r\n"}, {0, "PASS x\r\n"}, {1, "230 in\r\n"},
	{0, "PORT 10,1,0,5,4,1\r\n"}, {1, "200 ok\r\n"}, {0, "port 10,1,0,5,4,2\r\n"}, {0, "PORT 10,1,0,6,4,3\r\n"},
	{0, "PORT 10,1,0,5,4\r\n"}, {0, "PORT 10,1,0,256,4,3\r\n"}, {0, "PORT 10,1,0,5,4,3"}, {0, "\r\n"}, {0, "POR"}, {0, "T 1\r\n"},
	{0, "EPRT |1|10.1.0.5|1030|\r\n"}, {0, "EPRT |2|::1|1030|\r\n"}, {0, "EPRT !1!10.1.0.5!1031!\r\n"}, {0, "EPRT 1110.1.0.511031!\r\n"}, {0, "EPRT |1|10.1.0.5|0|\r\n"},
	{0, "PASV\r\n"}, {1, "227 Entering Passive Mode (10,2,0,5,9,1)\r\n"}, {1, "227 Entering 10,2,0,5,9,2)\r\n"}, {1, "227 Entering (10,2,0,6,9,1)\r\n"}, {1, "227 nothing\r\n"}, {1, "227 Entering 10,2,0,5,9,2\r\n"},
	{0, "EPSV\r\n"}, {1, "229 Entering Extended Passive Mode (|||6446|)\r\n"}, {1, "229 x (!!!6447!)\r\n"}, {1, "229 x |||6446|\r\n"}, {1, "229 x (|||64a6|)\r\n"}, {1, "229 x (||6446|)\r\n"},
	{0, "NOOP"}, {0, "PORT 10,1,0,5,5,1\r\n"}, {0, "PORT 10,1,0,5,5,2\r\n"}, {1, "200 x\r\n200 y\r\n"},
}

// TestKernelFTPLines has both read lines of all kinds, and what they announce
// come true.
func TestKernelFTPLines(t *testing.T) {
	for _, nat := range []bool{false, true} {
		t.Run(fmt.Sprintf("nat=%v", nat), func(t *testing.T) {
			b := newBoth(t, nat)
			c, s := b.open(2000)
			for _, l := range lines {
				if l.from == wire.Client {
					b.tcp(wire.Client, c, s, "P.", l.text)
				} else {
					b.tcp(wire.Server, s, b.toward(c), "P.", l.text)
				}
				if t.Failed() {
					t.Fatalf("at %q", l.text)
				}
				for _, x := range b.t.Expectations() {
					// The expected connection comes, is answered and goes.
					from, src, dst := wire.Server, fmt.Sprintf("%v:%d", x.Tuple.Src.Netip(x.Tuple.Family), 20), x.Tuple.DstAddrPort().String()
					if strings.HasPrefix(src, "10.1.") {
						from = wire.Client
					}
					b.send(from, b.packet("%s > %s tcp S seq 7 win 100", src, dst))
				}
			}
			if len(b.met) < 8 {
				t.Errorf("only %v was expected", b.met)
			}
		})
	}
}

// TestKernelTFTP is TestKernelFTPLines for TFTP.
func TestKernelTFTP(t *testing.T) {
	for _, nat := range []bool{false, true} {
		b := newBoth(t, nat)
		for n, payload := range []string{"hex:0001666f6f00", "hex:0002666f6f00", "hex:0003666f6f00", "hex:0004", "hex:00"} {
			client := fmt.Sprintf("10.1.0.5:%d", 3000+n)
			b.send(wire.Client, b.packet("%s > 10.2.0.5:69 udp %s", client, payload))
			b.send(wire.Server, b.packet("10.2.0.5:%d > %s udp \"data\"", 4000+n, b.toward(client)))
			b.send(wire.Server, b.packet("10.2.0.5:69 > %s udp hex:0001666f6f00", b.toward(client)))
		}
		if len(b.met) < 2 {
			t.Errorf("only %v was expected", b.met)
		}
	}
}
