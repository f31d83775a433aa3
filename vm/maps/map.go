package maps

import (
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// Map is a BPF map. The ...Elem methods are the program's side: what they return
// as error is an errno.Errno that the program sees, or ends the run. The other
// methods are the user's side; their errors are a *Error with the errno that the
// system call would give. All may be called from several goroutines.
type Map interface {
	// Info describes the map.
	Info() Info
	// Handle is what a program's pointer to the map points to. Its Owner is the Map.
	Handle() *vm.Object
	// Record is the special fields of the value, nil when there are none.
	Record() *record.Record
	// ValueAddr is the guest address of a byte of the only value, as a program's
	// direct load of a global variable takes it. ENOTSUPP for maps that have no
	// such value, EINVAL for an offset outside of it.
	ValueAddr(off uint32) (uint64, error)

	// LookupElem is the guest address of the value, 0 for none. Of a map in a map it
	// is the address of the inner map's handle.
	LookupElem(c *vm.CPU, key []byte) (uint64, error)
	// LookupPerCPUElem is LookupElem for the value of the given CPU.
	LookupPerCPUElem(c *vm.CPU, key []byte, cpu uint32) (uint64, error)
	// UpdateElem stores value. Of a per-CPU map it changes that of CPU c only.
	UpdateElem(c *vm.CPU, key, value []byte, flags uint64) error
	// DeleteElem removes the element.
	DeleteElem(c *vm.CPU, key []byte) error
	// PushElem adds a value to a queue, stack or bloom filter.
	PushElem(c *vm.CPU, value []byte, flags uint64) error
	// PopElem moves the next value of a queue or stack into value.
	PopElem(c *vm.CPU, value []byte) error
	// PeekElem is PopElem without removing; of a bloom filter it asks for value.
	PeekElem(c *vm.CPU, value []byte) error
	// ForEachElem calls the program's function at callback for each element until
	// it returns 1, and returns the number of calls.
	ForEachElem(c *vm.CPU, callback, ctx, flags uint64) (uint64, error)

	// Lookup copies the value: of a per-CPU map those of all CPUs, each padded
	// to a multiple of 8. The only flag is Lock.
	Lookup(key []byte, flags uint64) ([]byte, error)
	// Query is Lookup for a bloom filter: nil when value may have been pushed.
	Query(value []byte) error
	// Update stores value, in the form in which Lookup returns it.
	Update(key, value []byte, flags uint64) error
	// UpdateRef is Update for maps that hold references to maps, programs,
	// sockets or rings; the type of ref depends on the map.
	UpdateRef(key []byte, ref any, flags uint64) error
	// Delete removes the element.
	Delete(key []byte) error
	// NextKey is the key after key, the first for nil. The error after the last is ENOENT.
	NextKey(key []byte) ([]byte, error)
	// LookupAndDelete removes the element and returns its value; of a queue or stack
	// the next value, with a nil key.
	LookupAndDelete(key []byte, flags uint64) ([]byte, error)
	// Freeze forbids the user to change the map from now on.
	Freeze() error
	// Frozen reports whether Freeze was called.
	Frozen() bool
	// ReleaseUser is the user's last reference going away: timers stop, program
	// arrays become empty.
	ReleaseUser()
	// Close is ReleaseUser and Release: what the user who made the map does last.
	Close()
	// Retain adds a reference to the map: a program's that uses it.
	Retain()
	// Release takes one away. The last gives the map's memory back.
	Release()
}

// Info describes a map. It is immutable.
type Info struct {
	Name       string
	Type       ebpf.MapType
	ID         uint32
	KeySize    uint32
	ValueSize  uint32
	MaxEntries uint32
	Flags      uint32
	MapExtra   uint64
	// CPUs is the number of values of an element of a per-CPU map, 1 for others.
	CPUs int
	// Key and Value are the BTF types, nil without.
	Key, Value btf.Type
}

// UserValueSize is the number of bytes of a value on the user's side.
func (i Info) UserValueSize() int {
	switch i.Type {
	case ebpf.PerCPUArray, ebpf.PerCPUHash, ebpf.LRUCPUHash:
		return int(round8(i.ValueSize)) * i.CPUs
	}
	return int(i.ValueSize)
}

// String names the map and its type.
func (i Info) String() string { return fmt.Sprintf("map %s (%v)", i.Name, i.Type) }

// Error is a refused operation on a map.
type Error struct {
	Map   string
	Op    string
	Errno errno.Errno
}

// Error is "map counters: update: E2BIG: argument list too long".
func (e *Error) Error() string { return fmt.Sprintf("map %s: %s: %v", e.Map, e.Op, e.Errno) }

// Unwrap is the errno.
func (e *Error) Unwrap() error { return e.Errno }

// Options are what New needs beside the spec. The zero value makes a plain map.
type Options struct {
	// ID is the map's id, unique on the host; the seed of a hash depends on it.
	ID uint32
	// Types is the BTF that the spec's types come from; needed for values with list
	// heads or rbtree roots.
	Types *btf.Spec
	// FreeRecord gives up what the special fields of the value at off of o own:
	// kptrs and the nodes of lists and trees. Timers are the map's own. It may be
	// nil for maps without such fields.
	FreeRecord func(m *vm.Machine, at vm.Site, rec *record.Record, o *vm.Object, off uint32)
	// TimerError is told what ended the run of a timer's callback; nil ignores it.
	TimerError func(info Info, err error)
	// HasDevice reports whether there is a device with the given ifindex; nil means
	// that every positive one exists. Device maps refuse others.
	HasDevice func(ifindex int) bool
}

// from is who asks: a program on a CPU, or the user, who counts as CPU 0.
type from struct {
	c    *vm.CPU
	cpu  int
	site vm.Site
}

func program(c *vm.CPU) from { return from{c: c, cpu: c.ID, site: c.Site()} }

var user = from{}

// ops is what a type of map does. What base does not override is what the
// kernel answers for types that lack the operation.
type ops interface {
	lookup(f from, key []byte) (uint64, error)
	lookupCPU(f from, key []byte, cpu uint32) (uint64, error)
	update(f from, key, value []byte, flags uint64) error
	remove(f from, key []byte) error
	push(value []byte, flags uint64) error
	pop(value []byte) error
	peek(value []byte) error
	forEach(c *vm.CPU, callback, ctx uint64) (uint64, error)
	userLookup(key []byte, flags uint64) ([]byte, error)
	userUpdate(key, value []byte, flags uint64) error
	userUpdateRef(key []byte, ref any, flags uint64) error
	userRemove(key []byte) error
	nextKey(key []byte) ([]byte, error)
	take(key []byte, flags uint64) ([]byte, error)
	releaseUser()
	// free gives up what the elements own, at the end.
	free()
}

// base is what all types share.
type base struct {
	m      *vm.Machine
	info   Info
	opts   Options
	rec    *record.Record
	lock   *record.Field // the value's bpf_spin_lock
	plain  []span        // the value without its special fields
	owns   bool          // the record has fields that own something
	handle *vm.Object
	self   ops
	objs   []*vm.Object // all memory of the map; written by New and under the type's lock
	frozen atomic.Bool
	gone   atomic.Bool // the user's last reference is gone
	refs   atomic.Int32
	closed atomic.Bool // the user's reference was given up
	timers timers
}

func (b *base) Info() Info             { return b.info }
func (b *base) Handle() *vm.Object     { return b.handle }
func (b *base) Record() *record.Record { return b.rec }
func (b *base) Frozen() bool           { return b.frozen.Load() }

// alloc makes guest memory of the map's.
func (b *base) alloc(spec vm.ObjectSpec) (*vm.Object, error) {
	spec.Name, spec.Owner = b.info.Name, b.self
	o, err := b.m.Mem.Alloc(spec)
	if err == nil {
		b.objs = append(b.objs, o)
	}
	return o, err
}

func (b *base) ReleaseUser() {
	if !b.gone.Swap(true) {
		b.timers.stopAll()
		b.self.releaseUser()
	}
}

func (b *base) Close() {
	b.ReleaseUser()
	if !b.closed.Swap(true) {
		b.Release()
	}
}

func (b *base) Retain() { b.refs.Add(1) }

func (b *base) Release() {
	if b.refs.Add(-1) != 0 {
		return
	}
	b.self.free()
	for _, o := range b.objs {
		b.m.Mem.Free(o, vm.Site{})
	}
}
