package helper

import "github.com/bpfct/bpfct/conntrack"

const (
	tftpRead  = 1 // RRQ
	tftpWrite = 2 // WRQ

	waitSeconds = 300 // how long a helper's expectation waits
)

// tftp expects the answer to a request: it comes from another port than the
// request went to.
func tftp(t *conntrack.Table, p *Packet, _ any) Answer {
	if len(p.Payload) < 2 {
		return accept
	}
	if op := uint16(p.Payload[0])<<8 | uint16(p.Payload[1]); op != tftpRead && op != tftpWrite {
		return accept
	}
	c := p.Info.Conn
	reply := c.Tuple(conntrack.Reply)
	x := conntrack.Expectation{
		Tuple: reply, MaskAddr: true, Master: c, Max: 1, Seconds: waitSeconds, Helper: "tftp",
	}
	x.Tuple.SrcPort = 0
	if c.Status()&conntrack.IPSNATMask != 0 {
		x.SavedPort = c.Tuple(conntrack.Original).SrcPort
		x.Dir = conntrack.Original
		x.OnNew = conntrack.FollowMaster
	}
	if t.Expect(x) != nil {
		return Answer{Verdict: conntrack.VerdictDrop}
	}
	return accept
}
