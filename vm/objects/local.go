package objects

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

const (
	// maxSize is the size of the largest object: a page of the kernel's allocator
	// less a word of its own.
	maxSize = 4096 - 8
	// maxPercpuSize is that of a per-CPU object.
	maxPercpuSize = 512
)

// localType is a struct of a program's own BTF.
type localType struct {
	name string
	size uint32
	rec  *record.Record
	err  error
}

// heap knows the types that programs make objects of. It is a cache: what it
// knows follows from the programs' BTF.
type heap struct {
	mu    sync.Mutex
	types map[typeKey]*localType // guarded by mu
}

type typeKey struct {
	types *btf.Spec
	id    btf.TypeID
}

func newHeap() *heap { return &heap{types: make(map[typeKey]*localType)} }

// typeOf is the type with the id in r1.
func (h *heap) typeOf(c *vm.CPU, id uint64) (*localType, error) {
	if c.Prog == nil || c.Prog.Types == nil {
		return nil, c.Fault(vm.BadArgument, "R1", "the program has no BTF")
	}
	key := typeKey{c.Prog.Types, btf.TypeID(id)}
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.types[key]
	if t == nil {
		t = parse(c.Prog.Types, id)
		h.types[key] = t
	}
	if t.err != nil {
		return nil, c.Fault(vm.BadArgument, "R1", "type id %d: %v", id, t.err)
	}
	return t, nil
}

func parse(types *btf.Spec, id uint64) *localType {
	t := new(localType)
	if id>>32 != 0 {
		t.err = fmt.Errorf("not a type id")
		return t
	}
	bt, err := types.TypeByID(btf.TypeID(id))
	if err != nil {
		t.err = err
		return t
	}
	s, ok := btf.UnderlyingType(bt).(*btf.Struct)
	if !ok {
		t.err = fmt.Errorf("%v is not a struct", bt)
		return t
	}
	t.name, t.size = s.Name, s.Size
	t.rec, t.err = record.ParseObject(s, types)
	return t
}

// Local is the value behind an object made by bpf_obj_new: the Owner of a
// vm.Object of KindAlloc.
type Local struct {
	m    *vm.Machine
	typ  *localType
	obj  *vm.Object
	refs atomic.Int32
}

// Record is the special fields of the object, nil when there are none.
func (l *Local) Record() *record.Record { return l.typ.rec }

// ReleaseReference drops one reference. The last ends the object's life and that
// of all it owns.
func (l *Local) ReleaseReference() {
	r := reaper{m: l.m}
	r.put(l)
	r.run()
}

// drop is ReleaseReference for the program on c.
func (l *Local) drop(c *vm.CPU) {
	r := reaper{m: l.m, at: c.Site(), c: c}
	r.put(l)
	r.run()
}

// newLocal makes an object of the type with the id in r1, or returns NULL for
// want of memory.
func (h *heap) newLocal(c *vm.CPU, args *[5]uint64) (uint64, error) {
	t, err := h.typeOf(c, args[0])
	if err != nil {
		return 0, err
	}
	if t.size > maxSize {
		return 0, nil
	}
	l := &Local{m: c.M, typ: t}
	spec := vm.ObjectSpec{Kind: vm.KindAlloc, Name: "struct " + t.name, Size: t.size, Owner: l}
	if t.rec != nil {
		spec.Writable = t.writable
	}
	if l.obj, err = c.M.Mem.Alloc(spec); err != nil {
		return 0, nil // out of memory is what the program sees
	}
	l.refs.Store(1) // what other CPUs see first of l
	c.Acquire(l.obj)
	return l.obj.Addr(), nil
}

// writable keeps the program's stores off the fields that are not its own; a
// pointer that owns nothing may be stored.
func (t *localType) writable(off, size uint32) bool {
	for i := range t.rec.Fields {
		f := &t.rec.Fields[i]
		if off < f.Offset+f.Size && f.Offset < off+size && f.Kind != record.KptrUnref {
			return false
		}
	}
	return true
}

// localAt is the object that starts at addr.
func localAt(c *vm.CPU, reg string, addr uint64) (*Local, error) {
	l, _, err := vm.OwnerAt[*Local](c, reg, addr)
	return l, err
}

// dropLocal gives back the object in r1.
func dropLocal(c *vm.CPU, args *[5]uint64) (uint64, error) {
	l, err := localAt(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	if err := c.Disown("R1", l.obj); err != nil {
		return 0, err
	}
	l.drop(c)
	return 0, nil
}

// acquire makes a reference to the object in r1, which counts its references.
// It returns NULL for one whose last reference is gone.
func acquire(c *vm.CPU, args *[5]uint64) (uint64, error) {
	l, err := localAt(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	if l.typ.rec.Find(record.Refcount) == nil {
		return 0, c.Fault(vm.BadArgument, "R1", "struct %s has no bpf_refcount", l.typ.name)
	}
	for {
		n := l.refs.Load()
		if n <= 0 {
			return 0, nil
		}
		if l.refs.CompareAndSwap(n, n+1) {
			c.Acquire(l.obj)
			return args[0], nil
		}
	}
}
