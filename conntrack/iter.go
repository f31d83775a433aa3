package conntrack

import "iter"

// All walks the connections in the table. Others may change it meanwhile: what
// is in it from the beginning to the end is met once, what comes or goes on
// the way is met once or not at all. What has expired is not met, and is ended.
// The Conn is good until the next step; [Conn.Hold] keeps it longer.
//
// The order is that of the places of the entries: of their creation, where
// none was freed.
func (t *Table) All() iter.Seq[Conn] {
	return func(yield func(Conn) bool) {
		end := t.slab.end()
		for h := handle(1); h < end; h++ {
			e := t.slab.at(h)
			if Status(e.status.Load())&(IPSConfirmed|IPSDying|IPSNATClash) != IPSConfirmed {
				continue // what lost a clash is not shown
			}
			c, ok := t.hold(h, e)
			if !ok {
				continue
			}
			if expired(e.timeout.Load(), t.now()) {
				t.unlink(c)
				c.put()
				continue
			}
			more := yield(c)
			c.put()
			if !more {
				return
			}
		}
	}
}

// Snapshots is [Table.All] with each connection read at once. The reader's own
// reference is not counted in Use.
func (t *Table) Snapshots() iter.Seq[Snapshot] {
	return func(yield func(Snapshot) bool) {
		for c := range t.All() {
			if s, ok := c.Snapshot(); ok {
				if s.Use--; !yield(s) {
					return
				}
			}
		}
	}
}

// Flush deletes every connection in the table and says how many.
func (t *Table) Flush() (n int) {
	for c := range t.All() {
		if t.unlink(c) {
			n++
		}
	}
	return n
}
