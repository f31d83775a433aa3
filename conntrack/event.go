package conntrack

// EventType is what happened to a connection.
type EventType uint8

// The events.
const (
	EventNew     EventType = iota // it was inserted
	EventUpdate                   // mark, status, timeout or labels of an inserted one changed
	EventDestroy                  // it was deleted, dropped or has expired
)

// String is conntrack -E's word: "NEW", "UPDATE", "DESTROY".
func (e EventType) String() string {
	switch e {
	case EventNew:
		return "NEW"
	case EventUpdate:
		return "UPDATE"
	case EventDestroy:
		return "DESTROY"
	}
	return "unknown"
}

// Event is a change of the table with the connection as it was right after it.
type Event struct {
	Type    EventType
	Changes Changes
	Conn    Snapshot
}

// Changes says what an event is about (enum ip_conntrack_events as bits).
type Changes uint16

// The changes. Linux numbers them so.
const (
	ChangedNew       Changes = 1 << 0 // a new connection
	ChangedRelated   Changes = 1 << 1 // a new connection that was expected
	ChangedDestroy   Changes = 1 << 2
	ChangedReply     Changes = 1 << 3 // the first answer: SEEN_REPLY
	ChangedAssured   Changes = 1 << 4 // ASSURED
	ChangedProtoInfo Changes = 1 << 5 // the protocol's state
	ChangedHelper    Changes = 1 << 6
	ChangedMark      Changes = 1 << 7
	ChangedSeqAdj    Changes = 1 << 8
	ChangedSecMark   Changes = 1 << 9
	ChangedLabel     Changes = 1 << 10
	// ChangedByProgram is status or timeout, which a program changed; Linux
	// has no event for it.
	ChangedByProgram Changes = 1 << 15
)

type subscriber struct{ f func(Event) }

// Subscribe has f called for every event from now on until cancel. f is called
// by the goroutine that made the change, after it and with no lock held, so
// that f may use the table. Goroutines that change the table at once call f at
// once.
//
// Linux sends no event for a connection that a program made (it has no event
// cache); a subscriber here is told of all.
func (t *Table) Subscribe(f func(Event)) (cancel func()) {
	s := &subscriber{f}
	t.changeSubs(func(old []*subscriber) []*subscriber { return append(old, s) })
	return func() {
		t.changeSubs(func(old []*subscriber) []*subscriber {
			for i := range old {
				if old[i] == s {
					return append(old[:i], old[i+1:]...)
				}
			}
			return old
		})
	}
}

func (t *Table) changeSubs(change func([]*subscriber) []*subscriber) {
	t.subsLock.Lock()
	defer t.subsLock.Unlock()
	var list []*subscriber
	if p := t.subs.Load(); p != nil {
		list = append(list, *p...)
	}
	if list = change(list); len(list) == 0 {
		t.subs.Store(nil)
		return
	}
	t.subs.Store(&list)
}

// publish tells the subscribers. The caller holds a reference and no lock.
func (t *Table) publish(typ EventType, ch Changes, c Conn) {
	subs := t.subs.Load()
	if subs == nil {
		return
	}
	snap, ok := c.Snapshot()
	if !ok {
		return
	}
	for _, s := range *subs {
		s.f(Event{typ, ch, snap})
	}
}

// publishUpdate tells them of a connection that is in the table.
func (t *Table) publishUpdate(ch Changes, c Conn) {
	if t.subs.Load() != nil && c.Status()&(IPSConfirmed|IPSDying) == IPSConfirmed {
		t.publish(EventUpdate, ch, c)
	}
}

// note remembers what a packet changed until [Table.Confirm] tells it.
func (c Conn) note(ch Changes) { c.t.slab.trackOf(c.h).changes.Or(uint32(ch)) }

// deliver tells what was noted.
func (t *Table) deliver(c Conn) {
	x := t.slab.trackIfAny(c.h)
	if x == nil || x.changes.Load() == 0 || c.Status()&(IPSConfirmed|IPSDying) != IPSConfirmed {
		return
	}
	ch := Changes(x.changes.Swap(0))
	switch {
	case ch == 0:
	case ch&(ChangedNew|ChangedRelated) != 0:
		t.publish(EventNew, ch, c)
	default:
		t.publish(EventUpdate, ch, c)
	}
}
