package replay

import (
	"errors"
	"io"
	"time"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

// Sink takes what is to be shown.
type Sink interface {
	// Packet takes a record, which is good until it returns.
	Packet(r *Record) error
	// End takes what is left behind the last packet: events, the table, and counts.
	End(events []conntrack.Event, t *conntrack.Table, s *Summary) error
}

// ErrNoSuchPacket is what Run answers where the packet to be explained is not there.
var ErrNoSuchPacket = errors.New("the packet to explain is not in the capture")

// Run plays a whole capture. out, where not nil, gets the packets that leave.
//
// A capture that cannot be read to its end is an error, a *packet.CaptureError, but
// what was before that is played and shown. The Summary is nil where nothing could be
// played at all.
func Run(in *packet.Reader, opts Options, sink Sink, out *packet.Writer) (*Summary, error) {
	pkt, readErr := in.Next()
	var first time.Time
	if in.Format() != packet.FormatText { // whose stamps do not say when
		first = pkt.Time
	}
	p, err := New(opts, first)
	if err != nil {
		return nil, err
	}
	for ; readErr == nil; pkt, readErr = in.Next() {
		r := p.Play(&pkt)
		if err := sink.Packet(r); err != nil {
			return nil, err
		}
		if out == nil {
			continue
		}
		for _, o := range r.Packets() {
			if err := out.Write(o); err != nil {
				return nil, err
			}
		}
	}
	sum, events := p.End()
	if err := sink.End(events, p.table, sum); err != nil {
		return sum, err
	}
	if readErr != io.EOF {
		return sum, readErr
	}
	if opts.Explain > sum.Packets {
		return sum, ErrNoSuchPacket
	}
	return sum, nil
}
