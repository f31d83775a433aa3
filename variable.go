package bpfct

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Variable is a global variable of a C program: a piece of .data, .bss or .rodata.
type Variable struct {
	name string
	m    *Map
	spec *ebpf.VariableSpec
}

// Name is the variable's name in C.
func (v *Variable) Name() string { return v.name }

// Section is the section it lies in, which is the name of its map.
func (v *Variable) Section() string { return v.spec.SectionName }

// Size is its size in bytes.
func (v *Variable) Size() uint64 { return uint64(v.spec.Size()) }

// ReadOnly reports whether Set is refused: a constant of a loaded program.
func (v *Variable) ReadOnly() bool { return v.m.m.Frozen() }

// Type is its BTF, nil for an object without.
func (v *Variable) Type() *btf.Var { return v.spec.Type }

// Bytes is a copy of its memory.
func (v *Variable) Bytes() ([]byte, error) {
	section, err := v.m.m.Lookup(make([]byte, 4), 0)
	if err != nil {
		return nil, fmt.Errorf("variable %s: %w", v.name, err)
	}
	off, end := uint64(v.spec.Offset), uint64(v.spec.Offset)+uint64(v.spec.Size())
	if end > uint64(len(section)) {
		return nil, fmt.Errorf("variable %s: bytes %d to %d lie outside section %s of %d bytes",
			v.name, off, end, v.spec.SectionName, len(section))
	}
	return section[off:end], nil
}

// Get copies the variable into out, which is of its size.
func (v *Variable) Get(out any) error {
	b, err := v.Bytes()
	if err != nil {
		return err
	}
	return unmarshal("variable "+v.name, out, b)
}

// Set stores in, which is of the variable's size. A program that runs meanwhile
// may see a part of it. Constants are refused with EPERM.
func (v *Variable) Set(in any) error {
	b, err := marshal("variable "+v.name, in, int(v.spec.Size()))
	if err != nil {
		return err
	}
	if v.ReadOnly() {
		return fmt.Errorf("variable %s of %s: %w", v.name, v.spec.SectionName, ebpf.ErrReadOnly)
	}
	addr, err := v.m.m.ValueAddr(v.spec.Offset)
	if err != nil {
		return fmt.Errorf("variable %s: %w", v.name, err)
	}
	// Written in place: the rest of the section may be changing.
	o := v.m.host.machine.Mem.Find(addr)
	if o == nil || addr-o.Addr()+uint64(len(b)) > uint64(o.Size) {
		return fmt.Errorf("variable %s lies outside section %s", v.name, v.spec.SectionName)
	}
	copy(o.Bytes()[addr-o.Addr():], b)
	return nil
}
