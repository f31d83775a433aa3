package vm

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/bpfct/bpfct/internal/errno"
)

const (
	pageShift = 16
	pageSize  = 1 << pageShift
	granule   = 16           // bytes; every object starts at a multiple
	redZone   = 32           // bytes at least between two objects
	smallMax  = pageSize / 4 // larger objects get pages of their own

	// firstPage leaves page 0, and with it NULL and small offsets from it, unmapped.
	firstPage = 1
	// funcBase starts the range of function addresses, which is never mapped.
	funcBase  = 0xf000_0000
	pageLimit = funcBase >> pageShift

	// quarantine is how many freed objects of a size wait before the first of them
	// is used again, so that a use after release is seen.
	quarantine = 64
)

// DefaultMemoryLimit bounds the guest memory of a machine, in bytes.
const DefaultMemoryLimit = 1 << 30

// Memory is a guest address space of 32 bits. Every mapped byte belongs to an
// Object; the bytes between objects belong to nobody. Its methods may be called
// from several goroutines.
type Memory struct {
	dir [1 << 8]atomic.Pointer[pageGroup] // by address bits 31 to 24

	mu      sync.Mutex
	limit   uint64
	used    uint64               // bytes handed out; guarded by mu
	next    uint32               // next page never used; guarded by mu
	cur     *page                // page that small objects are cut from; guarded by mu
	curBase uint32               // its address; guarded by mu
	curOff  uint32               // first free byte in it; guarded by mu
	free    map[uint64][]*Object // freed small objects by size class, oldest first; guarded by mu
	large   []*Object            // tombstones of freed large objects, oldest first; guarded by mu
	holes   runs                 // pages that large objects left; guarded by mu
}

type pageGroup [1 << 8]atomic.Pointer[page] // by address bits 23 to 16

// page is 64 KiB of address space: part of one large object, or small objects
// found by the granule an address lies in.
type page struct {
	whole  *Object
	data   []byte
	shadow *[pageSize / granule]atomic.Pointer[Object]
}

// NewMemory returns an empty address space that hands out at most limit bytes; 0
// means DefaultMemoryLimit.
func NewMemory(limit uint64) *Memory {
	if limit == 0 {
		limit = DefaultMemoryLimit
	}
	return &Memory{limit: limit, next: firstPage, free: make(map[uint64][]*Object)}
}

