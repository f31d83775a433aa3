package conntrack

import "sync"

// attached is what a helper has on a connection.
type attached struct {
	name string
	data any
}

// attachments are those of a table. Few connections have one.
type attachments struct {
	mu sync.RWMutex
	of map[handle]attached // guarded by mu
}

// SetHelper puts the connection in the care of the helper with this name; data
// is the helper's own and may be changed by it, under a lock of its own. By
// rule says that a rule set asked for it (HELPER is set in the status). An
// empty name takes the helper away.
func (c Conn) SetHelper(name string, data any, byRule bool) {
	if !c.Valid() {
		return
	}
	a := &c.t.helpers
	a.mu.Lock()
	defer a.mu.Unlock()
	x := c.t.slab.trackOf(c.h)
	if name == "" {
		delete(a.of, c.h)
		return
	}
	if a.of == nil {
		a.of = map[handle]attached{}
	}
	a.of[c.h] = attached{name, data}
	x.helped.Store(true)
	if byRule {
		c.e.status.Or(uint32(IPSHelper))
	}
	if c.Status()&IPSConfirmed == 0 {
		c.note(ChangedHelper)
	}
}

// Helper is the helper that cares for the connection, "" for none.
func (c Conn) Helper() (name string, data any) {
	if !c.Valid() {
		return "", nil
	}
	if x := c.t.slab.trackIfAny(c.h); x == nil || !x.helped.Load() {
		return "", nil
	}
	a := &c.t.helpers
	a.mu.RLock()
	defer a.mu.RUnlock()
	h := a.of[c.h]
	return h.name, h.data
}

// detach ends the care when a connection is freed.
func (t *Table) detach(h handle) {
	if x := t.slab.trackIfAny(h); x == nil || !x.helped.Load() {
		return
	}
	t.helpers.mu.Lock()
	delete(t.helpers.of, h)
	t.helpers.mu.Unlock()
}
