package conntrack

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
)

// DumpOptions say what a line of a dump has. The zero value is conntrack -L.
type DumpOptions struct {
	Extended bool // -o extended: the layer 3 protocol in front
	ID       bool // -o id: the id at the end
	XML      bool // -o xml: an XML document; the other two mean nothing then
}

// Dump writes the connections in the table as conntrack -L does.
func (t *Table) Dump(w io.Writer, o DumpOptions) error {
	return Dump(w, t.Snapshots(), o)
}

// Dump writes connections as conntrack -L does.
func Dump(w io.Writer, conns iter.Seq[Snapshot], o DumpOptions) error {
	var buf []byte
	flush := func() error {
		_, err := w.Write(buf)
		buf = buf[:0]
		return err
	}
	if o.XML {
		buf = append(buf, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n"...)
	}
	for s := range conns {
		if o.XML {
			buf = s.appendXML(buf)
		} else {
			buf = s.Append(buf, o)
		}
		buf = append(buf, '\n')
		if len(buf) > 1<<15 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if o.XML {
		buf = append(buf, "</conntrack>\n"...)
	}
	return flush()
}

// String is the line of conntrack -L.
func (s Snapshot) String() string { return string(s.Append(nil, DumpOptions{})) }

// Append adds the line of conntrack -L, without a newline, to b.
func (s *Snapshot) Append(b []byte, o DumpOptions) []byte {
	orig, reply := &s.Tuples[Original], &s.Tuples[Reply]
	if o.Extended {
		b = fmt.Appendf(b, "%-8s %d ", orig.Family, orig.Family)
	}
	b = fmt.Appendf(b, "%-8s %d %d ", protoName(orig.Proto), orig.Proto, s.Seconds())
	if st := s.State(); st != "" {
		b = append(b, st...)
		b = append(b, ' ')
	}
	b = orig.appendDump(b)
	b = s.appendZone(b, "zone-orig=", ZoneDirOrig)
	b = s.appendCounter(b, Original)
	if s.Status&IPSSeenReply == 0 {
		b = append(b, "[UNREPLIED] "...)
	}
	b = reply.appendDump(b)
	b = s.appendZone(b, "zone-reply=", ZoneDirReply)
	b = s.appendCounter(b, Reply)
	if s.Status&IPSAssured != 0 {
		b = append(b, "[ASSURED] "...)
	}
	b = append(b, "mark="...)
	b = strconv.AppendUint(b, uint64(s.Mark), 10)
	b = append(b, ' ')
	b = s.appendZone(b, "zone=", ZoneDirDefault)
	if s.Proto != nil && s.Proto.Stamped && s.HZ > 0 {
		b = fmt.Appendf(b, "delta-time=%d ", s.Proto.Age/uint64(s.HZ))
	}
	b = append(b, "use="...)
	b = strconv.AppendInt(b, int64(s.Use), 10)
	if o.ID {
		b = append(b, " id="...)
		b = strconv.AppendUint(b, uint64(s.ID), 10)
	}
	return b
}

// Seconds is how many whole seconds the connection has left.
func (s *Snapshot) Seconds() int {
	if s.HZ <= 0 {
		return 0
	}
	return int(s.Expires) / s.HZ
}

// State is the name of the protocol's state, empty for protocols without one.
// A TCP connection whose packets nobody tracked is in state NONE.
func (s *Snapshot) State() string {
	switch s.Tuples[Original].Proto {
	case ProtoTCP:
		if s.Proto == nil || s.Proto.TCP == nil {
			return TCPNone.String()
		}
		return s.Proto.TCP.State.String()
	case ProtoSCTP:
		if s.Proto == nil || s.Proto.SCTP == nil {
			return SCTPNone.String()
		}
		return s.Proto.SCTP.State.String()
	}
	return ""
}

// appendZone adds the zone where it is shown with direction dir: a dump has
// it once, and not at all for the directions that programs invent.
func (s *Snapshot) appendZone(b []byte, name string, dir ZoneDir) []byte {
	if s.Zone.ID == 0 || s.Zone.Dir != dir {
		return b
	}
	b = append(b, name...)
	b = strconv.AppendUint(b, uint64(s.Zone.ID), 10)
	return append(b, ' ')
}

// appendCounter adds what went in a direction where it was counted.
func (s *Snapshot) appendCounter(b []byte, d Dir) []byte {
	if s.Proto == nil || s.Proto.Counters == nil {
		return b
	}
	n := s.Proto.Counters[d]
	return fmt.Appendf(b, "packets=%d bytes=%d ", n.Packets, n.Bytes)
}

// fields are what layer 4 has, as names and values.
func (t *Tuple) fields() [][2]string {
	dec := func(n uint16) string { return strconv.Itoa(int(n)) }
	hex := func(n uint16) string { return "0x" + strconv.FormatUint(uint64(n), 16) }
	switch t.Proto {
	case ProtoTCP, ProtoUDP, ProtoUDPLite, ProtoSCTP:
		return [][2]string{{"sport", dec(t.SrcPort)}, {"dport", dec(t.DstPort)}}
	case ProtoICMP, ProtoICMPv6:
		return [][2]string{{"type", dec(t.DstPort >> 8)}, {"code", dec(t.DstPort & 0xff)}, {"id", dec(t.SrcPort)}}
	case ProtoGRE:
		return [][2]string{{"srckey", hex(t.SrcPort)}, {"dstkey", hex(t.DstPort)}}
	}
	return nil
}

func (t *Tuple) appendDump(b []byte) []byte {
	b = append(b, "src="...)
	b = t.Src.Netip(t.Family).AppendTo(b)
	b = append(b, " dst="...)
	b = t.Dst.Netip(t.Family).AppendTo(b)
	b = append(b, ' ')
	for _, f := range t.fields() {
		b = append(append(append(append(b, f[0]...), '='), f[1]...), ' ')
	}
	return b
}

// appendXML adds the element flow. As with conntrack, ICMP has no fields in it.
func (s *Snapshot) appendXML(b []byte) []byte {
	b = append(b, "<flow>"...)
	for d := range Reply + 1 {
		t := &s.Tuples[d]
		b = fmt.Appendf(b, `<meta direction="%s"><layer3 protonum="%d" protoname="%s"><src>%s</src><dst>%s</dst></layer3>`,
			d, t.Family, t.Family, t.Src.Netip(t.Family), t.Dst.Netip(t.Family))
		b = fmt.Appendf(b, `<layer4 protonum="%d" protoname="%s">`, t.Proto, protoName(t.Proto))
		if t.Proto != ProtoICMP && t.Proto != ProtoICMPv6 {
			for _, f := range t.fields() {
				b = fmt.Appendf(b, "<%s>%s</%[1]s>", f[0], f[1])
			}
		}
		b = append(b, "</layer4>"...)
		b = s.appendXMLZone(b, ZoneDirOrig<<d)
		b = append(b, "</meta>"...)
	}
	b = append(b, `<meta direction="independent">`...)
	if st := s.State(); st != "" {
		b = fmt.Appendf(b, "<state>%s</state>", st)
	}
	b = fmt.Appendf(b, "<timeout>%d</timeout><mark>%d</mark>", s.Seconds(), s.Mark)
	b = s.appendXMLZone(b, ZoneDirDefault)
	b = fmt.Appendf(b, "<use>%d</use><id>%d</id>", s.Use, s.ID)
	if s.Status&IPSAssured != 0 {
		b = append(b, "<assured/>"...)
	}
	if s.Status&IPSSeenReply == 0 {
		b = append(b, "<unreplied/>"...)
	}
	return append(b, "</meta></flow>"...)
}

func (s *Snapshot) appendXMLZone(b []byte, dir ZoneDir) []byte {
	if s.Zone.ID == 0 || s.Zone.Dir != dir {
		return b
	}
	return fmt.Appendf(b, "<zone>%d</zone>", s.Zone.ID)
}

// The JSON form of a connection: the members of the XML with more in them.
type (
	jsonTuple struct {
		Src   string  `json:"src"`
		Dst   string  `json:"dst"`
		Sport *uint16 `json:"sport,omitempty"`
		Dport *uint16 `json:"dport,omitempty"`
		Type  *uint8  `json:"type,omitempty"`
		Code  *uint8  `json:"code,omitempty"`
		ID    *uint16 `json:"id,omitempty"`
	}
	jsonZone struct {
		ID  uint16 `json:"id"`
		Dir uint8  `json:"dir"`
	}
	jsonConn struct {
		Family   string    `json:"family"`
		Proto    string    `json:"proto"`
		ProtoNum uint8     `json:"protonum"`
		State    string    `json:"state,omitempty"`
		Original jsonTuple `json:"original"`
		Reply    jsonTuple `json:"reply"`
		Timeout  int       `json:"timeout"`
		Status   Status    `json:"status"`
		Flags    string    `json:"flags"`
		Mark     uint32    `json:"mark"`
		SecMark  uint32    `json:"secmark,omitempty"`
		Labels   string    `json:"labels,omitempty"`
		Zone     *jsonZone `json:"zone,omitempty"`
		Use      int       `json:"use"`
		ID       uint32    `json:"id"`
		Master   uint32    `json:"master,omitempty"`
	}
)

func (t *Tuple) json() jsonTuple {
	j := jsonTuple{Src: t.Src.Netip(t.Family).String(), Dst: t.Dst.Netip(t.Family).String()}
	switch t.Proto {
	case ProtoICMP, ProtoICMPv6:
		typ, code, id := uint8(t.DstPort>>8), uint8(t.DstPort), t.SrcPort
		j.Type, j.Code, j.ID = &typ, &code, &id
	default:
		s, d := t.SrcPort, t.DstPort
		j.Sport, j.Dport = &s, &d
	}
	return j
}

// MarshalJSON gives family, proto, original, reply, timeout in seconds, status
// as a number and, under flags, in words, mark, zone, use and id.
func (s Snapshot) MarshalJSON() ([]byte, error) {
	t := &s.Tuples[Original]
	j := jsonConn{
		Family: t.Family.String(), Proto: protoName(t.Proto), ProtoNum: t.Proto, State: s.State(),
		Original: t.json(), Reply: s.Tuples[Reply].json(), Timeout: s.Seconds(),
		Status: s.Status, Flags: s.Status.String(), Mark: s.Mark, SecMark: s.SecMark,
		Use: s.Use, ID: s.ID, Master: s.MasterID,
	}
	if s.Labels != ([16]byte{}) {
		j.Labels = fmt.Sprintf("%x", s.Labels)
	}
	if s.Zone.ID != 0 {
		j.Zone = &jsonZone{s.Zone.ID, uint8(s.Zone.Dir)}
	}
	return json.Marshal(j)
}
