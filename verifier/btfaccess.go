package verifier

import (
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// accessBTF is an access to a kernel object, or to one of the program's own types
// (check_ptr_to_btf_access).
func (e *env) accessBTF(r *state.Reg, op *memOp) error {
	name := r.BTF.TypeName()
	kernels := !r.Type.Has(state.Alloc)
	switch {
	case kernels && !e.gpl:
		return e.reject(errno.EINVAL, "Cannot access kernel 'struct %s' from non-GPL compatible program", name)
	case op.off < 0:
		return e.reject(errno.EACCES, "R%d is ptr_%s invalid negative access: off=%d", op.regno, name, op.off)
	case !r.Var.IsConst() || r.Var.Value != 0:
		return e.reject(errno.EACCES, "R%d is ptr_%s invalid variable offset: off=%d, var_off=%s", op.regno, name, op.off, r.Var)
	case r.Type.Has(state.User):
		return e.reject(errno.EACCES, "R%d is ptr_%s access user memory: off=%d", op.regno, name, op.off)
	case r.Type.Has(state.Percpu):
		return e.reject(errno.EACCES, "R%d is ptr_%s access percpu memory: off=%d", op.regno, name, op.off)
	}
	if kernels && op.how == write && !r.Type.Has(state.Untrusted) {
		return e.writeKernelObject(r, op)
	}
	if op.how == write && !ownObject(r.Type) {
		return e.reject(errno.EACCES, "only read is supported")
	}
	w, err := e.accessStruct(r, r.BTF, op)
	if err != nil {
		return err
	}
	if op.how == read && op.value >= 0 {
		e.loadWalked(r, w, op)
	}
	return nil
}

// ownObject reports whether t is an object of the program's own that it may write
// (type_is_ptr_alloc_obj, or one that a list or tree owns).
func ownObject(t state.Type) bool {
	return t.Base() == state.PtrToBTFID && t.Has(state.Alloc) && !t.Has(state.Untrusted)
}

// accessStruct checks an access to a struct, whose special fields only kfuncs may
// touch (btf_struct_access).
func (e *env) accessStruct(r *state.Reg, t btf.Type, op *memOp) (walked, error) {
	if r.Type.Has(state.Alloc) {
		for _, f := range e.recordOf(t) {
			if uint32(op.off) < f.Offset+f.Size && f.Offset < uint32(op.off+op.size) {
				return walked{}, e.reject(errno.EACCES, "direct access to %s is disallowed", f.Kind)
			}
		}
	}
	w, err := e.walkStruct(t, uint32(op.off), uint32(op.size), false)
	if err == nil && r.Type.Has(state.Alloc) && !w.untyped {
		w = walked{} // a pointer to a struct in a program's own object is but a number
	}
	return w, err
}

// recordOf are the special fields of a program's own type.
func (e *env) recordOf(t btf.Type) []record.Field {
	rec, ok := e.records[t]
	if !ok {
		if s, isStruct := t.(*btf.Struct); isStruct && record.IsObject(s) {
			// An error would have kept the object's BTF from being loaded.
			rec, _ = record.ParseObject(s, e.prog.Types)
		}
		e.records[t] = rec
	}
	if rec == nil {
		return nil
	}
	return rec.Fields
}

// loadWalked puts what an access reached into the register that is loaded, with the
// trust that the way there leaves.
func (e *env) loadWalked(r *state.Reg, w walked, op *memOp) {
	d := e.reg(uint8(op.value))
	switch {
	case w.untyped:
		d.MarkPointer(state.PtrToMem | state.ReadOnly | state.Untrusted)
		return
	case w.typ == nil:
		e.loadUnknown(op)
		return
	}
	flags := w.flags
	switch {
	case r.Type.Has(state.Untrusted):
		flags = state.Untrusted
	case e.isTrusted(r) || e.isRCU(r):
		// Trust does not reach beyond the object, but where the kernel says that a member
		// lives as long as what holds it.
		parent := r.BTF.TypeName()
		switch {
		case safeMember(trustedMembers, parent, w.member):
			flags |= state.Trusted
		case safeMember(trustedOrNullMembers, parent, w.member):
			flags |= state.Trusted | state.MaybeNull
		case e.inRCU() && !flags.Has(state.Untrusted):
			switch {
			case safeMember(rcuMembers, parent, w.member):
				flags |= state.RCU
			case flags.Has(state.RCU) || safeMember(rcuOrNullMembers, parent, w.member):
				flags |= state.RCU | state.MaybeNull
			case flags&(state.Percpu|state.User) != 0:
			default:
				flags &^= state.Trusted | state.RCU
			}
		default:
			flags &^= state.Trusted | state.RCU
		}
	default:
		flags &^= state.Trusted | state.RCU
	}
	d.MarkPointer(state.PtrToBTFID | flags)
	d.BTF = w.typ
	if flags.Has(state.MaybeNull) {
		d.ID = e.newID()
	}
}

// Members that the kernel keeps alive with what holds them, by struct: a property of
// its code that BTF does not tell (BTF_TYPE_SAFE_*).
var (
	rcuMembers = map[string][]string{
		"task_struct":         {"cpus_ptr", "cgroups", "real_parent", "group_leader"},
		"cgroup":              {"kn"},
		"css_set":             {"dfl_cgrp"},
		"cgroup_subsys_state": {"cgroup"},
	}
	rcuOrNullMembers = map[string][]string{
		"mm_struct":      {"exe_file"},
		"sk_buff":        {"sk"},
		"request_sock":   {"sk"},
		"vm_area_struct": {"vm_mm"},
	}
	trustedMembers = map[string][]string{
		"bpf_iter_meta":  {"seq"},
		"bpf_iter__task": {"meta", "task"},
		"linux_binprm":   {"file"},
		"file":           {"f_inode"},
	}
	trustedOrNullMembers = map[string][]string{
		"socket":         {"sk"},
		"dentry":         {"d_inode"},
		"vm_area_struct": {"vm_file"},
	}
)

func safeMember(table map[string][]string, parent, member string) bool {
	return slices.Contains(table[parent], member)
}

// writableMembers are the members of kernel objects that programs may write, by
// struct.
var writableMembers = map[string][]string{
	"nf_conn":        {"mark"},
	"nf_conn___init": {"mark"},
}

// writeKernelObject is a store into a kernel object: tc and XDP programs may write a
// connection's mark.
func (e *env) writeKernelObject(r *state.Reg, op *memOp) error {
	name := r.BTF.TypeName()
	members, known := writableMembers[name]
	if e.prog.Type != ebpf.SchedCLS && e.prog.Type != ebpf.SchedACT && e.prog.Type != ebpf.XDP || !known {
		return e.reject(errno.EACCES, "only read is supported")
	}
	for _, m := range members {
		// Both types are laid out alike.
		off, size, err := e.prof.Field("nf_conn", m)
		if err != nil || uint32(op.off) != off {
			continue
		}
		if uint32(op.off+op.size) > off+size {
			return e.reject(errno.EACCES, "write access at off %d with size %d beyond the member of nf_conn ended at %d",
				op.off, op.size, off+size)
		}
		return nil
	}
	return e.reject(errno.EACCES, "no write support to nf_conn at off %d", op.off)
}

// mapStructs are the structs behind map pointers, by type.
var mapStructs = map[ebpf.MapType]string{
	ebpf.Array: "bpf_array", ebpf.PerCPUArray: "bpf_array", ebpf.ProgramArray: "bpf_array", ebpf.PerfEventArray: "bpf_array",
	ebpf.CGroupArray: "bpf_array", ebpf.ArrayOfMaps: "bpf_array", ebpf.Hash: "bpf_htab", ebpf.PerCPUHash: "bpf_htab",
	ebpf.LRUHash: "bpf_htab", ebpf.LRUCPUHash: "bpf_htab", ebpf.HashOfMaps: "bpf_htab", ebpf.LPMTrie: "lpm_trie",
	ebpf.StackTrace: "bpf_stack_map", ebpf.DevMap: "bpf_dtab", ebpf.DevMapHash: "bpf_dtab", ebpf.CPUMap: "bpf_cpu_map",
	ebpf.XSKMap: "xsk_map", ebpf.SockMap: "bpf_stab", ebpf.SockHash: "bpf_shtab", ebpf.ReusePortSockArray: "reuseport_array",
	ebpf.Queue: "bpf_queue_stack", ebpf.Stack: "bpf_queue_stack", ebpf.SkStorage: "bpf_local_storage_map",
	ebpf.RingBuf: "bpf_ringbuf_map", ebpf.UserRingbuf: "bpf_ringbuf_map", bloomFilter: "bpf_bloom_filter",
	ebpf.CGroupStorage: "bpf_cgroup_storage_map", ebpf.PerCPUCGroupStorage: "bpf_cgroup_storage_map",
	ebpf.InodeStorage: "bpf_local_storage_map", ebpf.TaskStorage: "bpf_local_storage_map", ebpf.CgroupStorage: "bpf_local_storage_map",
}

// accessMapPtr reads the kernel's struct of a map (check_ptr_to_map_access).
func (e *env) accessMapPtr(r *state.Reg, op *memOp) error {
	name, ok := mapStructs[r.Map.Spec.Type]
	if !ok {
		return e.reject(errno.ENOTSUPP, "map_ptr access not supported for map type %d", r.Map.Spec.Type)
	}
	if op.off < 0 {
		return e.reject(errno.EACCES, "R%d is %s invalid negative access: off=%d", op.regno, name, op.off)
	}
	if op.how == write {
		return e.reject(errno.EACCES, "only read from %s is supported", name)
	}
	t, err := e.prof.TypeByName(name)
	if err != nil {
		return e.reject(errno.EINVAL, "struct %s is not in the kernel's BTF", name)
	}
	w, err := e.accessStruct(r, t, op)
	if err != nil {
		return err
	}
	if op.value >= 0 {
		w.flags &^= state.Trusted | state.RCU
		unknown := state.Reg{Type: state.PtrToBTFID, BTF: t}
		e.loadWalked(&unknown, w, op)
	}
	return nil
}

// isTrusted reports whether r points to an object that is there for sure
// (is_trusted_reg).
func (e *env) isTrusted(r *state.Reg) bool {
	if r.RefObjID != 0 {
		return true
	}
	switch r.Type {
	case state.PtrToSocket, state.PtrToSockCommon, state.PtrToTCPSock, state.ConstPtrToMap:
		return true
	}
	// Objects of the program's own, and those that are explicitly so.
	return r.Type&(state.Trusted|state.Alloc|state.NonOwnRef) != 0 && r.Type.Flags()&^(state.Trusted|state.Alloc|state.NonOwnRef) == 0
}

// isRCU reports whether r points to an object that is there as long as the RCU
// section is (is_rcu_reg).
func (e *env) isRCU(r *state.Reg) bool { return r.Type.Has(state.RCU) }

// inRCU reports whether the program is in an RCU read-side section: as a whole, unless
// it may sleep (in_rcu_cs).
func (e *env) inRCU() bool {
	return e.cur.RCULocks > 0 || e.cur.ActiveLocks > 0 || !e.cur.InSleepable
}
