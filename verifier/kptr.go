package verifier

import (
	"reflect"
	"slices"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// kptrTarget is what a kptr points to: the kernel's type of that name where there is
// one, else the program's own (btf_parse_kptr).
func (e *env) kptrTarget(f *record.Field) (target btf.Type, own bool) {
	t := skip(f.Type)
	if k, err := e.prof.TypeByName(t.TypeName()); err == nil && kindName(skip(k)) == kindName(t) {
		return skip(k), false
	}
	return e.localType(t), true
}

// localType is a type of a map as the program's BTF has it: who copies a map copies
// the types of its values, too.
func (e *env) localType(t btf.Type) btf.Type {
	if e.prog.Types == nil || e.ownType(t) {
		return t
	}
	same, err := e.prog.Types.AnyTypesByName(t.TypeName())
	if err != nil {
		return t
	}
	for _, s := range same {
		if reflect.TypeOf(s) == reflect.TypeOf(t) {
			return s
		}
	}
	return t
}

// ownType reports whether what r points to is of the program's own BTF.
func (e *env) ownType(t btf.Type) bool {
	if e.prog.Types == nil {
		return false
	}
	_, err := e.prog.Types.TypeID(t)
	return err == nil
}

// rcuTypes are the kernel's types that are freed only after an RCU grace period, so
// that a kptr to one may be read in a section (rcu_protected_types).
var rcuTypes = []string{"prog_test_ref_kfunc", "cgroup", "bpf_cpumask", "task_struct", "bpf_crypto_ctx"}

// accessKptr is an access to a kptr in a map's value (check_map_kptr_access).
func (e *env) accessKptr(op *memOp, r *state.Reg, f *record.Field) error {
	s := &e.slots[e.insn]
	if asm.OpCode(s.Op).Mode() != asm.MemMode {
		return e.reject(errno.EACCES, "kptr in map can only be accessed using BPF_MEM instruction mode")
	}
	class := asm.Class(s.class())
	if class != asm.LdXClass {
		switch f.Kind {
		case record.KptrRef, record.KptrPercpu:
			return e.reject(errno.EACCES, "store to referenced kptr disallowed")
		case record.Uptr:
			return e.reject(errno.EACCES, "store to uptr disallowed")
		}
	}
	switch class {
	case asm.LdXClass:
		e.loadKptr(e.reg(uint8(op.value)), f)
	case asm.StXClass:
		if v := e.reg(uint8(op.value)); !v.IsNull() {
			return e.matchKptr(f, v, uint8(op.value))
		}
	case asm.StClass:
		if s.Imm != 0 {
			return e.reject(errno.EACCES, "BPF_ST imm must be 0 when storing to kptr at off=%d", f.Offset)
		}
	}
	return nil
}

// loadKptr makes d what a kptr holds.
func (e *env) loadKptr(d *state.Reg, f *record.Field) {
	target, own := e.kptrTarget(f)
	if f.Kind == record.Uptr {
		d.MarkPointer(state.PtrToMem | state.MaybeNull)
		_, d.MemSize, _, _ = membersOf(target)
		d.ID = e.newID()
		return
	}
	t := state.PtrToBTFID | state.MaybeNull
	safe := f.Kind == record.KptrPercpu ||
		f.Kind == record.KptrRef && (own || slices.Contains(rcuTypes, target.TypeName()))
	if !safe || !e.inRCU() {
		t |= state.Untrusted
	} else {
		t |= state.RCU
		switch {
		case f.Kind == record.KptrPercpu:
			t |= state.Percpu
		case own:
			t |= state.Alloc
		}
		if own {
			for _, of := range e.recordOf(target) {
				if of.Kind == record.ListNode || of.Kind == record.RBNode {
					t |= state.NonOwnRef
				}
			}
		}
	}
	d.MarkPointer(t)
	d.BTF = target
	d.ID = e.newID()
}

// matchKptr checks that a register may be stored into a kptr (map_kptr_match_type).
func (e *env) matchKptr(f *record.Field, r *state.Reg, regno uint8) error {
	target, _ := e.kptrTarget(f)
	name := ""
	allowed := state.MaybeNull | state.Trusted | state.RCU
	if r.BTF != nil && e.ownType(r.BTF) {
		allowed = state.MaybeNull | state.Alloc
		if f.Kind == record.KptrPercpu {
			allowed |= state.Percpu
		}
	} else if f.Kind == record.KptrUnref {
		allowed |= state.Untrusted
	}
	if r.Type.Base() == state.PtrToBTFID && r.Type.Flags()&^allowed == 0 {
		name = r.BTF.TypeName()
		if err := e.checkFixedOffset(regno, r, true); err != nil {
			return err
		}
		if e.sameStruct(r.BTF, uint32(r.Off), target, f.Kind != record.KptrUnref) {
			return nil
		}
	}
	want := state.PtrToBTFID.String() + target.TypeName()
	if f.Kind == record.KptrUnref {
		want += " or " + (state.PtrToBTFID | state.Untrusted).String() + target.TypeName()
	}
	return e.reject(errno.EACCES, "invalid kptr access, R%d type=%s%s expected=%s", regno, r.Type, name, want)
}

// processKptr finds the kptr that bpf_kptr_xchg changes (process_kptr_func).
func (e *env) processKptr(c *call, regno uint8, r *state.Reg) error {
	var fields []record.Field
	if r.Type.Base() == state.PtrToBTFID {
		fields = e.recordOf(r.BTF)
	} else {
		if !hasBTF(r.Map) {
			return e.reject(errno.EINVAL, "map '%s' has to have BTF in order to use bpf_kptr_xchg", r.Map.Name)
		}
		if r.Map.Record != nil {
			fields = r.Map.Record.Fields
		}
		c.m = r.Map
	}
	if !r.Var.IsConst() {
		return e.reject(errno.EINVAL, "R%d doesn't have constant offset. kptr has to be at the constant offset", regno)
	}
	off := uint32(r.Off) + uint32(r.Var.Value)
	var field *record.Field
	found := false
	for i := range fields {
		if f := &fields[i]; f.Kind.IsKptr() {
			found = true
			if f.Offset == off {
				field = f
			}
		}
	}
	switch {
	case !found:
		return e.reject(errno.EINVAL, "R%d has no valid kptr", regno)
	case field == nil:
		return e.reject(errno.EACCES, "off=%d doesn't point to kptr", int32(off))
	case field.Kind == record.KptrUnref:
		return e.reject(errno.EACCES, "off=%d kptr isn't referenced kptr", int32(off))
	}
	c.kptr = field
	return nil
}

// hasBTF reports whether the kernel was given the type of a map's value.
func hasBTF(m *state.Map) bool { return m.Spec.Value != nil }
