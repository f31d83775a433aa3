package verifier

import (
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// Lists and trees own what is in them. Who puts an object in gives up the reference
// to it, and keeps one that does not own, good as long as the lock is held; who takes
// one out owns it.

// nodeOf is the kind of node that lists, or trees, have.
func nodeOf(root record.Kind) record.Kind {
	if root == record.ListHead {
		return record.ListNode
	}
	return record.RBNode
}

// isOwnObject refuses what is no object of the program's own that it owns.
func (e *env) isOwnObject(i int, r *state.Reg) error {
	if r.Type != state.PtrToBTFID|state.Alloc {
		return e.reject(errno.EINVAL, "arg#%d expected pointer to allocated object", i)
	}
	return e.isOwned(r)
}

func (e *env) isOwned(r *state.Reg) error {
	if r.RefObjID == 0 {
		return e.reject(errno.EINVAL, "allocated object must be referenced")
	}
	return nil
}

// rootArg is the list or tree that a kfunc is passed, whose lock must be held
// (__process_kf_arg_ptr_to_graph_root).
func (e *env) rootArg(c *kcall, i int, r *state.Reg, kind record.Kind) error {
	if r.Type != state.PtrToMapValue && r.Type != state.PtrToBTFID|state.Alloc {
		return e.reject(errno.EINVAL, "arg#%d expected pointer to map value or allocated object", i)
	}
	if r.Type.Base() == state.PtrToBTFID {
		if err := e.isOwned(r); err != nil {
			return err
		}
	}
	if !r.Var.IsConst() {
		return e.reject(errno.EINVAL, "R%d doesn't have constant offset. %s has to be at the constant offset", i+1, kind)
	}
	fields := e.fieldsOf(r)
	off := uint32(r.Off) + uint32(r.Var.Value)
	f := fieldAt(fields, off, kind)
	if f == nil {
		return e.reject(errno.EINVAL, "%s not found at offset=%d", kind, off)
	}
	if err := e.checkLocked(r); err != nil {
		at := -int(errno.EINVAL)
		if l := findField(fields, record.SpinLock); l != nil {
			at = int(l.Offset)
		}
		const text = "bpf_spin_lock at off=%d must be held for %s"
		if err == errNoLock {
			return e.reject(errno.EINVAL, text, at, kind)
		}
		return e.explainMore(err, text, at, kind)
	}
	c.root = f
	return nil
}

// errNoLock is the fault of an operation for which no lock at all is held.
var errNoLock = &refusal{errno: errno.EINVAL}

// checkLocked checks that a lock in the same value or object is held
// (check_reg_allocation_locked).
func (e *env) checkLocked(r *state.Reg) error {
	if e.cur.ActiveLocks == 0 {
		return errNoLock
	}
	if !e.heldLock(r.ID, e.allocation(r), allLocks...) {
		return e.reject(errno.EINVAL, "held lock and object are not in the same allocation")
	}
	return nil
}

// nodeArg is the node that goes into a list or tree, or comes out of one
// (__process_kf_arg_ptr_to_graph_node).
func (e *env) nodeArg(c *kcall, i int, r *state.Reg, root record.Kind) error {
	kind := nodeOf(root)
	if !r.Var.IsConst() {
		return e.reject(errno.EINVAL, "R%d doesn't have constant offset. %s has to be at the constant offset", i+1, kind)
	}
	off := uint32(r.Off) + uint32(r.Var.Value)
	if fieldAt(e.fieldsOf(r), off, kind) == nil {
		return e.reject(errno.EINVAL, "%s not found at offset=%d", kind, off)
	}
	f := c.root
	if f == nil {
		return e.reject(errno.EFAULT, "verifier bug: %s without a %s", kind, root)
	}
	if !e.sameStruct(r.BTF, 0, skip(f.Type), true) {
		return e.reject(errno.EINVAL, "operation on %s expects arg#1 %s at offset=%d in struct %s, but arg is at offset=%d in struct %s",
			root, kind, f.Node, f.Type.TypeName(), off, r.BTF.TypeName())
	}
	c.object = r.BTF
	if off != f.Node {
		return e.reject(errno.EINVAL, "arg#1 offset=%d, but expected %s at offset=%d in struct %s", off, kind, f.Node, f.Type.TypeName())
	}
	return nil
}

// treeNodeArg is the node that a kfunc for trees is passed: one to be put in is owned,
// one to be looked at or taken out is not, or is shared.
func (e *env) treeNodeArg(c *kcall, i int, r *state.Reg) error {
	if c.name == "bpf_rbtree_add_impl" {
		if err := e.isOwnObject(i, r); err != nil {
			return err
		}
	} else {
		if !isNonOwning(r.Type) && r.RefObjID == 0 {
			return e.reject(errno.EINVAL, "%s can only take non-owning or refcounted bpf_rb_node pointer", c.name)
		}
		if e.inTreeCallback() {
			return e.reject(errno.EINVAL, "%s not allowed in rbtree cb", c.name)
		}
	}
	return e.nodeArg(c, i, r, record.RBRoot)
}

// isNonOwning reports whether t is a reference to what a list or tree owns.
func isNonOwning(t state.Type) bool {
	return t.Base() == state.PtrToBTFID && t.Has(state.Alloc|state.NonOwnRef)
}

// sharedArg is the argument of bpf_refcount_acquire: an object that counts references.
func (e *env) sharedArg(c *kcall, i int, r *state.Reg) error {
	if r.Type.Base() != state.PtrToBTFID || !r.Type.Has(state.Alloc) {
		return e.reject(errno.EINVAL, "arg#%d is neither owning or non-owning ref", i)
	}
	c.owning = !isNonOwning(r.Type)
	fields := e.recordOf(r.BTF)
	if len(fields) == 0 {
		return e.reject(errno.EFAULT, "verifier bug: Couldn't find btf_record")
	}
	if findField(fields, record.Refcount) == nil {
		return e.reject(errno.EINVAL, "arg#%d doesn't point to a type with bpf_refcount field", i)
	}
	c.object = r.BTF
	return nil
}

// dropArg is the object that bpf_obj_drop or bpf_percpu_obj_drop frees.
func (e *env) dropArg(c *kcall, i int, r *state.Reg) error {
	switch r.Type {
	case state.PtrToBTFID | state.Alloc:
		if c.name != "bpf_obj_drop_impl" {
			return e.reject(errno.EINVAL, "arg#%d expected for bpf_obj_drop_impl()", i)
		}
	case state.PtrToBTFID | state.Alloc | state.Percpu:
		if c.name != "bpf_percpu_obj_drop_impl" {
			return e.reject(errno.EINVAL, "arg#%d expected for bpf_percpu_obj_drop_impl()", i)
		}
	default:
		return e.reject(errno.EINVAL, "arg#%d expected pointer to allocated object", i)
	}
	if err := e.isOwned(r); err != nil {
		return err
	}
	c.object = r.BTF
	return nil
}

// isInsert reports whether a kfunc puts an object into a list or tree.
func isInsert(name string) bool {
	return name == "bpf_list_push_front_impl" || name == "bpf_list_push_back_impl" || name == "bpf_rbtree_add_impl"
}

// insert moves the reference that an insertion is passed to the list or tree
// (ref_convert_owning_non_owning).
func (e *env) insert(c *kcall) error {
	id := e.reg(2).RefObjID
	held := false
	for _, r := range e.cur.Refs {
		held = held || r.ID == id
	}
	if !held {
		return e.reject(errno.EFAULT, "kfunc %s#%d conversion of owning ref to non-owning failed", c.name, c.id)
	}
	e.cur.EachReg(func(_ *state.Frame, r *state.Reg, _ *state.Slot) {
		if r.RefObjID == id {
			r.RefObjID = 0
			e.markNonOwning(r)
		}
	})
	if !e.releaseRef(id) {
		return e.reject(errno.EINVAL, "kfunc %s#%d reference has not been acquired before", c.name, c.id)
	}
	return nil
}

// markNonOwning makes r a reference to what a list or tree owns (ref_set_non_owning).
func (e *env) markNonOwning(r *state.Reg) {
	r.Type |= state.NonOwnRef
	if findField(e.recordOf(r.BTF), record.Refcount) != nil {
		r.Type |= state.RCU
	}
}

// markNode makes r a pointer to a node of what a list or tree holds
// (mark_reg_graph_node).
func markNode(r *state.Reg, root *record.Field) {
	r.MarkPointer(state.PtrToBTFID | state.Alloc)
	r.BTF, r.Off = skip(root.Type), int32(root.Node)
}

// isNode reports whether t is a node of a list or tree.
func isNode(t btf.Type) bool {
	name := t.TypeName()
	return name == "bpf_list_node" || name == "bpf_rb_node"
}

// setTreeCallback is for less(a, b) of bpf_rbtree_add(root, node, less).
func setTreeCallback(e *env, caller, callee *state.Frame) error {
	root := &caller.Regs[1]
	f := fieldAt(e.fieldsOf(root), uint32(root.Off), record.RBRoot)
	if f == nil {
		return &refusal{errno: errno.EFAULT, insn: e.insn}
	}
	for n := 1; n <= 2; n++ {
		markNode(&callee.Regs[n], f)
		e.markNonOwning(&callee.Regs[n])
	}
	callee.InCallback = true
	callee.CallbackRet = state.RetRange{Min: 0, Max: 1}
	return nil
}
