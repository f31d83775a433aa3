package verifier

import (
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/verifier/state"
)

// What registers may be passed for each class of argument, in the order in which
// messages list them (compatible_reg_types).
var (
	memTypes = []state.Type{state.PtrToStack, state.PtrToPacket, state.PtrToPacketMeta, state.PtrToMapKey,
		state.PtrToMapValue, state.PtrToMem, state.PtrToMem | state.Ringbuf, state.PtrToBuf, state.PtrToBTFID | state.Trusted}
	sockTypesArg    = []state.Type{state.PtrToSockCommon, state.PtrToSocket, state.PtrToTCPSock, state.PtrToXDPSock}
	sockCommonTypes = append(sockTypesArg[:4:4], state.PtrToBTFID, state.PtrToBTFID|state.Trusted)
	btfTypes        = []state.Type{state.PtrToBTFID, state.PtrToBTFID | state.Trusted, state.PtrToBTFID | state.RCU}
	percpuTypes     = []state.Type{state.PtrToBTFID | state.Percpu, state.PtrToBTFID | state.Percpu | state.RCU, state.PtrToBTFID | state.Percpu | state.Trusted}
	lockTypes       = []state.Type{state.PtrToMapValue, state.PtrToBTFID | state.Alloc}
	kptrDestTypes   = []state.Type{state.PtrToMapValue, state.PtrToBTFID | state.Alloc}
	dynptrTypes     = []state.Type{state.PtrToStack, state.ConstPtrToDynptr}
)

var compatible = map[kernel.ArgType][]state.Type{
	kernel.ArgMapKey:          memTypes,
	kernel.ArgMapValue:        memTypes,
	kernel.ArgConstSize:       {state.ScalarValue},
	kernel.ArgConstSizeOrZero: {state.ScalarValue},
	kernel.ArgAllocSizeOrZero: {state.ScalarValue},
	kernel.ArgConstMapPtr:     {state.ConstPtrToMap},
	kernel.ArgCtx:             {state.PtrToCtx},
	kernel.ArgSockCommon:      sockTypesArg,
	kernel.ArgBTFIDSockCommon: sockCommonTypes,
	kernel.ArgSocket:          {state.PtrToSocket},
	kernel.ArgBTFID:           btfTypes,
	kernel.ArgSpinLock:        lockTypes,
	kernel.ArgMem:             memTypes,
	kernel.ArgRingbufMem:      {state.PtrToMem | state.Ringbuf},
	kernel.ArgPercpuBTFID:     percpuTypes,
	kernel.ArgFunc:            {state.PtrToFunc},
	kernel.ArgStack:           {state.PtrToStack},
	kernel.ArgConstStr:        {state.PtrToMapValue},
	kernel.ArgTimer:           {state.PtrToMapValue},
	kernel.ArgKptrXchgDest:    kptrDestTypes,
	kernel.ArgDynptr:          dynptrTypes,
}

// checkArg checks argument i of a helper (check_func_arg).
func (e *env) checkArg(c *call, i int) error {
	regno := uint8(i + 1)
	arg := c.proto.Args[i]
	if arg.Type.Base() == kernel.ArgMapValue && c.m != nil && holdsSockets(c.m.Spec.Type) {
		arg = kernel.Arg{Name: arg.Name, C: arg.C, Type: kernel.ArgBTFIDSockCommon}
	}
	t := arg.Type
	if t.Base() == kernel.ArgNone {
		return nil
	}
	if err := e.readReg(regno); err != nil {
		return err
	}
	if t.Base() == kernel.ArgAnything {
		return nil
	}
	r := e.reg(regno)
	if r.Type.IsPacket() && !e.helperMayReadPacket(c) {
		return e.reject(errno.EACCES, "helper access to the packet is not allowed")
	}
	if !r.IsNull() || !t.Has(kernel.ArgMaybeNull) {
		if err := e.checkArgType(c, &arg, regno, r); err != nil {
			return err
		}
		if err := e.checkArgOffset(regno, r, t.Has(kernel.ArgRelease), t.Base() == kernel.ArgDynptr); err != nil {
			return err
		}
	}
	if t.Has(kernel.ArgRelease) {
		if t.Base() == kernel.ArgDynptr {
			if err := e.checkDynptrRelease(c, regno, r); err != nil {
				return err
			}
		} else if r.RefObjID == 0 && !r.IsNull() {
			return e.reject(errno.EINVAL, "R%d must be referenced when passed to release function", regno)
		}
		c.release = regno
	}
	if r.RefObjID != 0 && t.Base() != kernel.ArgKptrXchgDest {
		if c.refObj != 0 {
			return e.reject(errno.EFAULT, "more than one arg with ref_obj_id R%d %d %d", regno, r.RefObjID, c.refObj)
		}
		c.refObj = r.RefObjID
	}
	return e.checkArgClass(c, i, &arg, regno, r)
}

