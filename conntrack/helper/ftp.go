package helper

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/internal/errno"
)

// ftpState is what is known of a control connection: where lines begin. A
// command counts only there, lest data that looks like one opens a port.
type ftpState struct {
	mu    sync.Mutex
	lines [2][2]uint32 // sequence numbers behind the last line ends, by direction
	n     [2]int       // how many of them are known
}

// atLine says whether a line begins at seq.
func (s *ftpState) atLine(d conntrack.Dir, seq uint32) bool {
	for _, l := range s.lines[d][:s.n[d]] {
		if l == seq {
			return true
		}
	}
	return false
}

// remember notes that a line begins at seq, in place of the older of two.
func (s *ftpState) remember(d conntrack.Dir, seq uint32) {
	l := &s.lines[d]
	switch {
	case s.atLine(d, seq):
	case s.n[d] < len(l):
		l[s.n[d]] = seq
		s.n[d]++
	case int32(l[0]-l[1]) < 0:
		l[0] = seq
	default:
		l[1] = seq
	}
}

// ftp looks for the commands and answers that announce a data connection.
func ftp(t *conntrack.Table, p *Packet, data any) Answer {
	s, ok := data.(*ftpState)
	if !ok || len(p.Payload) == 0 ||
		p.Info.CtInfo != conntrack.CtEstablished && p.Info.CtInfo != conntrack.CtEstablishedReply {
		return accept
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := p.Info.Dir()
	end := p.Seq + uint32(len(p.Payload))
	answer := accept
	if s.atLine(d, p.Seq) {
		var done bool
		if answer, done = s.announce(t, p, d); done {
			return answer
		}
	}
	if p.Payload[len(p.Payload)-1] == '\n' {
		s.remember(d, end)
	}
	return answer
}

// announce expects the data connection that the line speaks of. It is done
// where the end of the line must not be noted.
func (s *ftpState) announce(t *conntrack.Table, p *Packet, d conntrack.Dir) (a Answer, done bool) {
	c := p.Info.Conn
	own := c.Tuple(d)
	var cmd command
	found := missing
	for i := range ftpLines {
		if l := &ftpLines[i]; l.dir == d {
			if cmd, found = l.find(p.Payload, own.Src.Netip(own.Family)); found != missing {
				break
			}
		}
	}
	switch found {
	case partial: // to let it pass would be to miss it
		return Answer{Verdict: conntrack.VerdictDrop}, true
	case missing:
		return accept, false
	}
	other := c.Tuple(1 - d)
	if cmd.addr != own.Src.Netip(own.Family) {
		// It wants a connection to a third host: that is how firewalls are
		// bounced through.
		return accept, false
	}
	x := conntrack.Expectation{
		Tuple:    conntrack.TupleFrom(conntrack.ProtoTCP, netip.AddrPortFrom(other.Src.Netip(other.Family), 0), netip.AddrPortFrom(other.Dst.Netip(other.Family), cmd.port)),
		MaskAddr: true, Master: c, Max: 1, Seconds: waitSeconds, Helper: "ftp",
	}
	if c.Status()&conntrack.IPSNATMask == 0 {
		if t.Expect(x) != nil {
			return Answer{Verdict: conntrack.VerdictDrop}, false
		}
		return accept, false
	}
	// The data connection comes from where this line goes.
	x.Dir, x.SavedPort, x.OnNew = 1-d, cmd.port, conntrack.FollowMaster
	port, ok := expectSomePort(t, &x)
	if !ok {
		return Answer{Verdict: conntrack.VerdictDrop}, false
	}
	e := &Edit{Off: cmd.off, Len: cmd.len, Text: cmd.line.format(other.Dst.Netip(other.Family), port)}
	if diff := len(e.Text) - e.Len; diff != 0 {
		c.AdjustSeq(d, p.Seq, int32(diff))
	}
	return Answer{Verdict: conntrack.VerdictAccept, Edit: e}, false
}

// expectSomePort expects x at the port that was announced, or one behind it
// where that is taken.
func expectSomePort(t *conntrack.Table, x *conntrack.Expectation) (uint16, bool) {
	for port := uint32(x.SavedPort); port <= 65535; port++ {
		x.Tuple.DstPort = uint16(port)
		err := t.Expect(*x)
		if err == nil {
			return uint16(port), true
		}
		if !errors.Is(err, errno.EBUSY) {
			break
		}
	}
	return 0, false
}

// A command is an announcement.
type command struct {
	line     *ftpLine
	addr     netip.Addr
	port     uint16
	off, len int // where its numbers stand
}

type finding int

const (
	missing finding = iota
	partial         // the packet ends before the line does
	found
)

// An ftpLine is a kind of announcement.
type ftpLine struct {
	dir    conntrack.Dir
	begin  string
	skip   byte // what stands before the numbers, 0 for nothing
	read   func(b []byte, own netip.Addr) (addr netip.Addr, port uint16, off, n int)
	format func(a netip.Addr, port uint16) []byte
}

var ftpLines = [...]ftpLine{
	{conntrack.Original, "PORT", ' ', readPort, formatPort},
	{conntrack.Original, "EPRT", ' ', readEPRT, formatEPRT},
	{conntrack.Reply, "227 ", 0, readPASV, formatPort},
	{conntrack.Reply, "229 ", '(', readEPSV, formatEPSV},
}

// find looks for the line at the beginning of b.
func (l *ftpLine) find(b []byte, own netip.Addr) (command, finding) {
	n := len(l.begin)
	if len(b) <= n {
		if bytes.EqualFold(b, []byte(l.begin[:len(b)])) {
			return command{}, partial
		}
		return command{}, missing
	}
	if !bytes.EqualFold(b[:n], []byte(l.begin)) {
		return command{}, missing
	}
	at := n
	if l.skip != 0 {
		i := bytes.IndexByte(b[n:], l.skip)
		if i < 0 || n+i == len(b)-1 {
			return command{}, partial
		}
		at = n + i + 1
	}
	addr, port, off, size := l.read(b[at:], own)
	if size == 0 {
		return command{}, partial
	}
	return command{l, addr, port, at + off, size}, found
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// numbers reads numbers up to 255 that sep parts, up to a byte end behind the
// last; n is how many bytes, 0 where they are not right or not there.
func numbers(b []byte, v []byte, sep, end byte) (n int) {
	k, num := 0, 0
	for i, c := range b {
		switch {
		case isDigit(c):
			if num = num*10 + int(c-'0'); num > 255 {
				return 0
			}
			v[k] = byte(num)
		case c == sep && k < len(v)-1:
			k, num = k+1, 0
			v[k] = 0
		case k == len(v)-1 && c == end:
			return i
		default:
			return 0
		}
	}
	return 0
}

func sixNumbers(b []byte, end byte) (netip.Addr, uint16, int) {
	var v [6]byte
	n := numbers(b, v[:], ',', end)
	return netip.AddrFrom4([4]byte(v[:4])), uint16(v[4])<<8 | uint16(v[5]), n
}

// readPort reads "192,0,2,1,4,1" up to the end of the line (RFC 959).
func readPort(b []byte, _ netip.Addr) (netip.Addr, uint16, int, int) {
	a, p, n := sixNumbers(b, '\r')
	return a, p, 0, n
}

// readPASV reads the same from the text of an answer, up to a parenthesis
// (RFC 1123).
func readPASV(b []byte, _ netip.Addr) (netip.Addr, uint16, int, int) {
	off := bytes.IndexFunc(b, func(r rune) bool { return r >= '0' && r <= '9' })
	if off < 0 {
		return netip.Addr{}, 0, 0, 0
	}
	a, p, n := sixNumbers(b[off:], ')')
	return a, p, off, n
}

// delimiter says whether c may part the fields of an extended line.
func delimiter(c byte) bool { return !isDigit(c) && c >= 33 && c <= 126 }

// portUpTo reads a port that delim ends; n counts delim too.
func portUpTo(b []byte, delim byte) (port uint16, n int) {
	for i, c := range b {
		switch {
		case c == delim:
			if port == 0 {
				return 0, 0
			}
			return port, i + 1
		case isDigit(c):
			port = port*10 + uint16(c-'0')
		default:
			return 0, 0
		}
	}
	return 0, 0
}

// readEPRT reads "|1|192.0.2.1|1025|" or "|2|2001:db8::1|1025|" (RFC 2428).
func readEPRT(b []byte, own netip.Addr) (addr netip.Addr, port uint16, off, n int) {
	if len(b) <= 3 || !delimiter(b[0]) || b[2] != b[0] {
		return
	}
	if want := byte('2'); own.Is4() && b[1] != '1' || !own.Is4() && b[1] != want {
		return
	}
	i := bytes.IndexByte(b[3:], b[0])
	if i <= 0 {
		return
	}
	a, err := netip.ParseAddr(string(b[3 : 3+i]))
	if err != nil || a.Is4() != own.Is4() || a.Zone() != "" {
		return
	}
	p, k := portUpTo(b[3+i+1:], b[0])
	if k == 0 {
		return
	}
	return a, p, 0, 3 + i + 1 + k
}

// readEPSV reads "|||1025|"; the address is that of the connection.
func readEPSV(b []byte, own netip.Addr) (addr netip.Addr, port uint16, off, n int) {
	if len(b) <= 3 || !delimiter(b[0]) || b[1] != b[0] || b[2] != b[0] {
		return
	}
	p, k := portUpTo(b[3:], b[0])
	if k == 0 {
		return
	}
	return own, p, 0, 3 + k
}

func formatPort(a netip.Addr, port uint16) []byte {
	v := a.As4()
	return fmt.Appendf(nil, "%d,%d,%d,%d,%d,%d", v[0], v[1], v[2], v[3], port>>8, port&255)
}

func formatEPRT(a netip.Addr, port uint16) []byte {
	if a.Is4() {
		return fmt.Appendf(nil, "|1|%s|%d|", a, port)
	}
	v := a.As16()
	out := []byte("|2|")
	for i := 0; i < 16; i += 2 {
		if i > 0 {
			out = append(out, ':')
		}
		out = fmt.Appendf(out, "%02x%02x", v[i], v[i+1])
	}
	return fmt.Appendf(out, "|%d|", port)
}

func formatEPSV(_ netip.Addr, port uint16) []byte { return fmt.Appendf(nil, "|||%d|", port) }
