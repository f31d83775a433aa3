package interp

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/bpfct/bpfct/vm"
)

// Atomic operations, as the immediate of the instruction encodes them.
const (
	rmwFetch   = 0x01
	rmwAdd     = 0x00
	rmwOr      = 0x40
	rmwAnd     = 0x50
	rmwXor     = 0xa0
	rmwXchg    = 0xe0 | rmwFetch
	rmwCmpXchg = 0xf0 | rmwFetch
	loadAcq    = 0x100
	storeRel   = 0x110
)

// rmw performs a read-modify-write instruction and returns the old value.
func (x *run) rmw(m *vm.Memory, addr uint64, size uint32, what, operand, expected uint64) (old uint64, ok bool) {
	b, o, f := m.Store(addr, size)
	if f != nil {
		x.fault = f
		return 0, false
	}
	switch {
	case addr%uint64(size) != 0:
		m.Unaligned(func() { old = rmwPlain(b, what, operand, expected) })
	case size == 4:
		old = uint64(rmw32(vm.Word32(b), what, uint32(operand), uint32(expected)))
	default:
		old = rmw64(vm.Word64(b), what, operand, expected)
	}
	if o.OnWrite != nil {
		o.OnWrite(uint32(addr)-o.Base, size)
	}
	return old, true
}

func rmw32(w *uint32, what uint64, operand, expected uint32) uint32 {
	switch what &^ rmwFetch {
	case rmwAdd:
		return atomic.AddUint32(w, operand) - operand
	case rmwOr:
		return atomic.OrUint32(w, operand)
	case rmwAnd:
		return atomic.AndUint32(w, operand)
	case rmwXchg &^ rmwFetch:
		return atomic.SwapUint32(w, operand)
	}
	for {
		old := atomic.LoadUint32(w)
		next, change := modify(what, uint64(old), uint64(operand), uint64(expected))
		if !change || atomic.CompareAndSwapUint32(w, old, uint32(next)) {
			return old
		}
	}
}

func rmw64(w *uint64, what, operand, expected uint64) uint64 {
	switch what &^ rmwFetch {
	case rmwAdd:
		return atomic.AddUint64(w, operand) - operand
	case rmwOr:
		return atomic.OrUint64(w, operand)
	case rmwAnd:
		return atomic.AndUint64(w, operand)
	case rmwXchg &^ rmwFetch:
		return atomic.SwapUint64(w, operand)
	}
	for {
		old := atomic.LoadUint64(w)
		next, change := modify(what, old, operand, expected)
		if !change || atomic.CompareAndSwapUint64(w, old, next) {
			return old
		}
	}
}

// modify is what an operation makes of old; change is false when a
// compare-and-exchange leaves it.
func modify(what, old, operand, expected uint64) (next uint64, change bool) {
	switch what &^ rmwFetch {
	case rmwAdd:
		return old + operand, true
	case rmwOr:
		return old | operand, true
	case rmwAnd:
		return old & operand, true
	case rmwXor:
		return old ^ operand, true
	case rmwXchg &^ rmwFetch:
		return operand, true
	}
	return operand, old == expected
}

// rmwPlain works on a word that is not aligned; the caller serialises these.
//
//go:norace
func rmwPlain(b []byte, what, operand, expected uint64) (old uint64) {
	if len(b) == 4 {
		old = uint64(binary.LittleEndian.Uint32(b))
		if next, change := modify(what, old, operand, uint64(uint32(expected))); change {
			binary.LittleEndian.PutUint32(b, uint32(next))
		}
		return old
	}
	old = binary.LittleEndian.Uint64(b)
	if next, change := modify(what, old, operand, expected); change {
		binary.LittleEndian.PutUint64(b, next)
	}
	return old
}

// loadAcquire reads size bytes; what follows in the program happens after it.
func (x *run) loadAcquire(m *vm.Memory, addr uint64, size uint32) (uint64, bool) {
	b, f := m.Load(addr, size)
	if f != nil {
		x.fault = f
		return 0, false
	}
	switch {
	case size == 4 && addr%4 == 0:
		return uint64(atomic.LoadUint32(vm.Word32(b))), true
	case size == 8 && addr%8 == 0:
		return atomic.LoadUint64(vm.Word64(b)), true
	}
	v, ok := x.load(m, addr, size)
	m.Unaligned(func() {}) // orders as an acquire
	return v, ok
}

// storeRelease writes size bytes; what precedes in the program happens before it.
func (x *run) storeRelease(m *vm.Memory, addr uint64, size uint32, v uint64) bool {
	b, o, f := m.Store(addr, size)
	switch {
	case f == nil && size == 4 && addr%4 == 0:
		atomic.StoreUint32(vm.Word32(b), uint32(v))
	case f == nil && size == 8 && addr%8 == 0:
		atomic.StoreUint64(vm.Word64(b), v)
	default: // store reports the fault
		m.Unaligned(func() {}) // orders as a release
		return x.store(m, addr, size, v)
	}
	if o.OnWrite != nil {
		o.OnWrite(uint32(addr)-o.Base, size)
	}
	return true
}