// checkArgClass is the rule of an argument's class.
func (e *env) checkArgClass(c *call, i int, arg *kernel.Arg, regno uint8, r *state.Reg) error {
	t := arg.Type
	how := read
	if t.Has(kernel.ArgWrite) || t.Has(kernel.ArgUninit) {
		how = write
	}
	switch t.Base() {
	case kernel.ArgConstMapPtr:
		if c.m != nil && (c.m != r.Map || c.mapUID != r.MapUID) {
			return e.reject(errno.EINVAL, "timer pointer in R1 map_uid=%d doesn't match map pointer in R2 map_uid=%d",
				c.mapUID, r.MapUID)
		}
		c.m, c.mapUID = r.Map, r.MapUID
	case kernel.ArgMapKey:
		if c.m == nil {
			return e.reject(errno.EACCES, "invalid map_ptr to access map->key")
		}
		if err := e.checkHelperMem(nil, regno, int(c.m.Spec.KeySize), read, false); err != nil {
			return err
		}
		if keyAlwaysFound(c.m.Spec.Type) {
			return e.findConstKey(c, r)
		}
	case kernel.ArgMapValue:
		if t.Has(kernel.ArgMaybeNull) && r.IsNull() {
			return nil
		}
		if c.m == nil {
			return e.reject(errno.EACCES, "invalid map_ptr to access map->value")
		}
		c.raw = t.Has(kernel.ArgUninit)
		return e.checkHelperMem(c, regno, int(c.m.Spec.ValueSize), how, false)
	case kernel.ArgPercpuBTFID:
		if r.BTF == nil {
			return e.reject(errno.EACCES, "Helper has invalid btf_id in R%d", regno)
		}
		object := *r // the register does not outlive the call
		c.percpu = &object
	case kernel.ArgSpinLock:
		return e.processLock(c, regno, r)
	case kernel.ArgTimer:
		return e.processTimer(c, regno, r)
	case kernel.ArgFunc:
		c.subprog = int(r.Subprog)
	case kernel.ArgMem:
		c.raw = t.Has(kernel.ArgUninit)
		if t.Has(kernel.ArgFixedSize) {
			if err := e.checkHelperMem(c, regno, int(arg.Size), how, false); err != nil {
				return err
			}
			if t.Has(kernel.ArgAligned) {
				return e.checkAlignment(r, &memOp{regno: regno, size: int(arg.Size), strict: true})
			}
		}
	case kernel.ArgConstSize, kernel.ArgConstSizeOrZero:
		how = read
		if i > 0 {
			if p := c.proto.Args[i-1].Type; p.Has(kernel.ArgWrite) || p.Has(kernel.ArgUninit) {
				how = write
			}
		}
		return e.checkSizeArg(c, regno, r, how, t.Base() == kernel.ArgConstSizeOrZero)
	case kernel.ArgAllocSizeOrZero:
		if !r.Var.IsConst() {
			return e.reject(errno.EACCES, "R%d is not a known constant'", regno)
		}
		c.memSize = uint32(r.Var.Value)
		return e.markPrecise(int(regno))
	case kernel.ArgDynptr:
		return e.processDynptr(c, i, regno, r)
	case kernel.ArgConstStr:
		return e.checkConstStr(regno, r)
	case kernel.ArgKptrXchgDest:
		return e.processKptr(c, regno, r)
	}
	return nil
}

