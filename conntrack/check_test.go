package conntrack

import "fmt"

// check looks whether what must always hold of a quiet table does: each
// connection stands in the index by both its tuples and nothing else does, no
// two have one tuple under one zone, counts agree, sources are chained right.
func check(t *Table) error {
	type key struct {
		tuple Tuple
		zone  uint16
		dir   Dir // two of different directions may meet by tricks with zones
	}
	tuples := map[key]handle{}
	slots := map[slot]bool{}
	buckets := map[uint32]uint32{}
	for i := range t.index {
		s := &t.index[i]
		if err := checkShard(s); err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
		var err error
		s.slotsBetween(0, ^uint32(0), func(v slot) {
			e := t.slab.at(v.handle())
			p := t.placeOf(e.tuple(v.dir()), e.zone.IDFor(v.dir()))
			if p.shard != i || p.tag != v.tag() {
				err = fmt.Errorf("slot %#x of handle %d is in the wrong place", uint64(v), v.handle())
			}
			if st := Status(e.status.Load()); st&(IPSConfirmed|IPSDying) != IPSConfirmed || e.use.Load() < 1 {
				err = fmt.Errorf("handle %d in the index has status %v and use %d", v.handle(), st, e.use.Load())
			}
			k := key{*e.tuple(v.dir()), e.zone.IDFor(v.dir()), v.dir()}
			if o, ok := tuples[k]; ok {
				err = fmt.Errorf("handles %d and %d both have %v", o, v.handle(), k)
			}
			tuples[k] = v.handle()
			slots[makeSlot(0, v.handle(), v.dir())] = true
			buckets[bucketOf(p.hash, t.chains.buckets())]++
			if topOf(i, v.tag()) != uint32(p.hash>>32) {
				err = fmt.Errorf("the top of hash %#x is lost", p.hash)
			}
		})
		if err != nil {
			return err
		}
	}
	for s := range slots {
		if !slots[s^1] && Status(t.slab.at(s.handle()).status.Load())&IPSNATClash == 0 {
			return fmt.Errorf("handle %d stands in the index by one tuple only", s.handle())
		}
	}
	if n := t.Count(); n < len(slots)/2 {
		return fmt.Errorf("count %d, but %d in the index", n, len(slots)/2)
	}
	set := t.chains.set.Load()
	for i := range set.pages {
		if p := set.pages[i].Load(); p != nil {
			for j := range p {
				b := uint32(i*chainPageSize + j)
				if n := p[j].Load(); n != buckets[b] {
					return fmt.Errorf("bucket %d counts %d, has %d", b, n, buckets[b])
				}
				delete(buckets, b)
			}
		}
	}
	if len(buckets) != 0 {
		return fmt.Errorf("buckets %v are not counted", buckets)
	}
	return checkSources(t)
}

// checkShard looks whether every slot is found from its home.
func checkShard(s *shard) error {
	if s.dir == nil {
		return nil
	}
	if len(s.dir) != 1<<s.depth {
		return fmt.Errorf("%d places at depth %d", len(s.dir), s.depth)
	}
	for i := 0; i < len(s.dir); {
		g := s.dir[i]
		span := 1 << (s.depth - g.depth())
		if i%span != 0 {
			return fmt.Errorf("segment %d of depth %d is out of line", i, g.depth())
		}
		for j := range span {
			if &s.dir[i+j][0] != &g[0] {
				return fmt.Errorf("place %d is not of segment %d", i+j, i)
			}
		}
		n := 0
		for j, v := range g[:g.slots()] {
			if v == 0 {
				continue
			}
			n++
			if int(v.tag()>>1>>(31-s.depth))&^(span-1) != i {
				return fmt.Errorf("slot %#x is in segment %d", uint64(v), i)
			}
			for at := g.home(v.tag()); at != j; at = g.next(at) {
				if g[at] == 0 {
					return fmt.Errorf("slot %#x cannot be reached", uint64(v))
				}
			}
		}
		if n != g.used() || n >= g.slots() {
			return fmt.Errorf("segment of %d slots counts %d, has %d", g.slots(), g.used(), n)
		}
		i += span
	}
	return nil
}

func checkSources(t *Table) error {
	chained := map[handle]bool{}
	for i := range t.source {
		s := &t.source[i]
		if err := checkShard(s); err != nil {
			return fmt.Errorf("source shard %d: %w", i, err)
		}
		var err error
		s.slotsBetween(0, ^uint32(0), func(v slot) {
			back := handle(0)
			head := t.slab.at(v.handle())
			for h := v.handle(); h != 0; h = t.slab.at(h).link {
				e := t.slab.at(h)
				switch {
				case chained[h]:
					err = fmt.Errorf("handle %d is chained twice", h)
					return
				case e.back != back:
					err = fmt.Errorf("handle %d: back is %d, not %d", h, e.back, back)
				case Status(e.status.Load())&IPSSrcNATDone == 0 || e.use.Load() < 1:
					err = fmt.Errorf("handle %d has no business in a chain", h)
				case sourceOf(&e.orig, e.zone) != sourceOf(&head.orig, head.zone):
					err = fmt.Errorf("handle %d is of another source than its chain", h)
				}
				chained[h], back = true, h
			}
		})
		if err != nil {
			return err
		}
	}
	for h := handle(1); h < t.slab.end(); h++ {
		e := t.slab.at(h)
		if has := e.use.Load() > 0 && Status(e.status.Load())&IPSSrcNATDone != 0; has != chained[h] {
			return fmt.Errorf("handle %d: chained %v, should be %v", h, chained[h], has)
		}
	}
	return nil
}
