package interp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bpfct/bpfct/vm"
)

// tailCallee is the program that a tail call leads to; nil when the call does
// nothing: no program in the slot, or too many tail calls.
func tailCallee(c *vm.CPU, array uint64, index uint32) (*code, error) {
	a, _, err := vm.OwnerAt[vm.ProgArray](c, "R2", array)
	if err != nil {
		return nil, err
	}
	if err := c.CheckTailCall(); err != nil {
		return nil, err
	}
	p := a.Program(index)
	if p == nil || c.TailCalls >= vm.MaxTailCalls {
		return nil, nil
	}
	k, ok := p.Code().(*code)
	if !ok {
		return nil, c.Fault(vm.IllegalInsn, "R3", "tail call to %s, which this engine did not compile", p.Name)
	}
	c.TailCalls++
	return k, nil
}

// loadPacket reads a number in network order from the packet; ok is false when
// the packet is too short, which ends the function.
func loadPacket(c *vm.CPU, off uint32, size uint8) (v uint64, ok bool, err error) {
	p, has := c.Ctx.(vm.PacketLoader)
	if !has {
		return 0, false, c.Fault(vm.IllegalInsn, "", "the context has no packet to load from")
	}
	var b [4]byte
	if !p.LoadBytes(off, b[4-size:]) {
		return 0, false, nil
	}
	return uint64(binary.BigEndian.Uint32(b[:])), true, nil
}

var registers = [...]string{"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10"}

// addressRegister is the register that held the address of a memory access.
func addressRegister(in *op) string {
	r := in.dst
	if in.kind >= load8 && in.kind <= loadS32 || in.kind == loadAcquire {
		r = in.src
	}
	return registers[r]
}

// exception is the exception that err is, nil when it is another error.
func exception(err error) *vm.Exception {
	var e *vm.Exception
	errors.As(err, &e)
	return e
}

// failed is what a run ends with after call returned err: a fault says by itself
// where it happened.
func failed(c *vm.CPU, call *vm.Call, err error) error {
	var f *vm.Fault
	if errors.As(err, &f) {
		return err
	}
	return fmt.Errorf("%s at %v: %s: %w", c.Prog.Name, c.Site(), call.Name, err)
}
