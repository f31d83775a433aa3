package conntrack

import "github.com/bpfct/bpfct/internal/errno"

// TCPInfo is the state of a TCP connection as netlink has it.
type TCPInfo struct {
	State TCPState
	// By direction: the window scale, and facts about the sender: 1 offered
	// scaling, 2 permits SACK, 4 closed first, 8 is not held to the window,
	// 16 has unacknowledged data, 32 acknowledged something.
	WScale [2]uint8
	Flags  [2]uint8
}

func (x *tcpTrack) info() *TCPInfo {
	a, b := &x.side[Original], &x.side[Reply]
	return &TCPInfo{x.state, [2]uint8{a.scale, b.scale}, [2]uint8{uint8(a.flags), uint8(b.flags)}}
}

// TCPState is the state of a TCP connection; false for others.
func (c Conn) TCPState() (TCPState, bool) {
	if !c.Valid() || c.e.orig.Proto != ProtoTCP {
		return 0, false
	}
	x := c.t.slab.trackIfAny(c.h)
	if x == nil {
		return TCPNone, true
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.tcp.state, true
}

// SetTCPInfo replaces state, flags and, where both sides have the flag, the
// window scales, as netlink lets a user do: a connection that is set up so can
// be gone on with in the middle. EINVAL for a state that there is not, ESRCH
// where c is gone or not TCP.
func (c Conn) SetTCPInfo(n TCPInfo) error {
	if !c.Valid() || c.e.orig.Proto != ProtoTCP {
		return errno.ESRCH
	}
	if n.State >= tcpStates {
		return errno.EINVAL
	}
	x := c.t.slab.trackOf(c.h)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tcp.state = n.State
	for d := range x.tcp.side {
		x.tcp.side[d].flags = tcpFlags(n.Flags[d])
	}
	if n.Flags[0]&n.Flags[1]&uint8(tcpScaled) != 0 {
		for d := range x.tcp.side {
			x.tcp.side[d].scale = n.WScale[d]
		}
	}
	return nil
}
