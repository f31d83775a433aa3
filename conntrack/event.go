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
	Type EventType
	Conn Snapshot
}

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
func (t *Table) publish(typ EventType, c Conn) {
	subs := t.subs.Load()
	if subs == nil {
		return
	}
	snap, ok := c.Snapshot()
	if !ok {
		return
	}
	for _, s := range *subs {
		s.f(Event{typ, snap})
	}
}

// publishUpdate tells them of a connection that is in the table.
func (t *Table) publishUpdate(c Conn) {
	if t.subs.Load() != nil && c.Status()&(IPSConfirmed|IPSDying) == IPSConfirmed {
		t.publish(EventUpdate, c)
	}
}
