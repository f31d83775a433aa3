package replay

import (
	"fmt"
	"strings"

	"github.com/bpfct/bpfct/conntrack"
)

// Explanation is all that was looked at for a packet, as titles and what belongs to
// them, in order.
type Explanation struct {
	Steps []Step `json:"steps"`
}

// Step is one thing that was looked at.
type Step struct {
	Title string   `json:"title"`
	Lines []string `json:"lines"`
}

func (x *Explanation) step(title string) { x.Steps = append(x.Steps, Step{Title: title}) }

func (x *Explanation) say(format string, a ...any) {
	s := &x.Steps[len(x.Steps)-1]
	s.Lines = append(s.Lines, fmt.Sprintf(format, a...))
}

// before tells what the tracker gets and what it will find. It changes nothing that
// Track would not change in the same moment.
func (x *Explanation) before(p *Player) {
	in := &p.in
	x.step("packet")
	x.say("tuple %s", in.Tuple)
	x.say("zone %d, %d bytes from the IP header on", in.Zone.ID, in.Len)
	x.segment(in)
	switch {
	case in.Fault != conntrack.ReasonNone:
		x.say("headers: %s", conntrack.Reason{ID: in.Fault, N: in.FaultN})
	case in.BadChecksum:
		x.say("the transport checksum is wrong")
	}
	x.step("lookup")
	tuple, what := in.Tuple, "the tuple"
	if in.HasQuoted {
		x.say("the error quotes %s", in.Quoted)
		inv, ok := in.Quoted.Invert()
		if !ok {
			x.say("which has no inverse: nothing is looked up")
			return
		}
		tuple, what = inv, "the inverse of that"
	}
	if s, d, ok := p.find(tuple); ok {
		x.say("%s is the %s direction of connection %d", what, d, s.ID)
		x.conn("", &s)
	} else {
		x.say("%s belongs to no connection", what)
	}
}

// find is a connection as it is now.
func (p *Player) find(tuple conntrack.Tuple) (conntrack.Snapshot, conntrack.Dir, bool) {
	c, d, err := p.table.Lookup(tuple, p.zone)
	if err != nil {
		return conntrack.Snapshot{}, 0, false
	}
	defer c.Release()
	s, ok := c.Snapshot()
	s.Use-- // our own
	return s, d, ok
}

var tcpFlagNames = [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}

// segment tells the numbers that the tracker of the protocol reads.
func (x *Explanation) segment(in *conntrack.Packet) {
	if in.Fault != conntrack.ReasonNone {
		return
	}
	switch in.Tuple.Proto {
	case conntrack.ProtoTCP:
		s := &in.TCP
		var flags []string
		end := s.Seq + s.Len
		for i, name := range tcpFlagNames {
			if s.Flags>>i&1 != 0 {
				flags = append(flags, name)
			}
		}
		if s.Flags&conntrack.TCPSyn != 0 {
			end++
		}
		if s.Flags&conntrack.TCPFin != 0 {
			end++
		}
		x.say("flags %s, seq %d, ends at %d (%d bytes of data)", strings.Join(flags, " "), s.Seq, end, s.Len)
		x.say("ack %d, furthest byte in SACK %d, window %d as it stands there", s.Ack, s.SACK, s.Window)
		if s.HasWScale {
			x.say("offers window scale %d", s.WScale)
		}
		if s.SACKPermitted {
			x.say("permits SACK")
		}
	case conntrack.ProtoICMP, conntrack.ProtoICMPv6:
		x.say("ICMP type %d, code %d", in.ICMPType, in.ICMPCode)
	case conntrack.ProtoSCTP:
		x.say("verification tag %#x, %d bytes of chunks", in.VTag, len(in.Chunks))
	}
}

