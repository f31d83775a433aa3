package vm

import (
	"slices"
	"sort"
)

// Large objects have pages of their own. When one is freed its pages keep a
// tombstone without data, so that Go frees the bytes at once; when the tombstone
// leaves the quarantine the pages become a hole, which later objects of any size
// may fill.

func (m *Memory) placeLarge(o *Object) bool {
	n := uint32(o.class >> pageShift)
	first, ok := m.takePages(n)
	if !ok {
		return false
	}
	o.Base = first << pageShift
	o.data = make([]byte, o.Size, o.class)
	m.setPages(first, n, &page{whole: o})
	return true
}

// freeLarge replaces o by a tombstone.
func (m *Memory) freeLarge(o *Object) {
	t := &Object{ObjectSpec: o.ObjectSpec, Base: o.Base, lo: o.lo, hi: o.hi, class: o.class}
	t.Owner, t.OnWrite, t.Writable = nil, nil, nil
	t.acquired.Store(o.acquired.Load())
	t.released.Store(o.released.Load())
	m.setPages(t.Base>>pageShift, uint32(t.class>>pageShift), &page{whole: t})
	m.large = append(m.large, t)
	if len(m.large) > quarantine {
		m.dropTombstone()
	}
}

// dropTombstone ends the quarantine of the object that was freed first.
func (m *Memory) dropTombstone() {
	t := m.large[0]
	m.large = slices.Delete(m.large, 0, 1)
	first, n := t.Base>>pageShift, uint32(t.class>>pageShift)
	m.setPages(first, n, nil)
	m.holes.add(first, n)
}

// takePages finds n consecutive pages.
func (m *Memory) takePages(n uint32) (first uint32, ok bool) {
	for {
		if first, ok = m.holes.take(n); ok {
			return first, true
		}
		if uint64(m.next)+uint64(n) <= pageLimit {
			first = m.next
			m.next += n
			return first, true
		}
		if len(m.large) == 0 {
			return 0, false
		}
		m.dropTombstone() // better than to fail
	}
}

func (m *Memory) setPages(first, n uint32, p *page) {
	for i := range n {
		m.setPage(first+i, p)
	}
}

// runs are runs of free pages in the order of their addresses, none adjacent to
// another.
type runs []pageRun

type pageRun struct{ first, n uint32 }

func (r *runs) add(first, n uint32) {
	s := *r
	i := sort.Search(len(s), func(i int) bool { return s[i].first > first })
	s = slices.Insert(s, i, pageRun{first, n})
	if i+1 < len(s) && s[i].first+s[i].n == s[i+1].first {
		s[i].n += s[i+1].n
		s = slices.Delete(s, i+1, i+2)
	}
	if i > 0 && s[i-1].first+s[i-1].n == s[i].first {
		s[i-1].n += s[i].n
		s = slices.Delete(s, i, i+1)
	}
	*r = s
}

// take cuts n pages from the first run that has them.
func (r *runs) take(n uint32) (first uint32, ok bool) {
	i := slices.IndexFunc(*r, func(p pageRun) bool { return p.n >= n })
	if i < 0 {
		return 0, false
	}
	p := &(*r)[i]
	first = p.first
	p.first, p.n = p.first+n, p.n-n
	if p.n == 0 {
		*r = slices.Delete(*r, i, i+1)
	}
	return first, true
}