// holdsSockets reports whether the values of a map are sockets: a program stores the
// socket itself (resolve_map_arg_type).
func holdsSockets(t ebpf.MapType) bool { return t == ebpf.SockMap || t == ebpf.SockHash }

// packetHelpers may be given packet pointers by programs that may not write to the
// packet as well.
func (e *env) helperMayReadPacket(c *call) bool {
	switch e.prog.Type {
	case ebpf.SchedCLS, ebpf.SchedACT, ebpf.XDP, ebpf.LWTXmit, ebpf.SkSKB, ebpf.SkMsg:
		return c.proto.Flags.Has(kernel.PacketAccess)
	case ebpf.LWTIn, ebpf.LWTOut, ebpf.LWTSeg6Local, ebpf.SkReuseport, ebpf.FlowDissector, ebpf.CGroupSKB:
		return c.proto.Flags.Has(kernel.PacketAccess)
	}
	return false
}

// checkArgType compares the type of a register with what the class takes
// (check_reg_type).
func (e *env) checkArgType(c *call, arg *kernel.Arg, regno uint8, r *state.Reg) error {
	list := compatible[arg.Type.Base()]
	t := r.Type
	if arg.Type.Has(kernel.ArgReadOnly) {
		t &^= state.ReadOnly
	}
	if arg.Type.Has(kernel.ArgMaybeNull) {
		t &^= state.MaybeNull
	}
	if c.name == "bpf_kptr_xchg" && t.Has(state.Alloc) && regno == 2 {
		t &^= state.Alloc | state.Percpu
	}
	found := false
	for _, want := range list {
		found = found || t == want
	}
	if !found {
		var names []string
		for _, want := range list {
			names = append(names, want.String())
		}
		return e.reject(errno.EACCES, "R%d type=%s expected=%s", regno, r.Type, strings.Join(names, ", "))
	}
	if r.Type.Base() != state.PtrToBTFID {
		return nil
	}
	if arg.Type.Base() == kernel.ArgMem {
		if !arg.Type.Has(kernel.ArgReadOnly) {
			return e.reject(errno.EACCES, "%s() may write into memory pointed by R%d type=%s", c.name, regno, r.Type)
		}
		return nil
	}
	return e.checkArgObject(c, arg, regno, r)
}

// checkArgObject checks the type of a kernel object.
func (e *env) checkArgObject(c *call, arg *kernel.Arg, regno uint8, r *state.Reg) error {
	switch t := r.Type &^ state.MaybeNull; {
	case t == state.PtrToBTFID, t == state.PtrToBTFID|state.Trusted, t == state.PtrToBTFID|state.RCU:
	case r.Type&^(state.NonOwnRef|state.RCU|state.Percpu) == state.PtrToBTFID|state.Alloc &&
		(!r.Type.Has(state.RCU) || r.Type.Has(state.NonOwnRef)):
	case r.Type&^(state.RCU|state.Trusted) == state.PtrToBTFID|state.Percpu:
	default:
		return e.reject(errno.EFAULT, "verifier bug: invalid PTR_TO_BTF_ID register for type match")
	}
	if r.Type.Has(state.Alloc) || r.Type.Has(state.Percpu) {
		if c.name == "bpf_kptr_xchg" && regno == 2 {
			return e.matchKptr(c.kptr, r, regno)
		}
		return nil // the rule of the helper looks at it
	}
	release := arg.Type.Has(kernel.ArgRelease)
	if r.MayBeNull() && (!arg.Type.Has(kernel.ArgMaybeNull) || release) {
		return e.reject(errno.EACCES, "Possibly NULL pointer passed to helper arg%d", regno)
	}
	if c.name == "bpf_kptr_xchg" {
		return e.matchKptr(c.kptr, r, regno)
	}
	name := arg.BTF
	if name == "" {
		name = "sock_common"
	}
	want, err := e.prof.TypeByName(name)
	if err != nil {
		return e.reject(errno.EFAULT, "struct %s is not in the kernel's BTF", name)
	}
	strict := release && c.name != "bpf_sk_release"
	if !e.sameStruct(r.BTF, uint32(r.Off), skip(want), strict) {
		return e.reject(errno.EACCES, "R%d is of type %s but %s is expected", regno, r.BTF.TypeName(), name)
	}
	return nil
}

