package replay

import (
	"fmt"
	"math"
	"time"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/conntrack/ctframe"
	"github.com/bpfct/bpfct/defrag"
	"github.com/bpfct/bpfct/packet"
)

// Sysctl is a file of /proc/sys/net/netfilter and what is to be written to it.
type Sysctl struct {
	Name  string
	Value int
}

// Options say how packets are played. The zero value tracks them in the default
// zone with the sysctls that a Linux host starts with.
type Options struct {
	// Host is the machine. Where its clock has no wall clock time, the first packet's
	// stamp is that.
	Host    bpfct.HostOptions
	Sysctls []Sysctl
	// Zone is where packets are tracked.
	Zone uint16
	// Spec has the programs that see packets before they are tracked; nil for none.
	Spec *ebpf.CollectionSpec
	// Programs are their names, in order; nil is all programs of Hook, by name.
	Programs []string
	// Hook is where they are attached.
	Hook Hook
	// SkipVerifier runs programs that the kernel would refuse.
	SkipVerifier bool
	// Explain is the number of the packet, from 1, whose [Record] has an Explanation;
	// 0 for none.
	Explain int
	// Events makes records have the events of the table.
	Events bool
}

// Player is a host that packets are played to. It is for one goroutine.
type Player struct {
	opts  Options
	host  *bpfct.Host
	table *conntrack.Table
	progs []*bpfct.Program
	zone  conntrack.Zone
	frags *defrag.Reassembler

	uptime  time.Duration // of the host at the first stamp
	first   time.Time     // that stamp
	latest  time.Time     // the latest stamp so far
	swept   time.Duration // uptime of the last sweep of the whole table
	jiffies uint64        // of the last packet
	in      conntrack.Packet
	rec     Record            // what Play gives
	frame   [1][]byte         // of its Out
	verify  bool              // nf_conntrack_checksum
	events  []conntrack.Event // since the last record
	sum     Summary
}

// New makes a player whose clock stands where the first packet's stamp is. first may
// be zero.
func New(opts Options, first time.Time) (*Player, error) {
	if opts.Host.Clock.Wall.IsZero() {
		opts.Host.Clock.Wall = first
	}
	host, err := bpfct.NewHost(opts.Host)
	if err != nil {
		return nil, err
	}
	p := &Player{
		opts: opts, host: host, table: host.Netns().Conntrack(),
		zone:   conntrack.Zone{ID: opts.Zone, Dir: conntrack.ZoneDirDefault},
		uptime: host.Clock().Uptime(), first: first, latest: first,
	}
	p.swept = p.uptime
	p.frags = defrag.New(defrag.Options{Clock: host.Clock(), HZ: host.Clock().HZ()})
	p.sum.Reasons = map[conntrack.ReasonID]int{}
	for _, s := range opts.Sysctls {
		if err := p.table.SetSysctl(s.Name, s.Value); err != nil {
			return nil, err
		}
	}
	n, err := p.table.Sysctl("nf_conntrack_checksum")
	if err != nil {
		return nil, err
	}
	p.verify = n != 0
	if opts.Spec != nil {
		if err := p.load(); err != nil {
			return nil, err
		}
	}
	p.table.Subscribe(p.event)
	return p, nil
}

// Table is the connections.
func (p *Player) Table() *conntrack.Table { return p.table }

func (p *Player) event(e conntrack.Event) {
	switch e.Type {
	case conntrack.EventNew:
		p.sum.Began++
	case conntrack.EventDestroy:
		p.sum.Ended++
	}
	if p.opts.Events {
		p.events = append(p.events, e)
	}
}

// gcBudget is how many entries are looked at for each packet of a new jiffy, and
// sweepEvery how often all are: entries that nobody asks for end within a second,
// and memory follows the number that is alive.
const (
	gcBudget   = 64
	sweepEvery = time.Second
)

// advance moves the clock to a stamp. It is false where the stamp lies before one
// that was there already; the clock stands still then.
func (p *Player) advance(stamp time.Time) bool {
	if stamp.IsZero() {
		return true // there is none
	}
	if p.first.IsZero() {
		p.first, p.latest = stamp, stamp
	}
	if stamp.Before(p.latest) {
		return false
	}
	p.latest = stamp
	clock := p.host.Clock()
	// A year has more jiffies than 32 bits hold, by which the ends of connections are
	// compared: in long silences somebody must look at them now and then.
	stride := time.Duration(1<<30/clock.HZ()) * time.Second
	to := min(stamp.Sub(p.first), math.MaxInt64-p.uptime) + p.uptime
	for now := clock.Uptime(); to-now > stride && p.table.Count() > 0; now = clock.Uptime() {
		clock.AdvanceTo(now + stride)
		p.table.GC(0)
	}
	clock.AdvanceTo(to)
	p.collect(clock.Jiffies())
	return true
}

