package interp

import (
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
func (x *run) rmw(addr uint64, size uint32, what, operand, expected uint64) (old uint64, ok bool) {
	b, o, f := x.m.Store(addr, size)
	if f == nil && addr%uint64(size) != 0 {
		f = x.misaligned(addr, size, true)
	}
	if f != nil {
		x.fault = f
		return 0, false
	}
	if size == 4 {
		old = uint64(rmw32(vm.Word32(b), what, uint32(operand), uint32(expected)))
	} else {
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

// loadAcquire reads size bytes; what follows in the program happens after it.
func (x *run) loadAcquire(addr uint64, size uint32) (uint64, bool) {
	b, f := x.m.Load(addr, size)
	if f == nil && addr%uint64(size) != 0 {
		f = x.misaligned(addr, size, false)
	}
	if f != nil {
		x.fault = f
		return 0, false
	}
	switch size {
	case 4:
		return uint64(atomic.LoadUint32(vm.Word32(b))), true
	case 8:
		return atomic.LoadUint64(vm.Word64(b)), true
	}
	w, shift := vm.WordAround(b)
	return uint64(atomic.LoadUint32(w)>>shift) & (1<<(size*8) - 1), true
}

// storeRelease writes size bytes; what precedes in the program happens before it.
func (x *run) storeRelease(addr uint64, size uint32, v uint64) bool {
	b, o, f := x.m.Store(addr, size)
	if f == nil && addr%uint64(size) != 0 {
		f = x.misaligned(addr, size, true)
	}
	if f != nil {
		x.fault = f
		return false
	}
	switch size {
	case 4:
		atomic.StoreUint32(vm.Word32(b), uint32(v))
	case 8:
		atomic.StoreUint64(vm.Word64(b), v)
	default:
		w, shift := vm.WordAround(b)
		mask := uint32(1<<(size*8)-1) << shift
		for {
			old := atomic.LoadUint32(w)
			if atomic.CompareAndSwapUint32(w, old, old&^mask|uint32(v)<<shift&mask) {
				break
			}
		}
	}
	if o.OnWrite != nil {
		o.OnWrite(uint32(addr)-o.Base, size)
	}
	return true
}

func (x *run) misaligned(addr uint64, size uint32, write bool) *vm.Fault {
	return &vm.Fault{Kind: vm.Misaligned, Addr: addr, Size: size, Write: write, Object: x.m.Find(addr)}
}
