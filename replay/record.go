package replay

import (
	"bytes"
	"time"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

// Fate is what became of a packet.
type Fate uint8

// The fates.
const (
	Forwarded  Fate = iota // it went through the host
	Dropped                // by a program, the tracker, or since its headers are broken
	Redirected             // a program sent it elsewhere: it was not tracked
	NotIP                  // it went by, as what is neither IPv4 nor IPv6
	Held                   // a fragment that waits for the others
	fates
)

// String is the fate in a word or two.
func (f Fate) String() string {
	switch f {
	case Forwarded:
		return "forwarded"
	case Dropped:
		return "dropped"
	case Redirected:
		return "redirected"
	case NotIP:
		return "not IP"
	case Held:
		return "held"
	}
	return "unknown"
}

// Record is what happened to a packet.
type Record struct {
	Number int       // from 1
	Time   time.Time // zero where the capture has no stamps
	Since  time.Duration
	// Backwards is by how much the stamp lies before an earlier packet's, 0 where it
	// does not.
	Backwards time.Duration

	Frame   []byte // as it came
	Link    packet.LinkType
	OrigLen int // length on the wire

	// Fault is what is wrong with the headers: a *packet.Error that names layer and
	// place, or nil. A packet may be tracked all the same.
	Fault   error
	Returns []Return // of programs, in order
	Fate    Fate

	// Tracked says that the tracker saw it; the following is set then.
	Tracked bool
	State   conntrack.State
	CtInfo  conntrack.CtInfo
	Reason  conntrack.Reason
	HasConn bool
	Conn    uint32 // ID of the connection

	// Whole is the frame that was put together where this was the last of its
	// fragments: what the tracker saw.
	Whole []byte

	// Out are the frames that left: none, one, or the fragments of one.
	Out     [][]byte
	OutLink packet.LinkType

	// Expired are the events of connections whose time was over before the packet,
	// Events those that it made; both only where Options.Events.
	Expired, Events []conntrack.Event

	Explanation *Explanation // of the packet that was asked for
}

// Changed says whether a packet left as another than it came.
func (r *Record) Changed() bool {
	if len(r.Out) != 1 {
		return len(r.Out) > 1
	}
	if r.OutLink == r.Link {
		return !bytes.Equal(r.Out[0], r.Frame)
	}
	in, err := packet.ToEthernet(r.Frame, r.Link) // what programs got
	return err != nil || !bytes.Equal(in, r.Out[0])
}

// Packets are what left, for a capture.
func (r *Record) Packets() []packet.Packet {
	out := make([]packet.Packet, len(r.Out))
	for i, frame := range r.Out {
		out[i] = packet.Packet{Time: r.Time, Data: frame, LinkType: r.OutLink}
		if len(r.Out) == 1 {
			out[i].OrigLen = r.OrigLen + len(frame) - len(r.Frame)
		}
		out[i].OrigLen = max(out[i].OrigLen, len(frame))
	}
	return out
}

// Summary is what was counted.
type Summary struct {
	Packets int
	// States counts tracked packets by state.
	States [conntrack.StateUntracked + 1]int
	// Fates counts packets by what became of them.
	Fates [fates]int
	// Reasons counts packets by the tracker's reasons.
	Reasons map[conntrack.ReasonID]int
	// Broken counts packets with headers that are wrong, Backwards those with stamps
	// that run backwards, Stopped runs of programs that the sanitizer ended; the First
	// ones are the numbers of the first such packets.
	Broken, Backwards, Stopped                int
	FirstBroken, FirstBackwards, FirstStopped int
	// Began and Ended count connections that were confirmed and that ended since;
	// Alive is how many are in the table at the end.
	Began, Ended, Alive int
}

// Tracked is how many packets the tracker saw.
func (s *Summary) Tracked() (n int) {
	for _, k := range s.States {
		n += k
	}
	return n
}

func (s *Summary) add(r *Record) {
	s.Fates[r.Fate]++
	if r.Tracked {
		s.States[r.State]++
		if r.Reason.ID != conntrack.ReasonNone {
			s.Reasons[r.Reason.ID]++
		}
	}
	count := func(n, first *int) {
		if *n++; *n == 1 {
			*first = r.Number
		}
	}
	if r.Fault != nil {
		count(&s.Broken, &s.FirstBroken)
	}
	if r.Backwards > 0 {
		count(&s.Backwards, &s.FirstBackwards)
	}
	for i := range r.Returns {
		if r.Returns[i].Err != nil {
			count(&s.Stopped, &s.FirstStopped)
		}
	}
}
