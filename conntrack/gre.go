package conntrack

type greTrack struct {
	timeout, stream uint32 // jiffies
}

// stepGRE tracks GRE. Its timeouts are those of the sysctls when it began.
func (t *Table) stepGRE(i *Info, p *Packet) step {
	s := i.Conn.Status()
	x := t.slab.trackOf(i.Conn.h)
	if s&IPSConfirmed == 0 {
		x.gre = greTrack{t.setting(sysctlGRE), t.setting(sysctlGREStream)}
	}
	if s&IPSSeenReply == 0 {
		t.refresh(i, p, x.gre.timeout)
		return step{}
	}
	t.refresh(i, p, x.gre.stream)
	if s&IPSNATClash == 0 {
		t.assure(i.Conn, s)
	}
	return step{}
}
