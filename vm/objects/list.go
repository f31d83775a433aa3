package objects

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// Offsets in a list's head and nodes. A head links to itself when the list is
// empty, or is zero when it never had a node.
const (
	listNext  = 0
	listPrev  = 8
	listOwner = 16 // of nodes
)

// push adds the object with the node in r2 to the list in r1. An object that is
// in a list already, which only one with a reference count can be, is dropped:
// EINVAL.
func push(c *vm.CPU, args *[5]uint64, tail bool) (uint64, error) {
	head, node := args[0], args[1]
	p, err := fieldAt(c, "R1", head, record.ListHead)
	if err != nil {
		return 0, err
	}
	if err := p.locked(c, "R1"); err != nil {
		return 0, err
	}
	l, err := p.nodeAt(c, "R2", node)
	if err != nil {
		return 0, err
	}
	if err := c.Disown("R2", l.obj); err != nil {
		return 0, err
	}
	w := words{mem: c.M.Mem}
	if !w.claim(node+listOwner, claimed) {
		l.drop(c)
		return errno.EINVAL.Neg(), nil
	}
	if w.get(head+listNext) == 0 {
		w.set(head+listNext, head)
		w.set(head+listPrev, head)
	}
	prev, next := head, w.get(head+listNext)
	if tail {
		prev, next = w.get(head+listPrev), head
	}
	w.set(prev+listNext, node)
	w.set(next+listPrev, node)
	w.set(node+listNext, next)
	w.set(node+listPrev, prev)
	w.store(node+listOwner, head)
	if w.bad {
		return 0, p.corrupt(c, "R1")
	}
	return 0, nil
}

// unlink takes node out of the list that it is in.
func (w *words) unlink(node uint64) {
	prev, next := w.get(node+listPrev), w.get(node+listNext)
	w.set(prev+listNext, next)
	w.set(next+listPrev, prev)
	w.set(node+listNext, node)
	w.set(node+listPrev, node)
	w.store(node+listOwner, 0)
}

// pop takes the node at one end of the list in r1, as a reference to its object.
func pop(c *vm.CPU, args *[5]uint64, end uint64) (uint64, error) {
	p, node, err := entry(c, args[0], end)
	if err != nil || node == 0 {
		return 0, err
	}
	l, err := p.nodeAt(c, "R1", node)
	if err != nil {
		return 0, p.corrupt(c, "R1")
	}
	w := words{mem: c.M.Mem}
	if w.load(node+listOwner) != args[0] {
		return 0, nil
	}
	w.unlink(node)
	if w.bad {
		return 0, p.corrupt(c, "R1")
	}
	c.Acquire(l.obj)
	return node, nil
}

// peek is the node at one end of the list in r1.
func peek(c *vm.CPU, args *[5]uint64, end uint64) (uint64, error) {
	_, node, err := entry(c, args[0], end)
	return node, err
}

// entry is the node at one end of the list at head, 0 for none.
func entry(c *vm.CPU, head, end uint64) (place, uint64, error) {
	p, err := fieldAt(c, "R1", head, record.ListHead)
	if err != nil {
		return p, 0, err
	}
	if err := p.locked(c, "R1"); err != nil {
		return p, 0, err
	}
	w := words{mem: c.M.Mem}
	node := w.get(head + end)
	if node == head {
		node = 0
	}
	return p, node, nil
}
