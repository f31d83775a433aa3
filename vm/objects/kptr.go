package objects

import (
	"strings"
	"sync/atomic"

	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// exchange stores the reference in r2, or NULL, in the pointer at r1 and returns
// what was there, which the program now owes.
func exchange(c *vm.CPU, args *[5]uint64) (uint64, error) {
	p, err := fieldAt(c, "R1", args[0], record.KptrRef, record.KptrPercpu)
	if err != nil {
		return 0, err
	}
	if args[1] != 0 {
		if err := p.mayHold(c, args[1]); err != nil {
			return 0, err
		}
	}
	off := p.addr - p.obj.Addr()
	old := atomic.SwapUint64(vm.Word64(p.obj.Bytes()[off:off+8]), args[1])
	if old == 0 {
		return 0, nil
	}
	o, _, err := c.ObjectAt("R1", old)
	if err != nil {
		return 0, err
	}
	c.Acquire(o)
	return old, nil
}

// mayHold takes the reference at addr off what the program owes, if the pointer
// may hold it.
func (p place) mayHold(c *vm.CPU, addr uint64) error {
	o, off, err := c.ObjectAt("R2", addr)
	if err != nil {
		return err
	}
	name := ""
	switch v := o.Owner.(type) {
	case *Local:
		name = v.typ.name
	case *Percpu:
		name = v.typ.name
	default:
		name, _, _ = strings.Cut(strings.TrimPrefix(o.Name, "struct "), "___")
	}
	_, percpu := o.Owner.(*Percpu)
	if off != 0 || name != typeName(p.field.Type) || percpu != (p.field.Kind == record.KptrPercpu) {
		f := c.Fault(vm.BadArgument, "R2", "points to offset %d, the %v at offset %d holds struct %s", off, p.field.Kind, p.addr-p.base, typeName(p.field.Type))
		f.Object = o
		return f
	}
	return c.Disown("R2", o)
}
