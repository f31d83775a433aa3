package conntrack

import "fmt"

// SCTPState is the state that the tracker has an association in (enum
// sctp_conntrack).
type SCTPState uint8

// The states.
const (
	SCTPNone            SCTPState = iota // nothing was seen yet
	SCTPClosed                           // INIT, or the end
	SCTPCookieWait                       // INIT ACK
	SCTPCookieEchoed                     // COOKIE ECHO
	SCTPEstablished                      // COOKIE ACK
	SCTPShutdownSent                     // SHUTDOWN in the original direction
	SCTPShutdownRecd                     // SHUTDOWN in the reply direction
	SCTPShutdownAckSent                  // SHUTDOWN ACK
	SCTPHeartbeatSent                    // HEARTBEAT on a path that is not used yet
	sctpStates

	sctpInvalid SCTPState = 0xff
)

var sctpStateNames = [...]string{"NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT",
	"SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT"}

// String is the name as conntrack -L has it.
func (s SCTPState) String() string {
	if s < sctpStates {
		return sctpStateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// The chunk types that move an association (RFC 9260, 3.2).
const (
	chunkData             = 0
	chunkInit             = 1
	chunkInitAck          = 2
	chunkHeartbeat        = 4
	chunkHeartbeatAck     = 5
	chunkAbort            = 6
	chunkShutdown         = 7
	chunkShutdownAck      = 8
	chunkError            = 9
	chunkCookieEcho       = 10
	chunkCookieAck        = 11
	chunkShutdownComplete = 14
	chunkTypes            = 15
)

// sctpMoves are the types that the table knows; others leave the state.
const sctpMoves = 1<<chunkInit | 1<<chunkInitAck | 1<<chunkHeartbeat | 1<<chunkHeartbeatAck | 1<<chunkAbort |
	1<<chunkShutdown | 1<<chunkShutdownAck | 1<<chunkError | 1<<chunkCookieEcho | 1<<chunkCookieAck | 1<<chunkShutdownComplete

// Short names for the table.
const (
	nC = SCTPClosed
	nW = SCTPCookieWait
	nE = SCTPCookieEchoed
	nS = SCTPEstablished
	sS = SCTPShutdownSent
	sR = SCTPShutdownRecd
	sA = SCTPShutdownAckSent
	hB = SCTPHeartbeatSent
	nX = sctpInvalid
)

// sctpTable is what each chunk makes of each state, by direction. All cells
// were got by asking the kernel; TestKernelSCTPTable asks it again.
var sctpTable = [2][chunkTypes][sctpStates]SCTPState{
	Original: {
		//                     NONE CLOSED WAIT ECHOED ESTAB SHSENT SHRECD SHACK HEARTBEAT
		chunkInit:             {nC, nC, nW, nE, nS, nC, nC, sA, nW},
		chunkInitAck:          {nC, nC, nW, nE, nS, sS, sR, sA, nC},
		chunkAbort:            {nC, nC, nC, nC, nC, nC, nC, nC, nC},
		chunkShutdown:         {nC, nC, nW, nE, sS, sS, sR, sA, nC},
		chunkShutdownAck:      {sA, nC, nW, nE, nS, sA, sA, sA, sA},
		chunkError:            {nC, nC, nW, nE, nS, sS, sR, sA, nC},
		chunkCookieEcho:       {nC, nC, nE, nE, nS, sS, sR, sA, nC},
		chunkCookieAck:        {nC, nC, nW, nS, nS, sS, sR, sA, nC},
		chunkShutdownComplete: {nC, nC, nW, nE, nS, sS, sR, nC, nC},
		chunkHeartbeat:        {hB, nC, nW, nE, nS, sS, sR, sA, hB},
		chunkHeartbeatAck:     {nC, nC, nW, nE, nS, sS, sR, sA, hB},
	},
	Reply: {
		chunkInit:             {nX, nC, nW, nE, nS, sS, sR, sA, nX},
		chunkInitAck:          {nX, nW, nW, nE, nS, sS, sR, sA, nX},
		chunkAbort:            {nX, nC, nC, nC, nC, nC, nC, nC, nX},
		chunkShutdown:         {nX, nC, nW, nE, sR, sS, sR, sA, nX},
		chunkShutdownAck:      {nX, nC, nW, nE, nS, sA, sA, sA, nX},
		chunkError:            {nX, nC, nW, nC, nS, sS, sR, sA, nX},
		chunkCookieEcho:       {nX, nC, nE, nE, nS, sS, sR, sA, nX},
		chunkCookieAck:        {nX, nC, nW, nS, nS, sS, sR, sA, nX},
		chunkShutdownComplete: {nX, nC, nW, nE, nS, sS, sR, nC, nX},
		chunkHeartbeat:        {nX, nC, nW, nE, nS, sS, sR, sA, hB},
		chunkHeartbeatAck:     {nX, nC, nW, nE, nS, sS, sR, sA, nS},
	},
}

// sctpNext is the state after a chunk.
func sctpNext(d Dir, s SCTPState, chunk uint8) SCTPState {
	if chunk < chunkTypes && sctpMoves>>chunk&1 != 0 {
		return sctpTable[d][chunk][s]
	}
	return s
}

// sctpTimeouts are the sysctls that say how long a state lasts; NONE has none.
var sctpTimeouts = [sctpStates]int{
	SCTPClosed:          sysctlSCTPClosed,
	SCTPCookieWait:      sysctlSCTPCookieWait,
	SCTPCookieEchoed:    sysctlSCTPCookieEchoed,
	SCTPEstablished:     sysctlSCTPEstablished,
	SCTPShutdownSent:    sysctlSCTPShutdownSent,
	SCTPShutdownRecd:    sysctlSCTPShutdownRecd,
	SCTPShutdownAckSent: sysctlSCTPShutdownAckSent,
	SCTPHeartbeatSent:   sysctlSCTPHeartbeatSent,
}

// sctpNoneTimeout is how long NONE lasts, in seconds.
const sctpNoneTimeout = 10

func (t *Table) sctpTimeout(s SCTPState) uint32 {
	if s == SCTPNone {
		return uint32(sctpNoneTimeout * t.hz)
	}
	return t.setting(sctpTimeouts[s])
}
