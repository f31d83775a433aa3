package conntrack

// CtInfo is how a packet stands to its connection (enum ip_conntrack_info).
type CtInfo uint8

// The values, with Linux' numbers.
const (
	CtEstablished      CtInfo = 0 // of a connection that went both ways
	CtRelated          CtInfo = 1 // begins an expected connection, or is an ICMP error about one
	CtNew              CtInfo = 2 // of a connection that was not answered yet
	CtEstablishedReply CtInfo = 3 // like CtEstablished, in the reply direction
	CtRelatedReply     CtInfo = 4 // like CtRelated, in the reply direction
	CtUntracked        CtInfo = 7 // must not be tracked
)

// String is Linux' name without IP_CT_.
func (c CtInfo) String() string {
	switch c {
	case CtEstablished:
		return "ESTABLISHED"
	case CtRelated:
		return "RELATED"
	case CtNew:
		return "NEW"
	case CtEstablishedReply:
		return "ESTABLISHED_REPLY"
	case CtRelatedReply:
		return "RELATED_REPLY"
	case CtUntracked:
		return "UNTRACKED"
	}
	return "unknown"
}

// Dir is the direction of the packet.
func (c CtInfo) Dir() Dir {
	if c == CtEstablishedReply || c == CtRelatedReply {
		return Reply
	}
	return Original
}

// State is what a rule set calls a packet in "ct state".
type State uint8

// The states.
const (
	StateInvalid State = iota
	StateEstablished
	StateRelated
	StateNew
	StateUntracked
)

// String is "INVALID", "ESTABLISHED" and so on.
func (s State) String() string {
	switch s {
	case StateInvalid:
		return "INVALID"
	case StateEstablished:
		return "ESTABLISHED"
	case StateRelated:
		return "RELATED"
	case StateNew:
		return "NEW"
	case StateUntracked:
		return "UNTRACKED"
	}
	return "unknown"
}

// Verdict is what the tracker wants done with a packet.
type Verdict uint8

// The verdicts, with Linux' numbers. An invalid packet is accepted all the
// same: to drop it is the rule set's business.
const (
	VerdictDrop   Verdict = 0
	VerdictAccept Verdict = 1
)

// String is "drop" or "accept".
func (v Verdict) String() string {
	if v == VerdictAccept {
		return "accept"
	}
	return "drop"
}

// Info is what [Table.Track] says of a packet; it goes with the packet on its
// way.
type Info struct {
	// Conn is the connection, with a reference that [Info.Release] gives back.
	// It is the zero Conn for an invalid or untracked packet.
	Conn    Conn
	CtInfo  CtInfo
	Verdict Verdict
	// Reason is why the packet is invalid or dropped, or why, though it is
	// neither, it changed nothing. It is zero for most packets.
	Reason Reason
	// Refused is the ID of the connection that an invalid packet would have
	// belonged to, 0 where there is none.
	Refused uint32

	loser Conn // what lost a clash against Conn, with its reference, during Confirm
}

// Dir is the direction of the packet.
func (i *Info) Dir() Dir { return i.CtInfo.Dir() }

// State is what a rule set sees as "ct state".
func (i *Info) State() State {
	switch {
	case i.Conn.e != nil:
		switch i.CtInfo {
		case CtNew:
			return StateNew
		case CtRelated, CtRelatedReply:
			return StateRelated
		}
		return StateEstablished
	case i.CtInfo == CtUntracked:
		return StateUntracked
	}
	return StateInvalid
}

// Release lets go of the connection. One that was not confirmed ends by that:
// its packet did not reach the end of its way.
func (i *Info) Release() {
	if i.Conn.e != nil {
		if i.Conn.Status()&IPSConfirmed == 0 {
			i.Conn.t.unexpect(i.Conn)
		}
		i.Conn.put()
		i.Conn = Conn{}
	}
}
