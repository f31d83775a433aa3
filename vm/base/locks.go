package base

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

var lockFuncs = map[string]vm.Func{
	"bpf_spin_lock":                  spinLock,
	"bpf_spin_unlock":                spinUnlock,
	"bpf_res_spin_lock":              resilientLock,
	"bpf_res_spin_unlock":            resilientUnlock,
	"bpf_res_spin_lock_irqsave":      resilientLockIRQ,
	"bpf_res_spin_unlock_irqrestore": resilientUnlockIRQ,
}

// patience is how often a CPU looks at a lock that another holds before it says
// that the lock will never be free: far longer than any critical section.
const patience = 1 << 26

func impatient() func() bool {
	n := 0
	return func() bool { n++; return n > patience }
}

func held(c *vm.CPU, addr uint64) *vm.HeldLock {
	for _, l := range c.Locks() {
		if l.Addr == addr {
			return &l
		}
	}
	return nil
}

// lockWord is the lock of the given kind at addr as memory, and the object that
// it lies in.
func lockWord(c *vm.CPU, addr uint64, kind record.Kind) ([]byte, *vm.Object, error) {
	o, off, err := c.ObjectAt("R1", addr)
	if err != nil {
		return nil, nil, err
	}
	// The program may not write a lock; what it may read it may lock.
	if _, err := c.Read("R1", addr, 4); err != nil {
		return nil, nil, err
	}
	at := off
	if o.Stride != 0 {
		at %= o.Stride
	}
	owner, ok := o.Owner.(interface{ Record() *record.Record })
	if !ok || off%4 != 0 {
		return nil, nil, noLock(c, o, kind, at)
	}
	if f := owner.Record().At(at); f == nil || f.Kind != kind {
		return nil, nil, noLock(c, o, kind, at)
	}
	return o.Bytes()[off : off+4], o, nil
}

func noLock(c *vm.CPU, o *vm.Object, kind record.Kind, at uint32) error {
	f := c.Fault(vm.BadArgument, "R1", "no %v at offset %d of %v", kind, at, o)
	f.Object = o
	return f
}

// spinLock takes the lock at r1. A program may hold one.
func spinLock(c *vm.CPU, args *[5]uint64) (uint64, error) {
	if l := held(c, args[0]); l != nil {
		f := c.Fault(vm.LockViolation, "R1", "the program holds this lock since %v", l.Site)
		f.Object = l.Object
		return 0, f
	}
	if ls := c.Locks(); len(ls) > 0 {
		f := c.Fault(vm.LockViolation, "R1", "the program holds another lock, taken at %v", ls[0].Site)
		f.Object = ls[0].Object
		return 0, f
	}
	w, o, err := lockWord(c, args[0], record.SpinLock)
	if err != nil {
		return 0, err
	}
	if !vm.LockWord(w, impatient()) {
		f := c.Fault(vm.LimitExceeded, "R1", "the lock never became free")
		f.Object = o
		return 0, f
	}
	c.PushLock(vm.HeldLock{Addr: args[0], Object: o, Site: c.Site()})
	return 0, nil
}

func spinUnlock(c *vm.CPU, args *[5]uint64) (uint64, error) {
	return unlock(c, args, record.SpinLock)
}

// unlock gives back the lock at r1, which must be the newest that is held.
func unlock(c *vm.CPU, args *[5]uint64, kind record.Kind) (uint64, error) {
	ls := c.Locks()
	if held(c, args[0]) == nil {
		return 0, c.Fault(vm.LockViolation, "R1", "the program does not hold this lock")
	}
	if newest := ls[len(ls)-1]; newest.Addr != args[0] {
		f := c.Fault(vm.LockViolation, "R1", "the lock taken last, at %v, must be given back first", newest.Site)
		f.Object = newest.Object
		return 0, f
	}
	w, _, err := lockWord(c, args[0], kind)
	if err != nil {
		return 0, err
	}
	c.PopLock(args[0])
	vm.UnlockWord(w)
	return 0, nil
}

// resilientLock takes a bpf_res_spin_lock. It answers EDEADLK to a program that
// holds the lock already and ETIMEDOUT where others hold it for good, as two
// CPUs do that each wait for the other's.
func resilientLock(c *vm.CPU, args *[5]uint64) (uint64, error) {
	if held(c, args[0]) != nil {
		return errno.EDEADLK.Neg(), nil
	}
	w, o, err := lockWord(c, args[0], record.ResSpinLock)
	if err != nil {
		return 0, err
	}
	if !vm.LockWord(w, impatient()) {
		return errno.ETIMEDOUT.Neg(), nil
	}
	c.PushLock(vm.HeldLock{Addr: args[0], Object: o, Site: c.Site()})
	c.Preempt++
	return 0, nil
}

func resilientUnlock(c *vm.CPU, args *[5]uint64) (uint64, error) {
	r0, err := unlock(c, args, record.ResSpinLock)
	if err == nil {
		c.Preempt--
	}
	return r0, err
}

func resilientLockIRQ(c *vm.CPU, args *[5]uint64) (uint64, error) {
	flags := [5]uint64{args[1]}
	if _, err := irqSave(c, &flags); err != nil {
		return 0, err
	}
	r0, err := resilientLock(c, args)
	if err == nil && r0 != 0 {
		_, err = irqRestore(c, &flags)
	}
	return r0, err
}

func resilientUnlockIRQ(c *vm.CPU, args *[5]uint64) (uint64, error) {
	if r0, err := resilientUnlock(c, args); err != nil {
		return r0, err
	}
	return irqRestore(c, &[5]uint64{args[1]})
}
