package objects

import "github.com/bpfct/bpfct/vm"

// Percpu is the value behind a per-CPU object: the Owner of a vm.Object of
// KindAlloc that a program holds but cannot look into. The copies of the CPUs
// are the elements of another.
type Percpu struct {
	m            *vm.Machine
	typ          *localType
	handle, data *vm.Object
}

// ReleaseReference ends the object's life.
func (p *Percpu) ReleaseReference() { p.free(vm.Site{}, nil) }

func (p *Percpu) free(at vm.Site, c *vm.CPU) {
	p.m.FreeLater(p.data, at, c)
	p.m.FreeLater(p.handle, at, c)
}

// newPercpu makes a per-CPU object of the type with the id in r1.
func (h *heap) newPercpu(c *vm.CPU, args *[5]uint64) (uint64, error) {
	t, err := h.typeOf(c, args[0])
	if err != nil {
		return 0, err
	}
	if t.rec != nil || t.size > maxPercpuSize {
		return 0, c.Fault(vm.BadArgument, "R1", "struct %s cannot be per CPU: it has special fields or more than %d bytes", t.name, maxPercpuSize)
	}
	p := &Percpu{m: c.M, typ: t}
	stride := (t.size + 7) &^ 7
	p.data, err = c.M.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindAlloc, Name: "struct " + t.name,
		Size: stride * uint32(c.M.CPUs), Stride: stride, Elem: t.size, Owner: p})
	if err != nil {
		return 0, nil
	}
	p.handle, err = c.M.Mem.Alloc(vm.ObjectSpec{Kind: vm.KindAlloc, Name: "per-CPU struct " + t.name, Size: 8, Owner: p})
	if err != nil {
		c.M.Mem.Free(p.data, c.Site())
		return 0, nil
	}
	p.handle.SetWindow(0, 0)
	c.Acquire(p.handle)
	return p.handle.Addr(), nil
}

// percpuAt is the per-CPU object whose handle is at addr.
func percpuAt(c *vm.CPU, reg string, addr uint64) (*Percpu, error) {
	p, o, err := vm.OwnerAt[*Percpu](c, reg, addr)
	if err == nil && o != p.handle {
		f := c.Fault(vm.BadArgument, reg, "is the copy of one CPU")
		f.Object = o
		return nil, f
	}
	return p, err
}

func dropPercpu(c *vm.CPU, args *[5]uint64) (uint64, error) {
	p, err := percpuAt(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	if err := c.Disown("R1", p.handle); err != nil {
		return 0, err
	}
	p.free(c.Site(), c)
	return 0, nil
}

// perCPU is CPU r2's copy of the object in r1, NULL for a CPU that does not exist.
func perCPU(c *vm.CPU, args *[5]uint64) (uint64, error) {
	p, err := percpuAt(c, "R1", args[0])
	if err != nil {
		return 0, err
	}
	cpu := uint32(args[1])
	if cpu >= uint32(c.M.CPUs) {
		return 0, nil
	}
	return p.data.Addr() + uint64(cpu*p.data.Stride), nil
}

func thisCPU(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return perCPU(c, &[5]uint64{args[0], uint64(c.ID)})
}
