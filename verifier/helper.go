package verifier

import (
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// call is what the arguments of one call told.
type call struct {
	proto *kernel.Prototype
	name  string
	id    int32 // of a helper

	m      *state.Map // the map that was passed
	mapUID uint32
	// constKey is the known key of a look-up, -1 for none.
	constKey int64
	// raw says that the memory argument that is looked at is written by the call and
	// need not be initialised; rawReg and rawSize are what will be written.
	raw     bool
	rawReg  uint8
	rawSize int
	// memSize is a size that becomes that of the result, sizeMax the largest value of
	// a size argument.
	memSize uint32
	sizeMax uint64
	// release is the register whose reference the call gives up, 0 for none; refObj the
	// reference that was passed.
	release uint8
	refObj  uint32
	// dynptrID is that of the dynptr that was passed.
	dynptrID uint32
	// movesPacket is set for a call that may move the packet's data because of what it
	// was passed.
	movesPacket bool
	// subprog is the function that was passed.
	subprog int
	// kptr is the field that bpf_kptr_xchg changes.
	kptr *record.Field
	// percpu is the type of the per-CPU object that was passed.
	percpu *state.Reg
}

// mightSleep reports whether the call may sleep.
func (c *call) mightSleep() bool { return c.proto.Flags.Has(kernel.Sleepable) }

// checkHelperCall is a call of a helper (check_helper_call).
func (e *env) checkHelperCall(s *slot) error {
	lc := s.insn.Call
	if lc == nil || lc.Proto == nil {
		return e.reject(errno.EINVAL, "invalid func %s#%d", "unknown", s.Imm)
	}
	c := &call{proto: lc.Proto, name: lc.Name, id: lc.Proto.ID, constKey: -1}
	if !lc.Allowed {
		return e.reject(errno.EINVAL, "program of this type cannot use helper %s#%d", c.name, c.id)
	}
	if c.proto.Flags.Has(kernel.GPLOnly) && !e.gpl {
		return e.reject(errno.EINVAL, "cannot call GPL-restricted function from non-GPL compatible program")
	}
	if err := e.checkSleep(c); err != nil {
		return err
	}
	for i := range c.proto.Args {
		if err := e.checkArg(c, i); err != nil {
			return err
		}
	}
	if c.id == tailCall && c.m != nil {
		// The program that is called is known, and may be jumped to, if the index is.
		if r := e.reg(3); r.IsConst() && r.Var.Value < uint64(c.m.Spec.MaxEntries) {
			if err := e.markPrecise(3); err != nil {
				return err
			}
		}
	}
	// What the helper writes is written byte by byte.
	for i := range c.rawSize {
		if err := e.accessMem(memOp{regno: c.rawReg, off: i, size: 1, how: write, value: noRegister}); err != nil {
			return err
		}
	}
	if err := e.releaseArg(c); err != nil {
		return err
	}
	if err := e.helperRules(c); err != nil {
		return err
	}
	e.clobber()
	if err := e.helperResult(c); err != nil {
		return err
	}
	if err := e.checkMapType(c); err != nil {
		return err
	}
	switch {
	case c.id == tailCall && len(e.cur.Frames) > 1:
		return e.tailCallReturns()
	case (c.movesPacket || c.proto.Flags.Has(kernel.ChangesPacket)) && c.id != tailCall:
		e.clearPacketPointers()
	}
	e.insn++
	return nil
}

// tailCall is the number of bpf_tail_call.
const tailCall = 12

// checkSleep refuses a helper that may sleep where the program may not.
func (e *env) checkSleep(c *call) error {
	if !c.mightSleep() {
		return nil
	}
	switch {
	case !e.cur.InSleepable && e.cur.RCULocks == 0:
		return e.reject(errno.EINVAL, "helper call might sleep in a non-sleepable prog")
	case e.cur.RCULocks > 0:
		return e.reject(errno.EINVAL, "sleepable helper %s#%d in rcu_read_lock region", c.name, c.id)
	case e.cur.PreemptLocks > 0:
		return e.reject(errno.EINVAL, "sleepable helper %s#%d in non-preemptible region", c.name, c.id)
	case e.cur.IRQ != 0:
		return e.reject(errno.EINVAL, "sleepable helper %s#%d in IRQ-disabled region", c.name, c.id)
	}
	return nil
}

// clobber makes the registers that a call does not keep unreadable.
func (e *env) clobber() {
	for n := range uint8(6) {
		e.reg(n).MarkNotInit()
		e.reg(n).SubregDef = 0
	}
	e.touched.Regs &^= 1<<6 - 1
}

// helperRules are the rules of single helpers.
func (e *env) helperRules(c *call) error {
	switch c.name {
	case "bpf_tail_call":
		return e.checkLeaks(false, true, "tail_call")
	case "bpf_get_local_storage":
		if !e.reg(2).IsNull() {
			return e.reject(errno.EINVAL, "get_local_storage() doesn't support non-zero flags")
		}
	case "bpf_for_each_map_elem":
		return e.pushCallback(c.subprog, setMapElemCallback)
	case "bpf_timer_set_callback":
		return e.pushAsync(c.subprog, false, setTimerCallback)
	case "bpf_loop":
		if err := e.noteInlining(c.subprog); err != nil {
			return err
		}
		if err := e.markPrecise(1); err != nil {
			return err
		}
		f := e.cur.Cur()
		if uint64(f.CallbackDepth) < e.reg(1).UMax {
			return e.pushCallback(c.subprog, setLoopCallback)
		}
		f.CallbackDepth = 0
		if e.log.verbose() {
			e.log.printf("frame%d bpf_loop iteration limit reached\n", f.No)
		}
	case "bpf_dynptr_from_mem":
		if t := e.reg(1).Type; t != state.PtrToMapValue {
			return e.reject(errno.EACCES, "Unsupported reg type %s for bpf_dynptr_from_mem data", t)
		}
	case "bpf_snprintf":
		return e.checkSnprintf(c)
	}
	return e.dynptrHelperRules(c)
}

// helperResult puts the result into R0.
func (e *env) helperResult(c *call) error {
	r := e.reg(0)
	ret := c.proto.Return
	flags := state.Type(0)
	if ret.Type.Has(kernel.RetMaybeNull) {
		flags |= state.MaybeNull
	}
	e.touched.Reg(0)
	switch ret.Type.Base() {
	case kernel.RetInteger:
		r.MarkUnknown()
	case kernel.RetVoid:
		r.MarkNotInit()
		return nil
	case kernel.RetMapValue:
		if c.m == nil {
			return e.reject(errno.EINVAL, "kernel subsystem misconfigured verifier")
		}
		if c.name == "bpf_map_lookup_elem" && keyAlwaysFound(c.m.Spec.Type) && c.constKey >= 0 &&
			uint64(c.constKey) < uint64(c.m.Spec.MaxEntries) {
			flags = 0
		}
		r.MarkPointer(state.PtrToMapValue | flags)
		r.Map, r.MapUID = c.m, c.mapUID
		if flags == 0 && (c.m.Record.Find(record.SpinLock) != nil || c.m.Record.Find(record.ResSpinLock) != nil) {
			r.ID = e.newID()
		}
	case kernel.RetSocket:
		r.MarkPointer(state.PtrToSocket | flags)
	case kernel.RetSockCommon:
		r.MarkPointer(state.PtrToSockCommon | flags)
	case kernel.RetTCPSock:
		r.MarkPointer(state.PtrToTCPSock | flags)
	case kernel.RetMem, kernel.RetDynptrMem:
		t := state.PtrToMem | flags
		if c.proto.Flags.Has(kernel.Acquire) {
			t |= state.Ringbuf
		}
		if ret.Type.Has(kernel.RetReadOnly) {
			t |= state.ReadOnly
		}
		r.MarkPointer(t)
		r.MemSize = c.memSize
	case kernel.RetMemOrBTFID:
		if err := e.percpuResult(c, flags); err != nil {
			return err
		}
	case kernel.RetBTFID:
		if err := e.objectResult(c, flags); err != nil {
			return err
		}
	default:
		return e.reject(errno.EINVAL, "unknown return type %d of func %s#%d", uint32(ret.Type.Base()), c.name, c.id)
	}
	if r.MayBeNull() {
		r.ID = e.newID()
	}
	switch {
	case slices.Contains(castHelpers, c.name):
		r.RefObjID = c.refObj
	case c.name == "bpf_dynptr_data":
		r.DynptrID, r.RefObjID = c.dynptrID, c.refObj
	case c.proto.Flags.Has(kernel.Acquire) || acquiresFromMap(c):
		id := e.acquire()
		r.ID, r.RefObjID = id, id
	}
	e.refineResult(c)
	return nil
}

// castHelpers give another view of the object that they are passed.
var castHelpers = []string{
	"bpf_tcp_sock", "bpf_sk_fullsock", "bpf_skc_to_tcp_sock", "bpf_skc_to_tcp6_sock", "bpf_skc_to_udp6_sock",
	"bpf_skc_to_mptcp_sock", "bpf_skc_to_tcp_timewait_sock", "bpf_skc_to_tcp_request_sock",
}

// acquiresFromMap reports whether a look-up gives a reference: that of a socket.
func acquiresFromMap(c *call) bool {
	return c.name == "bpf_map_lookup_elem" && c.m != nil && holdsSockets(c.m.Spec.Type)
}

// keyAlwaysFound reports whether a look-up finds every key below the size.
func keyAlwaysFound(t ebpf.MapType) bool { return t == ebpf.Array || t == ebpf.PerCPUArray }

// maxErrno is the largest errno.
const maxErrno = 4095

// refineResult narrows results that are known to (do_refine_retval_range).
func (e *env) refineResult(c *call) {
	r := e.reg(0)
	if c.proto.Return.Type.Base() != kernel.RetInteger {
		return
	}
	switch c.name {
	case "bpf_get_stack", "bpf_get_task_stack", "bpf_probe_read_str", "bpf_probe_read_kernel_str", "bpf_probe_read_user_str":
		r.SMax, r.S32Max = int64(c.sizeMax), int32(c.sizeMax)
		r.SMin, r.S32Min = -maxErrno, -maxErrno
		r.Sync()
	case "bpf_get_smp_processor_id":
		last := uint32(e.opts.CPUs - 1)
		r.UMax, r.U32Max = uint64(last), last
		r.UMin, r.U32Min = 0, 0
		r.SMin, r.S32Min, r.SMax, r.S32Max = 0, 0, int64(last), int32(last)
		r.Sync()
	}
}

// objectResult is a kernel object, or what a kptr held.
func (e *env) objectResult(c *call, flags state.Type) error {
	r := e.reg(0)
	if c.kptr != nil {
		t := state.PtrToBTFID | flags
		target, own := e.kptrTarget(c.kptr)
		if own {
			t |= state.Alloc
			if c.kptr.Kind == record.KptrPercpu {
				t |= state.Percpu
			}
		}
		r.MarkPointer(t)
		r.BTF = target
		return nil
	}
	t, err := e.prof.TypeByName(c.proto.Return.BTF)
	if err != nil {
		return e.reject(errno.EINVAL, "invalid return type %d of func %s#%d", 0, c.name, c.id)
	}
	if c.proto.Return.Type.Has(kernel.RetTrusted) {
		flags |= state.Trusted
	}
	r.MarkPointer(state.PtrToBTFID | flags)
	r.BTF = skip(t)
	return nil
}

// percpuResult is the variable or object of a CPU.
func (e *env) percpuResult(c *call, flags state.Type) error {
	r := e.reg(0)
	if c.percpu == nil {
		return e.reject(errno.EINVAL, "kernel subsystem misconfigured verifier")
	}
	t := c.percpu.BTF
	if _, _, _, isStruct := membersOf(t); !isStruct {
		size, err := btf.Sizeof(t)
		if err != nil {
			return e.reject(errno.EINVAL, "unable to resolve the size of type '%s': %d", t.TypeName(), -int(errno.EINVAL))
		}
		r.MarkPointer(state.PtrToMem | state.ReadOnly | flags)
		r.MemSize = uint32(size)
		return nil
	}
	if c.percpu.Type.Has(state.RCU) {
		flags = state.Alloc | state.RCU // the program's own; the kernel takes every CPU to have one
	}
	r.MarkPointer(state.PtrToBTFID | flags)
	r.BTF = t
	return nil
}
