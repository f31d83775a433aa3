package helper

import (
	"slices"

	"github.com/bpfct/bpfct/conntrack"
)

// Edit is a change of the payload: the bytes from Off to Off+Len become Text.
type Edit struct {
	Off, Len int
	Text     []byte
}

// Apply gives the payload with the edit made.
func (e *Edit) Apply(payload []byte) []byte {
	return slices.Concat(payload[:e.Off], e.Text, payload[e.Off+e.Len:])
}

// Answer is what a helper makes of a packet.
type Answer struct {
	Verdict conntrack.Verdict
	// Edit is nil where the payload stays. Whoever makes it corrects lengths
	// and checksums; later sequence numbers the connection shifts by itself,
	// see conntrack.Conn.ShiftSeq.
	Edit *Edit
}

var accept = Answer{Verdict: conntrack.VerdictAccept}

// Packet is one of a connection that has a helper.
type Packet struct {
	Info    *conntrack.Info
	Seq     uint32 // of a TCP segment
	Payload []byte
}

type help func(t *conntrack.Table, p *Packet, data any) Answer

// A helper is what [Attach] puts on a connection.
type helper struct {
	proto uint8
	state func() any // what one connection needs
	help  help
}

// helpers are all there are, by their names in Linux. It is not changed.
var helpers = map[string]helper{
	"ftp":  {conntrack.ProtoTCP, func() any { return new(ftpState) }, ftp},
	"tftp": {conntrack.ProtoUDP, func() any { return nil }, tftp},
}

// Names lists the helpers.
func Names() []string {
	var out []string
	for n := range helpers {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Attach puts c in the care of a helper. It is false where there is none of
// that name for c's protocol.
func Attach(c conntrack.Conn, name string) bool {
	h, ok := helpers[name]
	if !ok || c.Tuple(conntrack.Original).Proto != h.proto {
		return false
	}
	c.SetHelper(name, h.state(), true)
	return true
}

// Help lets the helper of p's connection, if it has one, read p.
func Help(t *conntrack.Table, p *Packet) Answer {
	name, data := p.Info.Conn.Helper()
	if name == "" || p.Info.CtInfo == conntrack.CtRelatedReply {
		return accept
	}
	h, ok := helpers[name]
	if !ok {
		return accept
	}
	return h.help(t, p, data)
}