// checkArgOffset says how far from its object's start a pointer may be
// (check_func_arg_reg_off).
func (e *env) checkArgOffset(regno uint8, r *state.Reg, release, dynptr bool) error {
	if release {
		if dynptr && r.Type == state.PtrToStack {
			return nil
		}
		if r.Off != 0 {
			return e.reject(errno.EINVAL, "R%d must have zero offset when passed to release func or trusted arg to kfunc", regno)
		}
		return e.checkFixedOffset(regno, r, false)
	}
	switch r.Type {
	case state.PtrToStack, state.PtrToPacket, state.PtrToPacketMeta, state.PtrToMapKey, state.PtrToMapValue,
		state.PtrToBuf, state.PtrToBuf | state.ReadOnly, state.PtrToArena, state.ScalarValue,
		state.PtrToMem | state.Ringbuf:
		return nil
	case state.PtrToMem, state.PtrToMem | state.ReadOnly:
		// A slice of a dynptr is of a type of its own.
		if r.Dynptr == state.DynptrInvalid {
			return nil
		}
	case state.PtrToBTFID, state.PtrToBTFID | state.Alloc, state.PtrToBTFID | state.Trusted, state.PtrToBTFID | state.RCU,
		state.PtrToBTFID | state.Alloc | state.NonOwnRef, state.PtrToBTFID | state.Alloc | state.NonOwnRef | state.RCU:
		return e.checkFixedOffset(regno, r, true)
	}
	return e.checkFixedOffset(regno, r, false)
}

// checkSizeArg checks a size, and the memory in the register before it
// (check_mem_size_reg).
func (e *env) checkSizeArg(c *call, regno uint8, r *state.Reg, how access, zeroAllowed bool) error {
	if c != nil {
		c.sizeMax = r.UMax
	}
	meta := c
	if !r.Var.IsConst() {
		meta = nil // some of the memory may stay as it was
	}
	switch {
	case r.SMin < 0:
		return e.reject(errno.EACCES, "R%d min value is negative, either use unsigned or 'var &= const'", regno)
	case r.UMin == 0 && !zeroAllowed:
		return e.reject(errno.EACCES, "R%d invalid zero-sized read: u64=[%d,%d]", regno, int64(r.UMin), int64(r.UMax))
	case r.UMax >= maxVarOff:
		return e.reject(errno.EACCES, "R%d unbounded memory access, use 'var &= const' or 'if (var < const)'", regno)
	}
	if err := e.checkHelperMem(meta, regno-1, int(r.UMax), how, zeroAllowed); err != nil {
		return err
	}
	return e.markPrecise(int(regno))
}

