package conntrack

// sourceKey is what connections of one source have in common.
type sourceKey struct {
	src   Addr
	port  uint16
	fam   Family
	proto uint8
	zone  uint16
}

func sourceOf(t *Tuple, z Zone) sourceKey {
	return sourceKey{t.Src, t.SrcPort, t.Family, t.Proto, z.bySource()}
}

// alterReply changes the reply tuple of a connection that is not inserted.
// Once its source is remembered others may read it.
func (t *Table) alterReply(e *entry, reply Tuple) {
	if Status(e.status.Load())&IPSSrcNATDone != 0 {
		key := sourceOf(&e.orig, e.zone)
		s := &t.source[shardOf(t.key.source(&e.orig, key.zone))]
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	e.reply = reply
}

// rememberSource puts e in front of the chain of its source.
func (t *Table) rememberSource(h handle, e *entry) {
	key := sourceOf(&e.orig, e.zone)
	hash := t.key.source(&e.orig, key.zone)
	s := &t.source[shardOf(hash)]
	tag := tagOf(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.back, e.link = 0, 0
	if c, head := t.sourceHead(s, tag, &key); head != 0 {
		e.link = head
		t.slab.at(head).back = h
		c.g[c.at] = makeSlot(tag, h, Original)
		return
	}
	s.add(makeSlot(tag, h, Original))
}

// forgetSource takes e out of the chain of its source.
func (t *Table) forgetSource(h handle, e *entry) {
	key := sourceOf(&e.orig, e.zone)
	hash := t.key.source(&e.orig, key.zone)
	s := &t.source[shardOf(hash)]
	tag := tagOf(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.link != 0 {
		t.slab.at(e.link).back = e.back
	}
	switch {
	case e.back != 0:
		t.slab.at(e.back).link = e.link
	case e.link != 0:
		if c, head := t.sourceHead(s, tag, &key); head == h {
			c.g[c.at] = makeSlot(tag, e.link, Original)
		}
	default:
		s.remove(tag, h, Original)
	}
	e.back, e.link = 0, 0
}

// sourceHead finds the slot of a source and the newest connection in it.
func (t *Table) sourceHead(s *shard, tag uint32, key *sourceKey) (cursor, handle) {
	for c := s.seek(tag); ; {
		v, ok := c.next()
		if !ok {
			return c, 0
		}
		if e := t.slab.at(v.handle()); sourceOf(&e.orig, e.zone) == *key {
			return c, v.handle()
		}
	}
}

// mappingOf looks for what the source of tuple was mapped to before, newest
// first, and gives tuple with that source where it is in the range.
func (t *Table) mappingOf(tuple *Tuple, zone Zone, r *Range) (Tuple, bool) {
	key := sourceOf(tuple, zone)
	hash := t.key.source(tuple, key.zone)
	s := &t.source[shardOf(hash)]
	s.mu.Lock()
	defer s.mu.Unlock()
	_, h := t.sourceHead(s, tagOf(hash), &key)
	for h != 0 {
		e := t.slab.at(h)
		if e.zone.IDFor(Original) == zone.IDFor(Original) {
			if m, ok := e.reply.Invert(); ok {
				m.Dst, m.DstPort = tuple.Dst, tuple.DstPort
				if r.contains(&m) {
					return m, true
				}
			}
		}
		h = e.link
	}
	return Tuple{}, false
}