// conn tells what is known of a connection.
func (x *Explanation) conn(prefix string, s *conntrack.Snapshot) {
	x.say("%s%s", prefix, s)
	x.say("%sstatus %s, ends in %s", prefix, s.Status, seconds(s.Expires, s.HZ))
	if s.Proto != nil && s.Proto.TCP != nil {
		t := s.Proto.TCP
		x.say("%sTCP state %s", prefix, t.State)
		for d := range conntrack.Reply + 1 {
			x.say("%s%s: window scale %d, %s", prefix, d, t.WScale[d], sideFlags(t.Flags[d]))
		}
	}
	if s.Proto != nil && s.Proto.SCTP != nil {
		x.say("%sSCTP state %s", prefix, s.Proto.SCTP.State)
	}
}

func seconds(jiffies uint32, hz int) string {
	return fmt.Sprintf("%.3f s", float64(jiffies)/float64(hz))
}

var sideFlagNames = [...]string{"offered scaling", "permits SACK", "closed first", "not held to the window", "has unacknowledged data", "acknowledged something"}

func sideFlags(f uint8) string {
	var out []string
	for i, name := range sideFlagNames {
		if f>>i&1 != 0 {
			out = append(out, name)
		}
	}
	if out == nil {
		return "nothing known"
	}
	return strings.Join(out, ", ")
}

// tracked tells what the tracker said.
func (x *Explanation) tracked(i *conntrack.Info) {
	x.step("prerouting: track")
	if i.Conn.Valid() {
		x.say("%s, %s direction of connection %d", i.State(), i.Dir(), i.Conn.ID())
		if i.Conn.Status()&conntrack.IPSConfirmed == 0 {
			x.say("the connection is new: it waits for postrouting")
		}
	} else {
		x.say("%s, verdict %s", i.State(), i.Verdict)
	}
	x.reason(i.Reason)
}

func (x *Explanation) reason(r conntrack.Reason) {
	if r.ID != conntrack.ReasonNone {
		x.say("reason %s: %s", r.ID, r)
	}
}

// translated tells what NAT makes of the packet.
func (x *Explanation) translated(m conntrack.Manip, to *conntrack.Tuple) {
	if m == conntrack.ManipDst {
		x.step("prerouting: NAT")
		x.say("the destination becomes %s", to.DstAddrPort())
		return
	}
	x.step("postrouting: NAT")
	x.say("the source becomes %s", to.SrcAddrPort())
}

// settings are the sysctls that decide what becomes of a packet of a protocol.
func settings(proto uint8) []string {
	names := []string{"nf_conntrack_checksum"}
	if proto == conntrack.ProtoTCP {
		names = append(names, "nf_conntrack_tcp_loose", "nf_conntrack_tcp_be_liberal",
			"nf_conntrack_tcp_ignore_invalid_rst", "nf_conntrack_tcp_max_retrans")
	}
	return append(names, "nf_conntrack_max")
}

// after tells how things stand behind postrouting.
func (x *Explanation) after(p *Player, r *Record) {
	x.step("postrouting: confirm")
	if r.Fate == Dropped {
		x.say("verdict drop")
		x.reason(r.Reason)
	} else if r.HasConn {
		x.say("verdict accept, connection %d", r.Conn)
	} else {
		x.say("nothing to confirm")
	}
	tuple := p.in.Tuple
	if p.in.HasQuoted {
		if inv, ok := p.in.Quoted.Invert(); ok {
			tuple = inv
		}
	}
	x.step("afterwards")
	if s, _, ok := p.find(tuple); ok {
		x.conn("", &s)
	} else {
		x.say("no connection has the tuple")
	}
	x.step("settings")
	for _, name := range settings(p.in.Tuple.Proto) {
		if v, err := p.table.Sysctl(name); err == nil {
			x.say("%s = %d", name, v)
		}
	}
	x.say("nf_conntrack_count = %d", p.table.Stats().Entries)
}

// Text is the explanation on lines.
func (x *Explanation) Text() string {
	var b strings.Builder
	for _, s := range x.Steps {
		fmt.Fprintf(&b, "%s\n", s.Title)
		for _, l := range s.Lines {
			fmt.Fprintf(&b, "  %s\n", l)
		}
	}
	return b.String()
}
