package interp

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/vm"
)

// Programs on several CPUs may read and write the same bytes without any order,
// as on Linux; a word-sized access is whole. go:norace keeps the race detector
// from blaming the interpreter for its guests.

// load reads size bytes at addr, zero-extended. ok is false when x.fault says why.
//
//go:norace
func (x *run) load(addr uint64, size uint32) (v uint64, ok bool) {
	b, f := x.m.Load(addr, size)
	if f != nil {
		x.fault = f
		return 0, false
	}
	switch size {
	case 1:
		return uint64(b[0]), true
	case 2:
		return uint64(binary.LittleEndian.Uint16(b)), true
	case 4:
		return uint64(binary.LittleEndian.Uint32(b)), true
	}
	return binary.LittleEndian.Uint64(b), true
}

// store writes the low size bytes of v to addr.
//
//go:norace
func (x *run) store(addr uint64, size uint32, v uint64) bool {
	b, o, f := x.m.Store(addr, size)
	if f != nil {
		x.fault = f
		return false
	}
	switch size {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, v)
	}
	if o.OnWrite != nil {
		o.OnWrite(uint32(addr)-o.Base, size)
	}
	return true
}

// nothingThere reports whether a load failed for want of memory at its address: such a
// load gives 0 where the kernel makes it with a net below. What was released is no
// such case.
func nothingThere(f *vm.Fault) bool {
	return f.Kind == vm.NullDereference || f.Kind == vm.WildAddress
}
