package objects

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// rootAt is the tree that r1 points to, whose lock must be held.
func rootAt(c *vm.CPU, addr uint64) (place, *tree, error) {
	p, err := fieldAt(c, "R1", addr, record.RBRoot)
	if err == nil {
		err = p.locked(c, "R1")
	}
	return p, &tree{words: words{mem: c.M.Mem}, root: addr}, err
}

// treeAdd adds the object with the node in r2 to the tree in r1, whose order is
// the program's function in r3. An object that is in a tree already, which only
// one with a reference count can be, is dropped: EINVAL.
func treeAdd(c *vm.CPU, args *[5]uint64) (uint64, error) {
	root, node, less := args[0], args[1], args[2]
	p, t, err := rootAt(c, root)
	if err != nil {
		return 0, err
	}
	l, err := p.nodeAt(c, "R2", node)
	if err != nil {
		return 0, err
	}
	if err := c.Disown("R2", l.obj); err != nil {
		return 0, err
	}
	if !t.claim(node+nodeOwner, claimed) {
		l.drop(c)
		return errno.EINVAL.Neg(), nil
	}
	parent, side, leftmost := uint64(0), uint64(left), true
	for n := t.get(root + rootTop); n != 0 && t.step(); n = t.get(parent + side) {
		before, err := c.Call(less, node, n)
		if err != nil {
			l.drop(c)
			return 0, err
		}
		parent, side = n, left
		if before == 0 {
			side, leftmost = right, false
		}
	}
	if !t.bad {
		t.steps = 0
		t.insert(node, parent, side, leftmost)
		t.store(node+nodeOwner, root)
	}
	if t.bad {
		return 0, p.corrupt(c, "R1")
	}
	return 0, nil
}

// treeRemove takes the node in r2 out of the tree in r1, as a reference to its
// object. It returns NULL for a node that is not in this tree.
func treeRemove(c *vm.CPU, args *[5]uint64) (uint64, error) {
	root, node := args[0], args[1]
	p, t, err := rootAt(c, root)
	if err != nil {
		return 0, err
	}
	l, err := p.nodeAt(c, "R2", node)
	if err != nil {
		return 0, err
	}
	if t.load(node+nodeOwner) != root {
		return 0, nil
	}
	t.erase(node)
	t.set(node+nodeParent, node)
	t.store(node+nodeOwner, 0)
	if t.bad {
		return 0, p.corrupt(c, "R1")
	}
	c.Acquire(l.obj)
	return node, nil
}

// treeEntry is the first node in order, or the one at the top, of the tree in r1.
func treeEntry(c *vm.CPU, args *[5]uint64, which uint64) (uint64, error) {
	_, t, err := rootAt(c, args[0])
	if err != nil {
		return 0, err
	}
	return t.get(args[0] + which), nil
}

// treeChild is the node on one side below the node in r2 of the tree in r1, NULL
// for none or for a node that is not in this tree.
func treeChild(c *vm.CPU, args *[5]uint64, side uint64) (uint64, error) {
	p, t, err := rootAt(c, args[0])
	if err != nil {
		return 0, err
	}
	if _, err := p.nodeAt(c, "R2", args[1]); err != nil {
		return 0, err
	}
	if t.load(args[1]+nodeOwner) != args[0] {
		return 0, nil
	}
	return t.get(args[1] + side), nil
}
