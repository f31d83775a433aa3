package state

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/bounds"
)

// Map is a map as programs see it.
type Map struct {
	Name   string
	Spec   *ebpf.MapSpec
	Record *record.Record // special fields of the value, nil for none
	// Inner describes the maps in a map of maps, nil for other types.
	Inner *Map
}

// DynptrType is the kind of memory behind a dynptr.
type DynptrType uint8

// The kinds of dynptr.
const (
	DynptrInvalid DynptrType = iota
	DynptrLocal
	DynptrRingbuf
	DynptrSkb
	DynptrXDP
	DynptrSkbMeta
)

var dynptrNames = [...]string{"", "local", "ringbuf", "skb", "xdp", "skb_meta"}

// String is the kind as the kernel's log names it.
func (d DynptrType) String() string {
	if d == DynptrInvalid || int(d) >= len(dynptrNames) {
		return "<invalid>"
	}
	return dynptrNames[d]
}

// Refcounted reports whether a dynptr of that kind must be given back.
func (d DynptrType) Refcounted() bool { return d == DynptrRingbuf }

// IterState is what an iterator is in.
type IterState uint8

// The states of an iterator.
const (
	IterInvalid IterState = iota
	IterActive
	IterDrained
)

var iterNames = [...]string{"<invalid>", "active", "drained"}

// String is the state as the kernel's log names it.
func (s IterState) String() string { return iterNames[min(int(s), len(iterNames)-1)] }

// IRQClass tells who saved interrupt flags.
type IRQClass uint8

// The classes of saved interrupt flags.
const (
	IRQNative IRQClass = iota
	IRQLock
)

// Marks in the ID of a scalar that is another one of the same ID plus Off, a sum of 64
// or of 32 bits.
const (
	AddConst64 uint32 = 1 << 31
	AddConst32 uint32 = 1 << 30
	AddConst          = AddConst64 | AddConst32
)

// Reg is what is known of a register, or of a register spilled to the stack. Which
// fields mean something depends on Type; the others are zero, so that == compares.
type Reg struct {
	Type Type
	// Off is the fixed part of a pointer's offset; the variable part is the Scalar. Of
	// a scalar with AddConst in its ID it is the constant.
	Off int32

	// Range is how many bytes a packet pointer was checked for. A negative one says
	// how it compares to the packet's end.
	Range int32
	// MemSize is the size of a PtrToMem.
	MemSize uint32
	// Map is the map of a ConstPtrToMap, PtrToMapValue, PtrToMapKey; MapUID tells inner
	// maps of several look-ups apart.
	Map    *Map
	MapUID uint32
	// BTF is the type of a PtrToBTFID, and of an iterator's slot.
	BTF btf.Type
	// Dynptr and First describe a dynptr: on the stack First is its lower slot.
	Dynptr DynptrType
	First  bool
	// DynptrID ties slices to the dynptr that they were made from.
	DynptrID uint32
	// Iter and IterDepth are an iterator's state and how often it stepped.
	Iter      IterState
	IterDepth uint32
	// IRQ is who saved the interrupt flags that are in the slot.
	IRQ IRQClass
	// Subprog is the function of a PtrToFunc.
	Subprog int32

	bounds.Scalar

	// ID ties registers together that share a property: pointers that are NULL at once,
	// packet pointers with one range, scalars with one value.
	ID uint32
	// RefObjID is the reference that the register holds, 0 for none.
	RefObjID uint32
	// Frame is the frame that a PtrToStack points into.
	Frame int32
	// SubregDef is 1 + the instruction that wrote only the lower half; 0 for a full
	// definition.
	SubregDef int32
	// Precise says that the exact value mattered for a decision, so that equivalence
	// must look at it.
	Precise bool
}

// IsConst reports whether the register holds a known number.
func (r *Reg) IsConst() bool { return r.Type == ScalarValue && r.Scalar.IsConst() }

// IsNull reports whether the register holds the number 0.
func (r *Reg) IsNull() bool { return r.IsConst() && r.Var.Value == 0 }

// MarkUnknown makes r a number of which nothing is known.
func (r *Reg) MarkUnknown() { *r = Reg{Type: ScalarValue, Scalar: bounds.Unknown()} }

// MarkConst makes r the number v.
func (r *Reg) MarkConst(v uint64) {
	*r = Reg{Type: ScalarValue, Scalar: bounds.Const(v), SubregDef: r.SubregDef}
}

// MarkNotInit makes r unreadable.
func (r *Reg) MarkNotInit() { *r = Reg{Type: NotInit, Scalar: bounds.Unknown()} }

// MarkPointer makes r a pointer of type t to the start of what it points to.
func (r *Reg) MarkPointer(t Type) { *r = Reg{Type: t, Scalar: bounds.Const(0)} }

// MayBeNull reports whether a pointer must be checked before its use.
func (r *Reg) MayBeNull() bool { return r.Type.Has(MaybeNull) }