// checkHelperMem checks memory that a call reads or writes
// (check_helper_mem_access). c is nil where nothing may stay uninitialised.
func (e *env) checkHelperMem(c *call, regno uint8, size int, how access, zeroAllowed bool) error {
	r := e.reg(regno)
	off := int(r.Off)
	switch r.Type.Base() {
	case state.PtrToPacket, state.PtrToPacketMeta:
		if how == write {
			e.seenDirectWrite = true
		}
		return e.checkPacket(regno, r, off, size, zeroAllowed)
	case state.PtrToMapKey:
		if how == write {
			return e.reject(errno.EACCES, "R%d cannot write into %s", regno, r.Type)
		}
		return e.checkRegion(regno, r, off, size, int(r.Map.Spec.KeySize), zeroAllowed)
	case state.PtrToMapValue: // or NULL, where that may be passed
		if err := e.checkMapFlags(r, off, size, how); err != nil {
			return err
		}
		return e.checkMapValue(regno, r, off, size, zeroAllowed, false)
	case state.PtrToMem:
		if how == write && r.Type.Has(state.ReadOnly) {
			return e.reject(errno.EACCES, "R%d cannot write into %s", regno, r.Type)
		}
		return e.checkRegion(regno, r, off, size, int(r.MemSize), zeroAllowed)
	case state.PtrToStack:
		return e.checkStackInitialized(regno, off, size, zeroAllowed, how, c)
	case state.PtrToBTFID:
		return e.accessBTF(r, &memOp{regno: regno, off: off, size: size, how: read, value: noRegister})
	}
	if zeroAllowed && size == 0 && r.IsNull() {
		return nil
	}
	return e.reject(errno.EACCES, "R%d type=%s expected=%s", regno, r.Type, state.PtrToStack)
}

// checkStackInitialized checks a range of stack that a call reads or writes
// (check_stack_range_initialized).
func (e *env) checkStackInitialized(regno uint8, off, size int, zeroAllowed bool, how access, c *call) error {
	r := e.reg(regno)
	if size == 0 && !zeroAllowed {
		return e.reject(errno.EACCES, "invalid zero-sized read")
	}
	lo, hi, err := e.stackRange(regno, r, off, size, how)
	if err != nil {
		return err
	}
	f := e.frameOf(r)
	if c != nil && c.raw && r.Var.IsConst() {
		for at := lo; at < hi; at++ {
			if i, b := state.Index(at); f.Stack[i].Bytes[b] == state.SlotDynptr {
				return e.reject(errno.EACCES, "potential write to dynptr at off=%d disallowed", at)
			}
		}
		c.rawReg, c.rawSize = regno, size
		return nil
	}
	for at := lo; at < hi; at++ {
		i, b := state.Index(at)
		sl := &f.Stack[i]
		e.readsSlot(f, i)
		switch kind := sl.Bytes[b]; {
		case kind == state.SlotMisc:
		case kind == state.SlotZero || kind == state.SlotInvalid:
			if how == write {
				sl.Bytes[b] = state.SlotMisc
			}
		case sl.IsSpilled():
			if how == write {
				scrub(sl)
			}
		default:
			if r.Var.IsConst() {
				return e.reject(errno.EACCES, "invalid read from stack R%d off %d+%d size %d", regno, lo, at-lo, size)
			}
			return e.reject(errno.EACCES, "invalid read from stack R%d var_off %s+%d size %d", regno, r.Var, at-lo, size)
		}
	}
	return nil
}

// findConstKey notes a key that is known: a number spilled to the stack
// (get_constant_map_key).
func (e *env) findConstKey(c *call, r *state.Reg) error {
	if r.Type != state.PtrToStack || !r.Var.IsConst() {
		return nil
	}
	at := int(r.Off) + int(int64(r.Var.Value))
	f := e.frameOf(r)
	i, b := state.Index(at)
	if i < 0 || i >= len(f.Stack) {
		return nil
	}
	sl := &f.Stack[i]
	size := int(c.m.Spec.KeySize)
	zeros := 0
	for zeros < size && b-zeros >= 0 && sl.Bytes[b-zeros] == state.SlotZero {
		zeros++
	}
	if zeros == size {
		c.constKey = 0
		return nil
	}
	if !sl.IsSpilledScalar() || !sl.Spilled.IsConst() {
		return nil
	}
	spilled := 0
	for spilled <= b && sl.Bytes[b-spilled] == state.SlotSpill {
		spilled++
	}
	if spilled != size {
		return nil
	}
	c.constKey = int64(uint32(sl.Spilled.Var.Value))
	return e.markPreciseSlot(int(f.No), i)
}
