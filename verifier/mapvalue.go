package verifier

import (
	"encoding/binary"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// Flags of maps that restrict programs.
const (
	mapReadOnlyProg  = 1 << 7 // BPF_F_RDONLY_PROG
	mapWriteOnlyProg = 1 << 8 // BPF_F_WRONLY_PROG
)

// accessMapValue is an access to a map's value.
func (e *env) accessMapValue(r *state.Reg, op *memOp) error {
	if err := e.checkMapFlags(r, op.off, op.size, op.how); err != nil {
		return err
	}
	if err := e.checkMapValue(op.regno, r, op.off, op.size, false, true); err != nil {
		return err
	}
	if r.Var.IsConst() {
		off := uint32(op.off) + uint32(r.Var.Value)
		if f := r.Map.Record.At(off); f != nil && (f.Kind.IsKptr() || f.Kind == record.Uptr) {
			return e.accessKptr(op, r, f)
		}
		if v, ok := e.constant(r.Map, off, op.size, op.signed); ok && op.how == read && op.value >= 0 {
			d := e.reg(uint8(op.value))
			d.MarkConst(v)
			return nil
		}
	}
	e.loadUnknown(op)
	return nil
}

// checkMapFlags refuses what the map's flags forbid (check_map_access_type).
func (e *env) checkMapFlags(r *state.Reg, off, size int, how access) error {
	flags := r.Map.Spec.Flags
	if how == write && flags&mapReadOnlyProg != 0 {
		return e.reject(errno.EACCES, "write into map forbidden, value_size=%d off=%d size=%d", r.Map.Spec.ValueSize, off, size)
	}
	if how == read && flags&mapWriteOnlyProg != 0 {
		return e.reject(errno.EACCES, "read from map forbidden, value_size=%d off=%d size=%d", r.Map.Spec.ValueSize, off, size)
	}
	return nil
}

// checkMapValue checks that an access lies in the value and touches no special field,
// of which only kptrs may be loaded and stored, and only by the program itself
// (check_map_access).
func (e *env) checkMapValue(regno uint8, r *state.Reg, off, size int, zeroAllowed, direct bool) error {
	if err := e.checkRegion(regno, r, off, size, int(r.Map.Spec.ValueSize), zeroAllowed); err != nil {
		return err
	}
	if r.Map.Record == nil {
		return nil
	}
	for i := range r.Map.Record.Fields {
		f := &r.Map.Record.Fields[i]
		if r.SMin+int64(off) >= int64(f.Offset+f.Size) || int64(f.Offset) >= int64(r.UMax)+int64(off)+int64(size) {
			continue
		}
		name := f.Kind.String()
		if !f.Kind.IsKptr() && f.Kind != record.Uptr {
			return e.reject(errno.EACCES, "%s cannot be accessed directly by load/store", name)
		}
		if name = "kptr"; f.Kind == record.Uptr {
			name = "uptr"
		} else if f.Kind == record.KptrPercpu {
			name = "percpu_kptr"
		}
		switch {
		case !direct:
			return e.reject(errno.EACCES, "%s cannot be accessed indirectly by helper", name)
		case !r.Var.IsConst():
			return e.reject(errno.EACCES, "%s access cannot have variable offset", name)
		case uint64(f.Offset) != uint64(off)+r.Var.Value:
			return e.reject(errno.EACCES, "%s access misaligned expected=%d off=%d", name, f.Offset, uint64(off)+r.Var.Value)
		case size != 8:
			return e.reject(errno.EACCES, "%s access size must be BPF_DW", name)
		}
	}
	return nil
}

// constant reads a value that nobody can change any more: of .rodata.
func (e *env) constant(m *state.Map, off uint32, size int, signed bool) (uint64, bool) {
	if !isReadOnly(m) {
		return 0, false
	}
	b := e.sectionBytes(m)
	if uint64(off)+uint64(size) > uint64(len(b)) {
		return 0, false
	}
	var w [8]byte
	copy(w[:], b[off:int(off)+size])
	v := binary.LittleEndian.Uint64(w[:])
	if signed {
		shift := 64 - 8*size
		v = uint64(int64(v<<shift) >> shift)
	}
	return v, true
}

// sectionBytes is a data section with the variables as the object has them now.
func (e *env) sectionBytes(m *state.Map) []byte {
	if b, ok := e.sections[m.Spec.Name]; ok {
		return b
	}
	raw, ok := m.Spec.Contents[0].Value.([]byte)
	if !ok {
		return nil
	}
	b := make([]byte, len(raw))
	copy(b, raw)
	for _, v := range e.obj.Variables {
		if v.SectionName == m.Spec.Name && uint64(v.Offset)+uint64(len(v.Value)) <= uint64(len(b)) {
			copy(b[v.Offset:], v.Value)
		}
	}
	e.sections[m.Spec.Name] = b
	return b
}
