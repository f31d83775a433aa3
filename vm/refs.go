package vm

import "slices"

// Acquire records that the program now owes the release of o.
func (c *CPU) Acquire(o *Object) {
	site := c.Site()
	o.acquired.Store(&site)
	c.refs = append(c.refs, o)
}

// References are what the program owes the release of, oldest first. The caller
// does not change the slice.
func (c *CPU) References() []*Object { return c.refs }

// Holds reports whether the program holds o as a reference.
func (c *CPU) Holds(o *Object) bool { return slices.Contains(c.refs, o) }

// Disown takes o, which the program gave in reg, off what it owes, without
// ending the object's life: it was stored in a map, a list, or handed over. It
// faults when the program does not hold it.
func (c *CPU) Disown(reg string, o *Object) error {
	i := slices.Index(c.refs, o)
	if i < 0 {
		f := c.Fault(BadRelease, reg, "the program holds no reference to it")
		f.Object = o
		return f
	}
	c.refs = slices.Delete(c.refs, i, i+1)
	return nil
}

// Release is Disown, and ends the object's life: later uses fault.
func (c *CPU) Release(reg string, o *Object) error {
	if err := c.Disown(reg, o); err != nil {
		return err
	}
	c.M.Mem.Free(o, c.Site())
	return nil
}

// PushLock records a lock that the program took.
func (c *CPU) PushLock(l HeldLock) { c.locks = append(c.locks, l) }

// PopLock removes the lock at addr from what the program holds; ok is false
// when it does not hold it.
func (c *CPU) PopLock(addr uint64) (ok bool) {
	i := slices.IndexFunc(c.locks, func(l HeldLock) bool { return l.Addr == addr })
	if i < 0 {
		return false
	}
	c.locks = slices.Delete(c.locks, i, i+1)
	return true
}

// Locks are the locks that the program holds, oldest first.
func (c *CPU) Locks() []HeldLock { return c.locks }

// CheckTailCall faults when the program may not leave: it holds a reference or
// a lock, or is in a critical section.
func (c *CPU) CheckTailCall() error { return c.checkExit("tail call") }

func (c *CPU) checkExit(what string) error {
	if len(c.locks) > 0 {
		l := c.locks[0]
		f := c.Fault(LockViolation, "", "the lock is still held at %s, taken at %v", what, l.Site)
		f.Object = l.Object
		return f
	}
	if len(c.refs) > 0 {
		f := c.Fault(ReferenceLeak, "", "still held at %s, acquired at %v", what, c.refs[0].Acquired())
		f.Object = c.refs[0]
		return f
	}
	for _, s := range []struct {
		n    int
		name string
	}{{c.RCU, "RCU read-side"}, {c.Preempt, "preempt-disabled"}, {c.IRQ, "IRQ-disabled"}} {
		if s.n != 0 {
			return c.Fault(LockViolation, "", "%s section is still open at %s", s.name, what)
		}
	}
	return nil
}