// Used is the number of bytes that live objects take, red zones included.
func (m *Memory) Used() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// Alloc makes an object of zero bytes. It fails with ENOMEM when the limit or
// the address space is reached.
func (m *Memory) Alloc(spec ObjectSpec) (*Object, error) {
	need := (uint64(spec.Size) + redZone + granule - 1) &^ (granule - 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &Object{ObjectSpec: spec, hi: spec.Size, class: need}
	if need > smallMax {
		o.class = (need + pageSize - 1) &^ (pageSize - 1)
	}
	if m.used+o.class > m.limit {
		return nil, fmt.Errorf("%v needs %d bytes, %d of %d bytes of guest memory are used: %w", o, o.class, m.used, m.limit, errno.ENOMEM)
	}
	place := m.placeSmall
	if need > smallMax {
		place = m.placeLarge
	}
	if !place(o) {
		return nil, fmt.Errorf("%v needs %d bytes, the guest address space is full: %w", o, o.class, errno.ENOMEM)
	}
	m.used += o.class
	return o, nil
}

// reuse gives o the place of a small object that was freed long enough ago.
func (m *Memory) reuse(o *Object) bool {
	q := m.free[o.class]
	if len(q) <= quarantine {
		return false
	}
	old := q[0]
	q[0] = nil
	m.free[o.class] = q[1:]
	o.Base = old.Base
	o.data = old.data[:cap(old.data)][:o.Size:cap(old.data)]
	clear(o.data)
	return true
}

func (m *Memory) placeSmall(o *Object) bool {
	if !m.reuse(o) {
		if m.cur == nil || m.curOff+uint32(o.class) > pageSize {
			n, ok := m.takePages(1)
			if !ok {
				return false
			}
			m.cur = &page{data: make([]byte, pageSize), shadow: new([pageSize / granule]atomic.Pointer[Object])}
			m.curBase, m.curOff = n<<pageShift, redZone
			m.setPage(n, m.cur)
		}
		o.Base = m.curBase + m.curOff
		o.data = m.cur.data[m.curOff : m.curOff+o.Size : m.curOff+uint32(o.class)]
		m.curOff += uint32(o.class)
	}
	p := m.lookup(o.Addr())
	first := (o.Base & (pageSize - 1)) / granule
	for i := range uint32(o.class / granule) {
		p.shadow[first+i].Store(o)
	}
	return true
}

// Free ends the life of o at the given site. Its address stays reserved for a
// while, so that a later use is recognised.
func (m *Memory) Free(o *Object, at Site) {
	if !o.released.CompareAndSwap(nil, &at) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= o.class
	if o.class > smallMax {
		m.freeLarge(o)
		return
	}
	m.free[o.class] = append(m.free[o.class], o)
}

// Find returns the object that addr belongs to or that lies before it with its
// red zone around addr, nil for an address that belongs to nobody. The object may
// have been freed; see Live.
func (m *Memory) Find(addr uint64) *Object {
	if p := m.lookup(addr); p != nil {
		return p.at(addr)
	}
	return nil
}

// at is the object that addr in the page belongs to or follows.
func (p *page) at(addr uint64) *Object {
	if p.whole != nil {
		return p.whole
	}
	return p.shadow[addr&(pageSize-1)/granule].Load()
}

// lookup is the page of addr, nil for none.
func (m *Memory) lookup(addr uint64) *page {
	if addr>>32 != 0 {
		return nil
	}
	g := m.dir[addr>>24].Load()
	if g == nil {
		return nil
	}
	return g[addr>>pageShift&0xff].Load()
}

func (m *Memory) setPage(n uint32, p *page) {
	g := m.dir[n>>8].Load()
	if g == nil {
		g = new(pageGroup)
		m.dir[n>>8].Store(g)
	}
	g[n&0xff].Store(p)
}

// Load returns the size bytes at addr for reading by a program. The slice
// aliases guest memory. The Fault lacks the site; CPU.Read adds it.
func (m *Memory) Load(addr uint64, size uint32) ([]byte, *Fault) {
	if p := m.lookup(addr); p != nil {
		o := p.at(addr)
		if o != nil {
			off := uint32(addr) - o.Base
			if o.within(off, size) && o.Live() {
				return o.data[off : off+size : off+size], nil
			}
		}
	}
	return nil, m.refuse(m.Find(addr), addr, size, false)
}

// Store returns the size bytes at addr for writing by a program, and the object
// that they belong to, whose OnWrite the caller runs after the write.
func (m *Memory) Store(addr uint64, size uint32) ([]byte, *Object, *Fault) {
	if p := m.lookup(addr); p != nil {
		o := p.at(addr)
		if o != nil {
			off := uint32(addr) - o.Base
			if o.within(off, size) && o.Live() && o.writable(off, size) {
				return o.data[off : off+size : off+size], o, nil
			}
		}
	}
	return nil, nil, m.refuse(m.Find(addr), addr, size, true)
}

// refuse says what is wrong with an access to o, which Find gave for addr.
func (m *Memory) refuse(o *Object, addr uint64, size uint32, write bool) *Fault {
	f := &Fault{Kind: OutOfBounds, Addr: addr, Size: size, Write: write}
	if o == nil || !o.holds(addr) {
		if next := m.follower(o, addr); next != nil {
			o = next
		}
	}
	f.Object = o
	switch {
	case o == nil && addr < pageSize:
		f.Kind = NullDereference
	case o == nil:
		f.Kind = WildAddress
	case !o.Live():
		f.Kind = UseAfterRelease
	case o.Kind == KindStack && o.hi == 0:
		f.Kind, f.Detail = UseAfterRelease, "the function that it belonged to has returned"
	case o.holds(addr) && o.within(uint32(addr)-o.Base, size):
		f.Kind = WriteProtected
	}
	return f
}

// holds reports whether addr is one of the object's own bytes.
func (o *Object) holds(addr uint64) bool { return addr-uint64(o.Base) < uint64(o.Size) }

// follower is the object that addr misses by a few bytes before its start,
// unless the end of o, which may be nil, is nearer.
func (m *Memory) follower(o *Object, addr uint64) *Object {
	for dist := uint64(granule); dist <= redZone; dist += granule {
		next := m.Find(addr + dist)
		if next == nil || next == o || uint64(next.Base) <= addr {
			continue
		}
		if o != nil && addr-uint64(o.Base)-uint64(o.Size) < uint64(next.Base)-addr {
			return nil
		}
		return next
	}
	return nil
}
