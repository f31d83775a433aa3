package verifier

import (
	"math"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// kcall is what the arguments of a call of a kfunc told.
type kcall struct {
	call
	*kdecl

	// constant is the value of an argument that must be known.
	constant *uint64
	// retSize is the size of the memory that is returned, retReadOnly whether it may
	// only be read.
	retSize     uint32
	retReadOnly bool
	// dynptr is the kind of the dynptr that was passed, dynptrRef its reference.
	dynptr    state.DynptrType
	dynptrRef uint32
	iter      iterRef
	// root is the list or tree that was passed, object the type of the object, and
	// owning whether that object is owned.
	root   *record.Field
	object btf.Type
	owning bool
}

// kdecl is a kfunc's declaration in the kernel's BTF.
type kdecl struct {
	params []kparam
	ret    btf.Type
}

// kparam is a parameter.
type kparam struct {
	name string
	typ  btf.Type
	// target is what a pointer points to, nil for a parameter that is none.
	target btf.Type
}

// trusted reports whether the kfunc takes only pointers to what is there for sure,
// rcu whether what is there as long as the RCU section is will do.
func (c *kcall) trusted() bool { return c.proto.Flags&(kernel.TrustedArgs|kernel.Release) != 0 }
func (c *kcall) rcu() bool     { return c.proto.Flags.Has(kernel.RCU) }
func (c *kcall) releases() bool {
	return c.proto.Flags.Has(kernel.Release)
}

// mayReturnNull reports whether the result must be checked. A reference to an object
// that is owned can always be shared.
func (c *kcall) mayReturnNull() bool {
	return c.proto.Flags.Has(kernel.RetNull) && !(c.name == "bpf_refcount_acquire_impl" && c.owning)
}

// newKcall prepares a call. The kernel's declaration is read once.
func (e *env) newKcall(lc *link.Call) *kcall {
	c := &kcall{call: call{proto: lc.Proto, name: lc.Name, id: int32(lc.ID), constKey: -1}}
	if c.kdecl = e.kdecls[lc.Func]; c.kdecl != nil {
		return c
	}
	c.kdecl = &kdecl{ret: btf.Type((*btf.Void)(nil))}
	if proto, ok := lc.Func.Type.(*btf.FuncProto); ok {
		c.ret = skip(proto.Return)
		for _, p := range proto.Params {
			k := kparam{name: p.Name, typ: skip(p.Type)}
			if ptr, ok := k.typ.(*btf.Pointer); ok {
				k.target = skip(ptr.Target)
			}
			c.params = append(c.params, k)
		}
	}
	if e.kdecls == nil {
		e.kdecls = make(map[*btf.Func]*kdecl)
	}
	e.kdecls[lc.Func] = c.kdecl
	return c
}

// checkKfuncCall is a call of a kfunc (check_kfunc_call). It moves on.
func (e *env) checkKfuncCall(s *slot) error {
	lc := s.insn.Call
	if lc == nil || lc.Proto == nil || lc.Func == nil {
		return e.reject(errno.EINVAL, "invalid kernel function call not eliminated in verifier pass")
	}
	if lc.Name == "__bpf_trap" {
		return e.reject(errno.EFAULT, "unexpected __bpf_trap() due to uninitialized variable?")
	}
	if !lc.Allowed {
		return e.reject(errno.EACCES, "calling kernel function %s is not allowed", lc.Name)
	}
	c := e.newKcall(lc)
	if err := e.beforeKfunc(c); err != nil {
		return err
	}
	if err := e.kfuncArgs(c); err != nil {
		return err
	}
	if err := e.kfuncCallback(c); err != nil {
		return err
	}
	if err := e.section(c); err != nil {
		return err
	}
	if c.proto.Flags.Has(kernel.RCUProtected) && !e.inRCU() {
		return e.reject(errno.EACCES, "kernel func %s requires RCU critical section protection", c.name)
	}
	if err := e.kfuncRelease(c); err != nil {
		return err
	}
	if c.proto.Return.Type.Base() == kernel.RetNever {
		if e.exceptionAt == 0 {
			// What is thrown is what the program returns.
			if err := e.checkReturnCode(1); err != nil {
				return err
			}
		}
		return e.checkExit(true)
	}
	e.clobber()
	if err := e.kfuncResult(c); err != nil {
		return err
	}
	e.touched.Reg(0)
	if c.proto.Flags.Has(kernel.ChangesPacket) {
		e.clearPacketPointers()
	}
	if c.proto.Flags.Has(kernel.IterNext) {
		if err := e.iterNext(c); err != nil {
			return err
		}
	}
	e.insn++
	return nil
}

// beforeKfunc is what does not depend on the arguments.
func (e *env) beforeKfunc(c *kcall) error {
	if c.name == "bpf_res_spin_lock" || c.name == "bpf_res_spin_lock_irqsave" {
		if err := e.lockFails(); err != nil {
			return err
		}
	}
	if c.mightSleep() && !e.cur.InSleepable {
		return e.reject(errno.EACCES, "program must be sleepable to call sleepable kfunc %s", c.name)
	}
	return nil
}

// lockFails has the way walked on which a lock that may be refused is.
func (e *env) lockFails() error {
	st, err := e.push(e.insn+1, e.insn)
	if err != nil {
		return err
	}
	regs := st.Regs()
	for n := range 6 {
		regs[n].MarkNotInit()
	}
	r := &regs[0]
	r.MarkUnknown()
	r.S32Min, r.S32Max = -maxErrno, -1
	r.SMin, r.SMax = max(r.SMin, -maxErrno), min(r.SMax, -1)
	r.Sync()
	return nil
}

// kfuncCallback has the function walked that the kfunc calls back.
func (e *env) kfuncCallback(c *kcall) error {
	cb := c.proto.Callback
	if cb == nil {
		return nil
	}
	var err error
	switch {
	case !cb.Async:
		err = e.pushCallback(c.subprog, setTreeCallback)
	case cb.Arg == 1:
		err = e.pushAsync(c.subprog, true, setTimerCallback)
	default:
		err = e.pushAsync(c.subprog, true, setTaskWorkCallback)
	}
	return e.explainMore(err, "kfunc %s#%d failed callback verification", c.name, c.id)
}

// kfuncRelease gives up what the kfunc takes away.
func (e *env) kfuncRelease(c *kcall) error {
	if c.release != 0 {
		r := e.reg(c.release)
		if c.dynptrRef != 0 {
			if err := e.releaseDynptr(&c.call, r); err != nil {
				return err
			}
		} else if !e.releaseRef(r.RefObjID) {
			return e.reject(errno.EINVAL, "kfunc %s#%d reference has not been acquired before", c.name, c.id)
		}
	}
	if isInsert(c.name) {
		return e.insert(c)
	}
	return nil
}

// kfuncResult puts the result into R0.
func (e *env) kfuncResult(c *kcall) error {
	r := e.reg(0)
	acquires := c.proto.Flags.Has(kernel.Acquire)
	ptr, isPtr := c.ret.(*btf.Pointer)
	switch {
	case isScalar(c.ret):
		r.MarkUnknown()
		if c.name == "bpf_res_spin_lock" || c.name == "bpf_res_spin_lock_irqsave" {
			r.MarkConst(0) // where it is not, another way goes on
		}
		return nil
	case !isPtr:
		return nil // void
	}
	target := skip(ptr.Target)
	if err := e.pointerResult(c, r, target); err != nil {
		return err
	}
	null := c.mayReturnNull()
	if null {
		r.Type |= state.MaybeNull
		r.ID = e.newID()
	}
	switch {
	case acquires:
		id := e.acquire()
		if null {
			r.ID = id
		}
		r.RefObjID = id
	case isNode(target):
		e.markNonOwning(r)
	}
	if r.ID == 0 && e.holdsLock(r) {
		r.ID = e.newID()
	}
	return nil
}

// pointerResult makes r what a kfunc returns a pointer to.
func (e *env) pointerResult(c *kcall, r *state.Reg, target btf.Type) error {
	if done, err := e.specialResult(c, r, target); done || err != nil {
		return err
	}
	switch target.(type) {
	case *btf.Void:
		r.MarkUnknown() // an address, but of nothing
		return nil
	case *btf.Struct:
		t := state.PtrToBTFID
		switch {
		case c.proto.Return.Type.Has(kernel.RetUntrusted):
			t |= state.Untrusted
		case c.proto.Flags.Has(kernel.IterNext) && c.iter.slotOf(e.cur).Type.Has(state.RCU):
			t |= state.RCU // good as long as the section that the iterator was made in
		case c.proto.Return.Type.Has(kernel.RetTrusted):
			t |= state.Trusted
		}
		r.MarkPointer(t)
		r.BTF = target
		return nil
	}
	if c.retSize == 0 {
		n, err := btf.Sizeof(target)
		if err != nil || n == 0 {
			return e.reject(errno.EINVAL, "kernel function %s returns pointer type %s %s is not supported",
				c.name, kindName(target), target.TypeName())
		}
		c.retSize, c.retReadOnly = uint32(n), true
	}
	r.MarkPointer(state.PtrToMem)
	r.MemSize = c.retSize
	if c.retReadOnly {
		r.Type |= state.ReadOnly
	}
	r.RefObjID = c.refObj // the memory goes with the object that it is part of
	return nil
}

// maxPercpuObject is how large an object of each CPU may be
// (BPF_GLOBAL_PERCPU_MA_MAX_SIZE).
const maxPercpuObject = 512

// specialResult is the result of kfuncs whose prototypes do not tell it
// (check_special_kfunc).
func (e *env) specialResult(c *kcall, r *state.Reg, target btf.Type) (bool, error) {
	switch c.name {
	case "bpf_obj_new_impl", "bpf_percpu_obj_new_impl":
		return true, e.newObject(c, r)
	case "bpf_refcount_acquire_impl":
		r.MarkPointer(state.PtrToBTFID | state.Alloc)
		r.BTF = c.object
		return true, nil
	case "bpf_cast_to_kern_ctx":
		r.MarkPointer(state.PtrToBTFID | state.Trusted)
		r.BTF = e.kernelContext()
		return true, nil
	case "bpf_rdonly_cast":
		return true, e.readOnlyCast(*c.constant, r)
	case "bpf_dynptr_slice", "bpf_dynptr_slice_rdwr":
		r.MarkPointer(state.PtrToMem)
		r.MemSize, r.Dynptr, r.DynptrID = uint32(*c.constant), c.dynptr, c.dynptrID
		if c.name == "bpf_dynptr_slice" {
			r.Type |= state.ReadOnly
		} else if !e.mayWritePacket() {
			return true, e.reject(errno.EINVAL, "the prog does not allow writes to packet data")
		}
		return true, nil
	}
	if isNode(target) && c.root != nil {
		markNode(r, c.root)
		return true, nil
	}
	return false, nil
}

// newObject is what bpf_obj_new and bpf_percpu_obj_new make.
func (e *env) newObject(c *kcall, r *state.Reg) error {
	percpu := c.name == "bpf_percpu_obj_new_impl"
	if *c.constant > math.MaxUint32 {
		return e.reject(errno.EINVAL, "local type ID argument must be in range [0, U32_MAX]")
	}
	if e.prog.Types == nil {
		return e.reject(errno.EINVAL, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF")
	}
	t, err := e.prog.Types.TypeByID(btf.TypeID(*c.constant))
	st, ok := t.(*btf.Struct)
	if err != nil || !ok {
		return e.reject(errno.EINVAL, "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct")
	}
	if percpu {
		if st.Size > maxPercpuObject {
			return e.reject(errno.EINVAL, "bpf_percpu_obj_new type size (%d) is greater than %d", st.Size, maxPercpuObject)
		}
		if !e.isScalarStruct(st, 0) {
			return e.reject(errno.EINVAL, "bpf_percpu_obj_new type ID argument must be of a struct of scalars")
		}
		if len(e.recordOf(st)) > 0 {
			return e.reject(errno.EINVAL, "bpf_percpu_obj_new type ID argument must not contain special fields")
		}
	}
	r.MarkPointer(state.PtrToBTFID | state.Alloc)
	if percpu {
		r.Type |= state.Percpu
	}
	r.BTF = st
	e.aux[e.insn].alloc = st
	return nil
}

// readOnlyCast is what bpf_rdonly_cast makes of an address: an object of the kernel's
// type with that ID, or bytes.
func (e *env) readOnlyCast(id uint64, r *state.Reg) error {
	var t btf.Type
	spec, err := e.prof.Types()
	if err == nil && id <= math.MaxUint32 {
		t, err = spec.TypeByID(btf.TypeID(id))
	}
	if err != nil || t == nil {
		return e.reject(errno.EINVAL, "Unknown type ID %d passed to kfunc bpf_rdonly_cast", int64(id))
	}
	switch t.(type) {
	case *btf.Struct, *btf.Union:
		r.MarkPointer(state.PtrToBTFID | state.Untrusted)
		r.BTF = t
	case *btf.Void:
		r.MarkPointer(state.PtrToMem | state.ReadOnly | state.Untrusted)
	default:
		return e.reject(errno.EINVAL, "kfunc bpf_rdonly_cast type ID argument must be of a struct or void")
	}
	return nil
}
