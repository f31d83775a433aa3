package vm

import (
	"fmt"
	"sync/atomic"
)

// Kind says what an object is, in the words of a fault report.
type Kind uint8

// The kinds of objects.
const (
	KindStack      Kind = iota + 1 // a frame's 512 bytes
	KindContext                    // struct __sk_buff, struct xdp_md
	KindPacket                     // the linear part of a packet with head and tail room
	KindMap                        // a map's handle: what a program's map pointer points to
	KindMapValue                   // values of a map
	KindView                       // a kernel object laid out as the profile's BTF says
	KindAlloc                      // an object made by bpf_obj_new
	KindRingbuf                    // a reserved ring buffer sample
	KindDynptrData                 // a slice handed out by a dynptr
	KindSocket                     // struct bpf_sock and what a socket pointer points to
	KindBTF                        // kernel data that a program may read
	KindScratch                    // memory of the machine's own that a program is shown
)

var kindNames = [...]string{
	KindStack: "stack frame", KindContext: "context", KindPacket: "packet", KindMap: "map",
	KindMapValue: "map value", KindView: "kernel object", KindAlloc: "allocated object",
	KindRingbuf: "ring buffer sample", KindDynptrData: "dynptr slice", KindSocket: "socket",
	KindBTF: "kernel data", KindScratch: "machine memory",
}

// String is the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// ObjectSpec describes an object to Memory.Alloc.
type ObjectSpec struct {
	Kind Kind
	// Name is the object's own name: "struct nf_conn", a map's name.
	Name string
	// Size is the number of bytes.
	Size uint32
	// Stride divides the object into elements: one starts every Stride bytes and
	// is Elem bytes long; an access may not cross its end. 0 means one element.
	Stride, Elem uint32
	// ReadOnly forbids a program to write.
	ReadOnly bool
	// Writable, where set, decides whether a program may write the size bytes at
	// off, in place of ReadOnly.
	Writable func(off, size uint32) bool
	// OnWrite, where set, is called after a program wrote the size bytes at off.
	OnWrite func(off, size uint32)
	// Owner is the Go value behind the object.
	Owner any
}

// Object is a piece of guest memory with a meaning. The bytes of most objects
// are the program's to share between CPUs, as in the kernel; the fields of the
// Object are immutable unless their comment says more.
type Object struct {
	ObjectSpec
	// Base is the guest address of the first byte.
	Base uint32
	// acquired is where a program obtained the object as a reference; nil before.
	// CPUs may share an object that counts its references.
	acquired atomic.Pointer[Site]
	// released is where the object was released or freed; nil while it lives.
	released atomic.Pointer[Site]

	data []byte
	// lo and hi bound the bytes that a program may touch. They change only for
	// packets, by the CPU that owns the packet.
	lo, hi uint32
	class  uint64 // bytes of address space that the object takes
}

// Addr is the guest address of the object as a register holds it.
func (o *Object) Addr() uint64 { return uint64(o.Base) }

// Bytes is the object's memory; the machine's own code may write it.
func (o *Object) Bytes() []byte { return o.data }

// Live reports whether the object has not been released.
func (o *Object) Live() bool { return o.released.Load() == nil }

// Released is where the object was released; ok is false while it lives.
func (o *Object) Released() (site Site, ok bool) {
	if s := o.released.Load(); s != nil {
		return *s, true
	}
	return Site{}, false
}

// Acquired is where a program last obtained the object as a reference; the zero
// Site for an object that none did.
func (o *Object) Acquired() Site {
	if s := o.acquired.Load(); s != nil {
		return *s
	}
	return Site{}
}

// Window is the part of the object that a program may touch, as offsets.
func (o *Object) Window() (lo, hi uint32) { return o.lo, o.hi }

// SetWindow changes that part: a packet's data moves in its room. Only the CPU
// that runs on the packet may call it.
func (o *Object) SetWindow(lo, hi uint32) {
	o.lo, o.hi = min(lo, o.Size), min(hi, o.Size)
}

// within reports whether the size bytes at off belong to the program.
func (o *Object) within(off, size uint32) bool {
	if off < o.lo || off > o.hi || size > o.hi-off {
		return false
	}
	return o.Stride == 0 || uint64(off%o.Stride)+uint64(size) <= uint64(o.Elem)
}

// writable reports whether a program may write the size bytes at off.
func (o *Object) writable(off, size uint32) bool {
	if o.Writable != nil {
		return o.Writable(off, size)
	}
	return !o.ReadOnly
}

// String names the object: "map value of counters", "kernel object struct nf_conn".
func (o *Object) String() string {
	if o.Name == "" {
		return o.Kind.String()
	}
	if o.Kind == KindMapValue {
		return o.Kind.String() + " of " + o.Name
	}
	return o.Kind.String() + " " + o.Name
}