// collect ends connections whose time is over.
func (p *Player) collect(jiffies uint64) {
	if jiffies == p.jiffies {
		return
	}
	p.jiffies = jiffies
	budget := gcBudget
	if now := p.host.Clock().Uptime(); now-p.swept >= sweepEvery {
		p.swept, budget = now, 0
	}
	p.table.GC(budget)
}

// End ends the connections whose time is over at the last stamp, so that the table
// has only those that are alive, and gives what was counted and the events of that.
func (p *Player) End() (*Summary, []conntrack.Event) {
	p.events = p.events[:0]
	p.table.GC(0)
	p.sum.Alive = 0
	for range p.table.All() {
		p.sum.Alive++
	}
	return &p.sum, p.events
}

// Play plays the next packet. The record is good until the next call, if the packet's
// data is.
//
// Nothing that is wrong with a packet is an error: the record says it.
func (p *Player) Play(in *packet.Packet) *Record {
	r := &p.rec
	*r = Record{Frame: in.Data, Link: in.LinkType, OrigLen: max(in.OrigLen, len(in.Data)), Time: in.Time, Returns: r.Returns[:0]}
	p.sum.Packets++
	r.Number = p.sum.Packets
	p.events = p.events[:0]
	if !p.advance(in.Time) {
		r.Backwards = p.latest.Sub(in.Time)
	}
	expired := len(p.events)
	if !in.Time.IsZero() {
		r.Since = in.Time.Sub(p.first)
	}
	if r.Number == p.opts.Explain {
		r.Explanation = &Explanation{}
	}
	frame, link, on := in.Data, in.LinkType, true
	if len(p.progs) > 0 {
		frame, link, on = p.runPrograms(r, frame, link)
	}
	if on {
		p.track(r, frame, link)
	}
	r.Expired, r.Events = p.events[:expired], p.events[expired:]
	p.sum.add(r)
	return r
}

// track sends a frame through prerouting and postrouting.
func (p *Player) track(r *Record, frame []byte, link packet.LinkType) {
	info, err := packet.Parse(frame, link)
	r.Fault = err
	id := info.FragID
	frame, limit, ok := p.gather(r, frame, link, &info)
	if !ok {
		return
	}
	p.in.Zone = p.zone
	if !ctframe.Fill(&p.in, frame, &info, p.verify) {
		if err == nil && info.Version == 0 {
			r.Fate = NotIP
			p.leave(r, link, frame)
			return
		}
		r.Fate = Dropped
		if r.Fault == nil {
			r.Fault = fmt.Errorf("ipv%d at byte %d: nothing is behind its header", info.Version, info.Network)
		}
		return
	}
	if r.Explanation != nil {
		r.Explanation.before(p)
	}
	out := p.pass(r, frame, &info)
	if out == nil {
		return
	}
	if limit == 0 {
		p.leave(r, link, out)
		return
	}
	pieces, err := scatter(out, &info, limit, id)
	if err != nil {
		r.Fate, r.Fault = Dropped, err
		return
	}
	r.OutLink, r.Out = link, pieces
}

// pass tracks the packet in p.in, translates and confirms it. It gives the frame as
// it leaves, nil where it does not.
func (p *Player) pass(r *Record, frame []byte, info *packet.Info) []byte {
	x := r.Explanation
	i := p.table.Track(&p.in)
	defer i.Release()
	r.Tracked, r.State, r.CtInfo, r.Reason = true, i.State(), i.CtInfo, i.Reason
	r.HasConn = i.State() != conntrack.StateInvalid && i.State() != conntrack.StateUntracked
	r.Conn = i.Conn.ID()
	if x != nil {
		x.tracked(&i)
	}
	if i.Verdict == conntrack.VerdictDrop {
		r.Fate = Dropped
		return nil
	}
	frame = p.translate(x, &i, frame, info)
	if p.table.Confirm(&i) == conntrack.VerdictDrop {
		r.Fate, r.Reason = Dropped, i.Reason
		frame = nil
	} else {
		r.Fate, r.Conn = Forwarded, i.Conn.ID() // it is another's, where two became one
	}
	if x != nil {
		i.Release() // what stays is to be seen
		x.after(p, r)
	}
	return frame
}

// leave notes the frame with which a packet leaves the host.
func (p *Player) leave(r *Record, link packet.LinkType, frame []byte) {
	p.frame[0] = frame
	r.OutLink, r.Out = link, p.frame[:]
}
