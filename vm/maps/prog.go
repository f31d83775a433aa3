package maps

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// The program's side. The verifier refuses a program that writes to a map made
// with BPF_F_RDONLY_PROG; here such a call is a fault. With BPF_F_WRONLY_PROG every
// call is good, lookups and peeks, too: only loads through the pointer are refused.

func (b *base) progMayWrite(c *vm.CPU) error {
	if b.info.Flags&ReadOnlyProg == 0 {
		return nil
	}
	f := c.Fault(vm.BadArgument, "R1", "write into map is forbidden by the map's flags")
	f.Object = b.handle
	return f
}

func (b *base) LookupElem(c *vm.CPU, key []byte) (uint64, error) {
	return b.self.lookup(program(c), key)
}

func (b *base) LookupPerCPUElem(c *vm.CPU, key []byte, cpu uint32) (uint64, error) {
	return b.self.lookupCPU(program(c), key, cpu)
}

func (b *base) UpdateElem(c *vm.CPU, key, value []byte, flags uint64) error {
	if err := b.progMayWrite(c); err != nil {
		return err
	}
	return b.self.update(program(c), key, value, flags)
}

func (b *base) DeleteElem(c *vm.CPU, key []byte) error {
	if err := b.progMayWrite(c); err != nil {
		return err
	}
	return b.self.remove(program(c), key)
}

func (b *base) PushElem(c *vm.CPU, value []byte, flags uint64) error {
	if err := b.progMayWrite(c); err != nil {
		return err
	}
	return b.self.push(value, flags)
}

func (b *base) PopElem(c *vm.CPU, value []byte) error {
	if err := b.progMayWrite(c); err != nil {
		return err
	}
	return b.self.pop(value)
}

func (b *base) PeekElem(c *vm.CPU, value []byte) error {
	return b.self.peek(value)
}

func (b *base) ForEachElem(c *vm.CPU, callback, ctx, flags uint64) (uint64, error) {
	if flags != 0 {
		return 0, errno.EINVAL
	}
	return b.self.forEach(c, callback, ctx)
}
