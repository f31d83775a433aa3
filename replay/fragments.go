package replay

import (
	"fmt"
	"slices"

	"github.com/bpfct/bpfct/defrag"
	"github.com/bpfct/bpfct/packet"
)

// gather puts fragments together, as is done before tracking. It is false where the
// packet does not go on by itself, which r says; limit is, for one that was put
// together, how long the pieces may be that it leaves in.
func (p *Player) gather(r *Record, frame []byte, link packet.LinkType, info *packet.Info) (whole []byte, limit int, ok bool) {
	if !info.Fragment {
		return frame, 0, true
	}
	res := p.frags.Push(frame, info, uint32(p.opts.Zone))
	switch res.Status {
	case defrag.Pass:
		return frame, 0, true
	case defrag.Queued:
		r.Fate = Held
		return nil, 0, false
	case defrag.Dropped:
		r.Fate, r.Fault = Dropped, fmt.Errorf("ipv%d fragment at byte %d: %s", info.Version, info.Network, res.Reason)
		return nil, 0, false
	}
	whole = slices.Concat(frame[:info.Network], res.Packet)
	parsed, err := packet.Parse(whole, link)
	if err != nil {
		r.Fault = err
	}
	*info, r.Whole = parsed, whole
	return whole, res.MaxFragment, true
}

// scatter takes a frame apart into pieces with IP packets of at most limit bytes.
func scatter(frame []byte, info *packet.Info, limit int, id uint32) ([][]byte, error) {
	ips, err := defrag.Fragment(frame[info.Network:info.End], limit, id, true)
	if err != nil {
		return nil, fmt.Errorf("ipv%d at byte %d: %w", info.Version, info.Network, err)
	}
	for i, ip := range ips {
		ips[i] = slices.Concat(frame[:info.Network], ip)
	}
	return ips, nil
}
