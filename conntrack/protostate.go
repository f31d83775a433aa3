package conntrack

import (
	"sync"
	"sync/atomic"
)

// track is what packets leave of a connection: the state of its protocol.
//
// mu guards tcp and sctp. extras, and udp, are written before the
// connection is confirmed and not later.
type track struct {
	mu      sync.Mutex
	changes atomic.Uint32 // Changes that no event told yet
	helped  atomic.Bool   // has, or had, a helper
	extras  uint8         // what it has of counts
	tcp     tcpTrack
	sctp    sctpTrack
	udp     udpTrack
	gre     greTrack
}

func (x *track) reset() {
	x.changes.Store(0)
	x.helped.Store(false)
	x.extras = 0
	x.tcp = tcpTrack{}
	x.sctp = sctpTrack{}
	x.udp = udpTrack{}
	x.gre = greTrack{}
}

// closing says whether a connection has had its end and may be dropped early
// though it is assured.
func (t *Table) closing(h handle, e *entry) bool {
	if Status(e.status.Load())&IPSAssured == 0 {
		return false
	}
	x := t.slab.trackIfAny(h)
	if x == nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch e.orig.Proto {
	case ProtoTCP:
		return x.tcp.closing()
	case ProtoSCTP:
		return x.sctp.closing()
	}
	return false
}
