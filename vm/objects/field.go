package objects

import (
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// recorded is implemented by the owners of memory with special fields: maps and
// Local.
type recorded interface{ Record() *record.Record }

// place is a special field that a program pointed to.
type place struct {
	addr  uint64
	obj   *vm.Object
	base  uint64 // address of the value or object that the field is in
	size  uint64 // its size
	field *record.Field
}

// fieldAt is the special field of one of the kinds that addr points to.
func fieldAt(c *vm.CPU, reg string, addr uint64, kinds ...record.Kind) (place, error) {
	o, off, err := c.ObjectAt(reg, addr)
	if err != nil {
		return place{}, err
	}
	p := place{addr: addr, obj: o, base: o.Addr(), size: uint64(o.Size)}
	if o.Stride != 0 {
		p.base += uint64(off - off%o.Stride)
		p.size = uint64(o.Elem)
	}
	if r, ok := o.Owner.(recorded); ok {
		p.field = r.Record().At(uint32(addr - p.base))
	}
	if p.field != nil {
		for _, k := range kinds {
			if p.field.Kind == k {
				return p, nil
			}
		}
	}
	f := c.Fault(vm.BadArgument, reg, "no %v at offset %d of %v", kinds[0], addr-p.base, o)
	f.Object = o
	return p, f
}

// locked faults unless the program holds a lock in the same value or object.
func (p place) locked(c *vm.CPU, reg string) error {
	for _, l := range c.Locks() {
		if l.Object == p.obj && l.Addr >= p.base && l.Addr < p.base+p.size {
			return nil
		}
	}
	f := c.Fault(vm.LockViolation, reg, "the lock beside the %v at offset %d is not held", p.field.Kind, p.addr-p.base)
	f.Object = p.obj
	return f
}

// nodeAt is the object that the node at addr is part of. It must be what the
// head or root contains.
func (p place) nodeAt(c *vm.CPU, reg string, addr uint64) (*Local, error) {
	kind := record.ListNode
	if p.field.Kind == record.RBRoot {
		kind = record.RBNode
	}
	n, err := fieldAt(c, reg, addr, kind)
	if err != nil {
		return nil, err
	}
	l, ok := n.obj.Owner.(*Local)
	if !ok || n.field.Offset != p.field.Node || l.typ.name != typeName(p.field.Type) {
		f := c.Fault(vm.BadArgument, reg, "the %v contains struct %s by its member %s", p.field.Kind, typeName(p.field.Type), p.field.NodeName)
		f.Object = n.obj
		return nil, f
	}
	return l, nil
}

func typeName(t btf.Type) string {
	if t == nil {
		return ""
	}
	name, _, _ := strings.Cut(btf.UnderlyingType(t).TypeName(), "___")
	return name
}
