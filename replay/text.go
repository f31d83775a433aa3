package replay

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	gomaps "maps"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/packet"
)

// Show says what a sink shows. The zero value is everything.
type Show struct {
	// Quiet shows the counts only.
	Quiet bool
	// Only, where not 0, shows no other packet.
	Only int
}

// packet says whether a packet is shown.
func (s Show) packet(n int) bool { return !s.Quiet && (s.Only == 0 || s.Only == n) }

// entries says whether events and entries are.
func (s Show) entries() bool { return !s.Quiet && s.Only == 0 }

// Text is a [Sink] that writes for people.
func Text(w io.Writer, show Show) Sink { return &text{bufio.NewWriterSize(w, 1<<15), show} }

type text struct {
	w    *bufio.Writer
	show Show
}

// indent is where the lines below a packet's first begin.
const indent = "      "

// Stamp is the time since the first packet in seconds.
func Stamp(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	return fmt.Sprintf("%s%d.%06d", sign, d/time.Second, d%time.Second/time.Microsecond)
}

// Brief is a frame in the text form, without its payload. Of a link type that is not
// known it is that.
func Brief(frame []byte, link packet.LinkType) string {
	if !link.Known() {
		return fmt.Sprintf("%s, %d bytes", link, len(frame))
	}
	return packet.FormatOptions{Brief: true}.Format(frame, link)
}

func (t *text) Packet(r *Record) error {
	if t.show.entries() {
		t.events(r.Expired)
	}
	if t.show.packet(r.Number) {
		t.packet(r)
	}
	if t.show.entries() {
		t.events(r.Events)
	}
	return nil
}

func (t *text) packet(r *Record) {
	state, dir, id := strings.ToUpper(r.Fate.String()), "-", "-"
	if r.Tracked {
		state = r.State.String()
	}
	if r.HasConn {
		dir, id = r.CtInfo.Dir().String(), fmt.Sprint(r.Conn)
	}
	fmt.Fprintf(t.w, "%-5d %s %s %s %s %s\n", r.Number, Stamp(r.Since), state, dir, id, Brief(r.Frame, r.Link))
	line := func(what, format string, a ...any) {
		fmt.Fprintf(t.w, indent+"%-7s %s\n", what, strings.ReplaceAll(fmt.Sprintf(format, a...), "\n", "\n"+indent))
	}
	if r.Backwards > 0 {
		line("stamp", "runs backwards by %v; the clock stands still", r.Backwards)
	}
	if r.Fault != nil {
		line("fault", "%v", r.Fault)
	}
	for i := range r.Returns {
		ret := &r.Returns[i]
		for _, s := range ret.Trace {
			line("trace", "%s", strings.TrimRight(s, "\n"))
		}
		if ret.Err != nil {
			line("FAULT", "%v", ret.Err)
			continue
		}
		line("program", "%s returns %s", ret.Program, ret.Verdict())
	}
	if r.Whole != nil {
		line("whole", "%s", Brief(r.Whole, wholeLink(r)))
	}
	if r.Reason.ID != conntrack.ReasonNone {
		line("reason", "%s: %s", r.Reason.ID, r.Reason)
	}
	if r.Tracked && r.Fate == Dropped {
		line("dropped", "it does not leave")
	}
	if r.Changed() {
		for _, f := range r.Out {
			line("out", "%s", Brief(f, r.OutLink))
		}
	}
	if r.Explanation != nil {
		line("explain", "packet %d", r.Number)
		for l := range strings.Lines(r.Explanation.Text()) {
			fmt.Fprintf(t.w, indent+"  %s", l)
		}
	}
}

// wholeLink is the link type of what was put together.
func wholeLink(r *Record) packet.LinkType {
	if len(r.Returns) > 0 {
		return packet.LinkEthernet
	}
	return r.Link
}

func (t *text) events(list []conntrack.Event) {
	for i := range list {
		fmt.Fprintf(t.w, "%s\n", EventText(&list[i]))
	}
}

// EventText is an event as conntrack -E -o id writes it.
func EventText(e *conntrack.Event) string {
	s := e.Conn
	if s.Proto != nil && e.Type != conntrack.EventDestroy {
		proto := *s.Proto
		proto.Counters, proto.Stamped = nil, false
		s.Proto = &proto
	}
	line, _, _ := strings.Cut(s.String(), " use=")
	if s.Mark == 0 && e.Changes&conntrack.ChangedMark == 0 {
		line = strings.Replace(line, " mark=0", "", 1)
	}
	if e.Type == conntrack.EventDestroy && s.Seconds() == 0 {
		// One whose time was over has none.
		proto := fmt.Sprintf(" %d ", s.Tuples[0].Proto)
		line = strings.Replace(line, proto+"0 ", proto, 1)
	}
	return fmt.Sprintf("%9s %s id=%d", "["+e.Type.String()+"]", line, s.ID)
}

func (t *text) End(events []conntrack.Event, table *conntrack.Table, s *Summary) error {
	if t.show.entries() {
		t.events(events)
		fmt.Fprintf(t.w, "connections: %d\n", s.Alive)
		if err := table.Dump(t.w, conntrack.DumpOptions{ID: true}); err != nil {
			return err
		}
	}
	if t.show.Only == 0 {
		s.write(t.w)
	}
	return t.w.Flush()
}

// list is counts that are not 0, by name.
func list(n int, count func(int) int, name func(int) string) string {
	var out []string
	for i := range n {
		if k := count(i); k > 0 {
			out = append(out, fmt.Sprintf("%s %d", name(i), k))
		}
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, ", ")
}

// stateOrder is the order in which states are listed.
var stateOrder = [...]conntrack.State{conntrack.StateNew, conntrack.StateEstablished, conntrack.StateRelated, conntrack.StateInvalid, conntrack.StateUntracked}

func (s *Summary) write(w io.Writer) {
	fmt.Fprintf(w, "packets: %d", s.Packets)
	if s.Packets > 0 {
		fmt.Fprintf(w, ": %s", list(len(s.Fates), func(i int) int { return s.Fates[i] }, func(i int) string { return Fate(i).String() }))
	}
	fmt.Fprintf(w, "\nstates: %s\n", list(len(stateOrder), func(i int) int { return s.States[stateOrder[i]] }, func(i int) string { return stateOrder[i].String() }))
	ids := slices.Sorted(gomaps.Keys(s.Reasons))
	fmt.Fprintf(w, "reasons: %s\n", list(len(ids), func(i int) int { return s.Reasons[ids[i]] }, func(i int) string { return ids[i].String() }))
	fmt.Fprintf(w, "connections: began %d, ended %d, alive %d\n", s.Began, s.Ended, s.Alive)
	problem := func(what string, n, first int) {
		if n > 0 {
			fmt.Fprintf(w, "%s: %d, the first in packet %d\n", what, n, first)
		}
	}
	problem("wrong headers", s.Broken, s.FirstBroken)
	problem("stamps that run backwards", s.Backwards, s.FirstBackwards)
	problem("stopped programs", s.Stopped, s.FirstStopped)
}
