package conntrack

import "fmt"

// TCPState is the state that the tracker has a TCP connection in (enum
// tcp_conntrack).
type TCPState uint8

// The states. They are not those of one end: the tracker stands between.
const (
	TCPNone        TCPState = iota // no packet was seen yet
	TCPSynSent                     // SYN from the client
	TCPSynRecv                     // SYN ACK from the server
	TCPEstablished                 // ACK from the client
	TCPFinWait                     // one FIN
	TCPCloseWait                   // ... and its ACK
	TCPLastAck                     // two FINs
	TCPTimeWait                    // ... and the last ACK
	TCPClose                       // RST
	TCPSynSent2                    // SYN from both: simultaneous open
	tcpStates

	// What a transition may be beside a state.
	tcpIgnore  TCPState = 0xfe // the packet is let through, the state stays
	tcpInvalid TCPState = 0xff
)

var tcpStateNames = [...]string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT",
	"LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}

// String is the name as conntrack -L has it.
func (s TCPState) String() string {
	if s < tcpStates {
		return tcpStateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// The kinds of segments that the table tells apart.
const (
	tcpSYN = iota
	tcpSYNACK
	tcpFIN
	tcpACK
	tcpRST
	tcpNone // none of these flags; only as the last segment of a new connection
	tcpKinds
)

var tcpKindNames = [...]string{"SYN", "SYN ACK", "FIN", "ACK", "RST", "no flag"}

func tcpKind(n uint32) string {
	if n < tcpKinds {
		return tcpKindNames[n]
	}
	return "segment"
}

// kind is what the segment counts as.
func (s *TCPSegment) kind() uint8 {
	switch f := s.Flags; {
	case f&TCPRst != 0:
		return tcpRST
	case f&(TCPSyn|TCPAck) == TCPSyn|TCPAck:
		return tcpSYNACK
	case f&TCPSyn != 0:
		return tcpSYN
	case f&TCPFin != 0:
		return tcpFIN
	case f&TCPAck != 0:
		return tcpACK
	}
	return tcpNone
}

// tcpFlagsValid has a bit for each combination of FIN, SYN, RST, ACK and URG
// that a segment may have. PSH, ECE and CWR go with any of them.
var tcpFlagsValid = func() (v [256]bool) {
	for _, f := range []uint8{
		TCPSyn, TCPSyn | TCPUrg, TCPSyn | TCPAck, TCPRst, TCPRst | TCPAck,
		TCPFin | TCPAck, TCPFin | TCPAck | TCPUrg, TCPAck, TCPAck | TCPUrg,
	} {
		const free = TCPPsh | TCPEce | TCPCwr
		for m := range 256 {
			if uint8(m)&^free == 0 {
				v[f|uint8(m)] = true
			}
		}
	}
	return v
}()

// Short names for the table.
const (
	ss = TCPSynSent
	sr = TCPSynRecv
	es = TCPEstablished
	fw = TCPFinWait
	cw = TCPCloseWait
	la = TCPLastAck
	tw = TCPTimeWait
	cl = TCPClose
	s2 = TCPSynSent2
	ig = tcpIgnore
	iv = tcpInvalid
)

// tcpTable is what each kind of segment makes of each state, by direction. All
// cells but those of tcpNone, which no valid segment is, were got by asking
// the kernel; TestKernelTCPTable asks it again.
//
// Two things are not in it. A SYN that begins anew what is in TIME_WAIT or
// CLOSE does so only where the old connection is known to be over, and is
// ignored else. And an ACK of the reply direction in SYN_RECV makes
// ESTABLISHED after a simultaneous open.
var tcpTable = [2][tcpKinds][tcpStates]TCPState{
	Original: {
		//         NONE SYNSENT SYNRECV ESTAB FINWAIT CLOSEWAIT LASTACK TIMEWAIT CLOSE SYNSENT2
		tcpSYN:    {ss, ss, ig, ig, ig, ig, ig, ss, ss, s2},
		tcpSYNACK: {iv, iv, sr, iv, iv, iv, iv, iv, iv, sr},
		tcpFIN:    {iv, iv, fw, fw, la, la, la, tw, cl, iv},
		tcpACK:    {es, iv, es, es, cw, cw, tw, tw, cl, iv},
		tcpRST:    {iv, cl, cl, cl, cl, cl, cl, cl, cl, cl},
		tcpNone:   {iv, iv, iv, iv, iv, iv, iv, iv, iv, iv},
	},
	Reply: {
		tcpSYN:    {iv, s2, iv, iv, iv, iv, iv, ss, iv, s2},
		tcpSYNACK: {iv, sr, ig, ig, ig, ig, ig, ig, ig, sr},
		tcpFIN:    {iv, iv, fw, fw, la, la, la, tw, cl, iv},
		tcpACK:    {iv, ig, sr, es, cw, cw, tw, tw, cl, ig},
		tcpRST:    {iv, cl, cl, cl, cl, cl, cl, cl, cl, cl},
		tcpNone:   {iv, iv, iv, iv, iv, iv, iv, iv, iv, iv},
	},
}

// tcpTimeouts are the sysctls that say how long a state lasts; SYN_SENT2 has
// none of its own.
var tcpTimeouts = [tcpStates]int{
	TCPNone:        sysctlTCPSynSent,
	TCPSynSent:     sysctlTCPSynSent,
	TCPSynRecv:     sysctlTCPSynRecv,
	TCPEstablished: sysctlTCPEstablished,
	TCPFinWait:     sysctlTCPFinWait,
	TCPCloseWait:   sysctlTCPCloseWait,
	TCPLastAck:     sysctlTCPLastAck,
	TCPTimeWait:    sysctlTCPTimeWait,
	TCPClose:       sysctlTCPClose,
}

// synSent2Timeout is how long SYN_SENT2 lasts, in seconds.
const synSent2Timeout = 120

func (t *Table) tcpTimeout(s TCPState) uint32 {
	if s == TCPSynSent2 {
		return uint32(synSent2Timeout * t.hz)
	}
	return t.setting(tcpTimeouts[s])
}
