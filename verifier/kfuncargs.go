package verifier

import (
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// kclass is how a pointer argument is checked.
type kclass uint8

// The classes of pointer arguments that the prototype does not tell alone.
const (
	kSpecial kclass = iota // by the prototype's class
	kNull                  // NULL where that may be passed
	kCtx                   // the program's context
	kMap                   // a map
	kObject                // a kernel object, or one of the program's own
	kFunc                  // a function of the program
	kMem                   // memory of the type's size
	kMemSize               // memory whose size is the next argument
)

// kfuncArgs checks the arguments of a kfunc (check_kfunc_args).
func (e *env) kfuncArgs(c *kcall) error {
	if len(c.params) > maxArgs {
		return e.reject(errno.EINVAL, "Function %s has %d > %d args", c.name, len(c.params), maxArgs)
	}
	for i := 0; i < len(c.params); i++ {
		p := &c.params[i]
		switch arg := c.proto.Args[i].Type; {
		case arg.Base() == kernel.ArgIgnored, arg.Base() == kernel.ArgProgAux:
			continue
		case isScalar(p.typ):
			if err := e.scalarArg(c, i); err != nil {
				return err
			}
			continue
		case p.target == nil:
			return e.reject(errno.EINVAL, "Unrecognized arg#%d type %s", i, kindName(p.typ))
		}
		class, err := e.pointerArg(c, i)
		if err != nil {
			return err
		}
		if class == kMemSize {
			i++ // the size was looked at with the memory
		}
	}
	if c.releases() && c.release == 0 {
		return e.reject(errno.EINVAL, "release kernel function %s expects refcounted PTR_TO_BTF_ID", c.name)
	}
	return nil
}

// scalarArg checks a number.
func (e *env) scalarArg(c *kcall, i int) error {
	regno := i + 1
	r := e.reg(uint8(regno))
	if r.Type != state.ScalarValue {
		return e.reject(errno.EINVAL, "R%d is not a scalar", regno)
	}
	name := c.params[i].name
	switch {
	case strings.HasSuffix(name, "__k"):
		if !r.Var.IsConst() {
			return e.reject(errno.EINVAL, "R%d must be a known constant", regno)
		}
		v := r.Var.Value
		c.constant = &v
		return e.markPrecise(regno)
	case name == "rdonly_buf_size" || name == "rdwr_buf_size":
		c.retReadOnly = name == "rdonly_buf_size"
		if !r.Var.IsConst() {
			return e.reject(errno.EINVAL, "R%d is not a const", regno)
		}
		c.retSize = uint32(r.Var.Value)
		return e.markPrecise(regno)
	}
	return nil
}

// pointerArg checks a pointer.
func (e *env) pointerArg(c *kcall, i int) (kclass, error) {
	regno := uint8(i + 1)
	r := e.reg(regno)
	if (c.trusted() || c.rcu()) && (r.IsNull() || r.MayBeNull()) && !strings.HasSuffix(c.params[i].name, "__nullable") {
		return 0, e.reject(errno.EACCES, "Possibly NULL pointer passed to trusted arg%d", i)
	}
	if r.RefObjID != 0 {
		if c.releases() && c.refObj != 0 {
			return 0, e.reject(errno.EFAULT, "more than one arg with ref_obj_id R%d %d %d", regno, r.RefObjID, c.refObj)
		}
		c.refObj = r.RefObjID
		if c.releases() {
			c.release = regno
		}
	}
	class, err := e.classify(c, i, r)
	if err != nil || class == kNull {
		return class, err
	}
	base := c.proto.Args[i].Type.Base()
	if class == kMap {
		if err := e.kfuncMap(c, regno, r); err != nil {
			return class, err
		}
	}
	if class == kMap || class == kObject || base == kernel.ArgAlloc && class == kSpecial {
		if err := e.checkTrust(c, regno, r); err != nil {
			return class, err
		}
	}
	if err := e.checkArgOffset(regno, r, c.releases() && r.RefObjID != 0, false); err != nil {
		return class, err
	}
	return class, e.pointerRule(c, i, class, r)
}

// checkTrust demands that the object is there for sure.
func (e *env) checkTrust(c *kcall, regno uint8, r *state.Reg) error {
	if !c.trusted() && !c.rcu() || e.isTrusted(r) {
		return nil
	}
	if !c.rcu() {
		return e.reject(errno.EINVAL, "R%d must be referenced or trusted", regno)
	}
	if !e.isRCU(r) {
		return e.reject(errno.EINVAL, "R%d must be a rcu pointer", regno)
	}
	return nil
}

// classify finds out what an argument is: some classes are told by its type, others
// by what the register has (get_kfunc_ptr_arg_type).
func (e *env) classify(c *kcall, i int, r *state.Reg) (kclass, error) {
	p := &c.params[i]
	view, _ := ctxStruct(e.prog.Type)
	base := c.proto.Args[i].Type.Base()
	switch {
	case c.name == "bpf_cast_to_kern_ctx", view != "" && p.target.TypeName() == view:
		return kCtx, nil
	case strings.HasSuffix(p.name, "__nullable") && r.IsNull():
		return kNull, nil
	case base == kernel.ArgConstMapPtr:
		return kMap, nil
	}
	switch base {
	case kernel.ArgAlloc, kernel.ArgRefcountedKptr, kernel.ArgDynptr, kernel.ArgIter, kernel.ArgListHead,
		kernel.ArgListNode, kernel.ArgRBRoot, kernel.ArgRBNode, kernel.ArgConstStr, kernel.ArgWorkqueue,
		kernel.ArgTaskWork, kernel.ArgIRQFlag, kernel.ArgResSpinLock:
		return kSpecial, nil
	}
	if e.structBehind(r) != nil {
		if _, _, _, ok := membersOf(p.target); !ok {
			return 0, e.reject(errno.EINVAL, "kernel function %s args#%d pointer type %s %s is not supported",
				c.name, i, kindName(p.target), p.target.TypeName())
		}
		return kObject, nil
	}
	if base == kernel.ArgFunc {
		return kFunc, nil
	}
	sized := i+1 < len(c.params) && isScalar(c.params[i+1].typ) && e.reg(uint8(i+2)).Type == state.ScalarValue &&
		(strings.HasSuffix(c.params[i+1].name, "__sz") || strings.HasSuffix(c.params[i+1].name, "__szk"))
	_, isVoid := p.target.(*btf.Void)
	if !isScalar(p.target) && !e.isScalarStruct(p.target, 0) && !(sized && isVoid) {
		void := ""
		if sized {
			void = "void, "
		}
		return 0, e.reject(errno.EINVAL, "arg#%d pointer type %s %s must point to %sscalar, or struct with scalar",
			i, kindName(p.target), p.target.TypeName(), void)
	}
	if sized {
		return kMemSize, nil
	}
	return kMem, nil
}

// kfuncMap notes the map that is passed; one that goes with a bpf_wq or
// bpf_task_work must be the one that has it.
func (e *env) kfuncMap(c *kcall, regno uint8, r *state.Reg) error {
	if r.Map == nil {
		return e.reject(errno.EINVAL, "pointer in R%d isn't map pointer", regno)
	}
	if c.m != nil && (c.m != r.Map || c.mapUID != r.MapUID) {
		rec := r.Map.Record
		if rec == nil {
			rec = c.m.Record // Linux 6.18 faults on a map without special fields
		}
		switch {
		case rec.Find(record.TaskWork) != nil:
			return e.reject(errno.EINVAL, "bpf_task_work pointer in R2 map_uid=%d doesn't match map pointer in R3 map_uid=%d",
				c.mapUID, r.MapUID)
		case rec.Find(record.Workqueue) != nil:
			return e.reject(errno.EINVAL, "workqueue pointer in R1 map_uid=%d doesn't match map pointer in R2 map_uid=%d",
				c.mapUID, r.MapUID)
		}
	}
	c.m, c.mapUID = r.Map, r.MapUID
	return nil
}

// pointerRule is the rule of a class.
func (e *env) pointerRule(c *kcall, i int, class kclass, r *state.Reg) error {
	regno := uint8(i + 1)
	switch class {
	case kCtx:
		if r.Type != state.PtrToCtx {
			return e.reject(errno.EINVAL, "arg#%d expected pointer to ctx, but got %s", i, r.Type)
		}
		if c.name == "bpf_cast_to_kern_ctx" && e.kernelContext() == nil {
			return &refusal{errno: errno.EINVAL, insn: e.insn}
		}
		return nil
	case kMap, kObject:
		return e.objectArg(c, i, class, r)
	case kFunc:
		if r.Type != state.PtrToFunc {
			return e.reject(errno.EINVAL, "arg%d expected pointer to func", i)
		}
		c.subprog = int(r.Subprog)
		return nil
	case kMem:
		n, err := btf.Sizeof(c.params[i].target)
		if err != nil {
			return e.reject(errno.EINVAL, "arg#%d reference type('%s %s') size cannot be determined: %d",
				i, kindName(c.params[i].target), c.params[i].target.TypeName(), -int(errno.EINVAL))
		}
		return e.checkMemArg(regno, r, n)
	case kMemSize:
		return e.memSizeArg(c, i, r)
	}
	return e.specialArg(c, i, r)
}

// specialArg is the rule of a class that the prototype tells.
func (e *env) specialArg(c *kcall, i int, r *state.Reg) error {
	regno := uint8(i + 1)
	switch c.proto.Args[i].Type.Base() {
	case kernel.ArgAlloc:
		return e.dropArg(c, i, r)
	case kernel.ArgRefcountedKptr:
		return e.sharedArg(c, i, r)
	case kernel.ArgDynptr:
		return e.dynptrArg(c, i, r)
	case kernel.ArgIter:
		return e.iterArg(c, i, r)
	case kernel.ArgListHead:
		return e.rootArg(c, i, r, record.ListHead)
	case kernel.ArgRBRoot:
		return e.rootArg(c, i, r, record.RBRoot)
	case kernel.ArgListNode:
		if err := e.isOwnObject(i, r); err != nil {
			return err
		}
		return e.nodeArg(c, i, r, record.ListHead)
	case kernel.ArgRBNode:
		return e.treeNodeArg(c, i, r)
	case kernel.ArgConstStr:
		if r.Type != state.PtrToMapValue {
			return e.reject(errno.EINVAL, "arg#%d doesn't point to a const string", i)
		}
		return e.checkConstStr(regno, r)
	case kernel.ArgWorkqueue:
		return e.workArg(c, i, r, record.Workqueue)
	case kernel.ArgTaskWork:
		return e.workArg(c, i, r, record.TaskWork)
	case kernel.ArgIRQFlag:
		if r.Type != state.PtrToStack {
			return e.reject(errno.EINVAL, "arg#%d doesn't point to an irq flag on stack", i)
		}
		return e.irqFlag(c, regno, r)
	case kernel.ArgResSpinLock:
		return e.resLockArg(c, i, r)
	}
	return e.reject(errno.EFAULT, "verifier bug: unknown kfunc arg type of arg#%d of %s", i, c.name)
}

// resLockArg takes or leaves a bpf_res_spin_lock.
func (e *env) resLockArg(c *kcall, i int, r *state.Reg) error {
	if r.Type != state.PtrToMapValue && r.Type != state.PtrToBTFID|state.Alloc {
		return e.reject(errno.EINVAL, "arg#%d doesn't point to map value or allocated object", i)
	}
	op := lockOp{kind: state.RefResLock, take: c.name == "bpf_res_spin_lock" || c.name == "bpf_res_spin_lock_irqsave"}
	if c.name == "bpf_res_spin_lock_irqsave" || c.name == "bpf_res_spin_unlock_irqrestore" {
		op.kind = state.RefResLockIRQ
	}
	return e.lock(op, uint8(i+1), r)
}

// dynptrArg checks or makes a dynptr.
func (e *env) dynptrArg(c *kcall, i int, r *state.Reg) error {
	regno := uint8(i + 1)
	if !strings.HasSuffix(c.params[i].name, "__uninit") {
		if err := e.useDynptr(regno, r, state.DynptrInvalid, r.Type == state.ConstPtrToDynptr); err != nil {
			return err
		}
		d := e.dynptrReg(r)
		c.dynptrID, c.dynptr, c.dynptrRef = d.ID, d.Dynptr, d.RefObjID
		return nil
	}
	if r.Type == state.ConstPtrToDynptr {
		return e.reject(errno.EFAULT, "verifier bug: misconfigured dynptr helper type flags")
	}
	kind := dynptrKind(c.proto.Args[i].Type)
	switch c.name {
	case "bpf_dynptr_clone":
		return e.makeDynptr(regno, r, c.dynptr, c.dynptrRef)
	case "bpf_dynptr_from_skb_meta":
		kind = state.DynptrSkbMeta
	}
	return e.makeDynptr(regno, r, kind, 0)
}

// objectArg checks the type of an object (process_kf_arg_ptr_to_btf_id).
func (e *env) objectArg(c *kcall, i int, class kclass, r *state.Reg) error {
	have := e.structBehind(r)
	isRCU := e.isRCU(r)
	unsafe := r.Type.Flags()&^(state.Alloc|state.Trusted|state.NonOwnRef) != 0
	if have == nil || r.Type.Base() == state.PtrToBTFID && unsafe && !isRCU {
		want := r.Type.Base() | r.Type.Flags()&(state.Alloc|state.Trusted|state.NonOwnRef)
		return e.reject(errno.EINVAL, "arg#%d is %s expected %s or socket", i, r.Type, want)
	}
	want := c.params[i].target
	if class == kMap {
		if t, err := e.prof.TypeByName("bpf_map"); err == nil {
			want = skip(t)
		}
	}
	strict := c.releases() && r.RefObjID != 0 || isAlias(have, want)
	if e.sameStruct(have, uint32(r.Off), want, strict) || isProjection(want, have) {
		return nil
	}
	return e.reject(errno.EINVAL, "kernel function %s args#%d expected pointer to %s %s but R%d has a pointer to %s %s",
		c.name, i, kindName(want), want.TypeName(), i+1, kindName(have), have.TypeName())
}

// asNotNull does f with a pointer that may be NULL taken as one that is not: where it
// is not, it must be good.
func asNotNull(r *state.Reg, f func() error) error {
	if !r.MayBeNull() {
		return f()
	}
	saved := *r
	markNotNull(r)
	err := f()
	*r = saved
	return err
}

// memSizeArg checks memory and the size in the next argument
// (check_kfunc_mem_size_reg).
func (e *env) memSizeArg(c *kcall, i int, r *state.Reg) error {
	regno := uint8(i + 2)
	size := e.reg(regno)
	if !r.IsNull() || !strings.HasSuffix(c.params[i].name, "__opt") {
		err := asNotNull(r, func() error {
			if err := e.checkSizeArg(&call{}, regno, size, read, true); err != nil {
				return err
			}
			return e.checkSizeArg(&call{}, regno, size, write, true)
		})
		if err != nil {
			return e.explainMore(err, "arg#%d arg#%d memory, len pair leads to invalid memory access", i, i+1)
		}
	}
	if strings.HasSuffix(c.params[i+1].name, "__szk") {
		if !size.Var.IsConst() {
			return e.reject(errno.EINVAL, "R%d must be a known constant", regno)
		}
		v := size.Var.Value
		c.constant = &v
	}
	return nil
}
