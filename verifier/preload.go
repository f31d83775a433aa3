package verifier

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/cfg"
	"github.com/bpfct/bpfct/verifier/state"
)

// mapName is how many bytes of a map's name the kernel keeps.
const mapName = 15

// resolveImmediates finds the maps that the program uses, and checks them and the
// opcodes in the order of the program (resolve_pseudo_ldimm64).
func (e *env) resolveImmediates() error {
	var badOpcode *cfg.Fault
	if err := cfg.CheckOpcodes(e.flow); err != nil && !errors.As(err, &badOpcode) {
		return err
	}
	for i := range e.slots {
		if badOpcode != nil && badOpcode.Insn == i {
			return e.faulty(badOpcode)
		}
		if s := &e.slots[i]; s.Op == opLoadImm64 && !s.isSecond() {
			e.insn = i
			if err := e.resolve(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolve looks up what a 64-bit load refers to.
func (e *env) resolve(s *slot) error {
	switch {
	case s.Src == 0, s.Src == pseudoBTFID, s.Src == pseudoFunc:
		return nil
	case s.insn.Ref == nil && (s.Src == pseudoMapFD || s.Src == pseudoMapValue):
		no := errno.EBADF
		if s.Imm >= 0 && s.Imm <= 2 {
			no = errno.EINVAL // open, but no map
		}
		return e.reject(no, "fd %d is not pointing to valid bpf_map", s.Imm)
	case s.insn.Ref == nil:
		return e.reject(errno.EINVAL, "unrecognized bpf_ld_imm64 insn")
	}
	m, err := e.useMap(s.insn.Ref.Name)
	if err != nil || !s.insn.Ref.Value {
		return err
	}
	off := s.insn.Ref.Offset
	switch {
	case off >= maxVarOff:
		return e.reject(errno.EINVAL, "direct value offset of %d is not allowed", off)
	case m.Spec.Type == ebpf.Arena:
		return nil
	case m.Spec.Type != ebpf.Array:
		return e.reject(errno.EINVAL, "no direct value access support for this map type")
	case m.Spec.MaxEntries != 1:
		return e.reject(errno.ENOTSUPP, "invalid access to map value pointer, value_size=%d off=%d", m.Spec.ValueSize, off)
	case off >= m.Spec.ValueSize:
		return e.reject(errno.EINVAL, "invalid access to map value pointer, value_size=%d off=%d", m.Spec.ValueSize, off)
	}
	return nil
}

// useMap adds a map to those that the program uses (add_used_map).
func (e *env) useMap(name string) (*state.Map, error) {
	if m := e.maps[name]; m != nil {
		return m, nil
	}
	if limit := e.prof.Limits.Maps; limit > 0 && len(e.maps) >= limit {
		return nil, e.reject(errno.E2BIG, "The total number of maps per program has reached the limit of %d", limit)
	}
	m, err := e.newMap(name, e.obj.Maps[name])
	if err != nil {
		return nil, err
	}
	if err := e.checkMap(m); err != nil {
		return nil, err
	}
	e.maps[name] = m
	return m, nil
}

// newMap describes a map of the object as the kernel has it.
func (e *env) newMap(name string, spec *ebpf.MapSpec) (*state.Map, error) {
	if spec == nil {
		return nil, fmt.Errorf("program %s: the object has no map %q", e.prog.Name, name)
	}
	s := *spec
	s.Name = name
	switch s.Type {
	case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		s.ValueSize = 4
	case ebpf.PerfEventArray:
		s.KeySize, s.ValueSize = 4, 4
	}
	m := &state.Map{Name: name[:min(len(name), mapName)], Spec: &s}
	var err error
	if m.Record, err = e.mapRecord(&s); err != nil {
		return nil, err
	}
	if spec.InnerMap != nil {
		inner := spec.InnerMap.Name
		if inner == "" {
			inner = name
		}
		if m.Inner, err = e.newMap(inner, spec.InnerMap); err != nil {
			return nil, err
		}
		m.Inner.Name = "" // it stands for any of the maps inside
	}
	return m, nil
}

// mapRecord finds the special fields in a map's values. A map whose types the kernel
// does not take has none: loaders then make it without types.
func (e *env) mapRecord(s *ebpf.MapSpec) (*record.Record, error) {
	if s.Value == nil || !hasTypes(s.Type) {
		return nil, nil
	}
	if n, err := btf.Sizeof(s.Value); err != nil || uint32(n) != s.ValueSize {
		return nil, nil
	}
	if s.Key != nil {
		if _, void := s.Key.(*btf.Void); !void {
			if n, err := btf.Sizeof(s.Key); err != nil || uint32(n) != s.KeySize {
				return nil, nil
			}
		}
	}
	types := e.prog.Types
	if types == nil {
		types = e.obj.Types
	}
	rec, err := record.Parse(s.Value, types)
	if err != nil {
		return nil, nil
	}
	return rec, nil
}

// hasTypes reports whether maps of a type may have BTF for keys and values.
func hasTypes(t ebpf.MapType) bool {
	switch t {
	case ebpf.Array, ebpf.PerCPUArray, ebpf.Hash, ebpf.PerCPUHash, ebpf.LRUHash, ebpf.LRUCPUHash, ebpf.LPMTrie, bloomFilter,
		ebpf.SkStorage, ebpf.InodeStorage, ebpf.TaskStorage, ebpf.CgroupStorage, ebpf.CGroupStorage, ebpf.PerCPUCGroupStorage:
		return true
	}
	return false
}

// checkMap refuses a map that programs of this kind may not use
// (check_map_prog_compatibility).
func (e *env) checkMap(m *state.Map) error {
	if m.Record != nil {
		if err := e.checkMapFields(m.Record); err != nil {
			return err
		}
	}
	switch t := m.Spec.Type; t {
	case ebpf.StructOpsMap:
		return e.reject(errno.EINVAL, "bpf_struct_ops map cannot be used in prog")
	case ebpf.CGroupStorage, ebpf.PerCPUCGroupStorage:
		for _, other := range e.maps {
			if other.Spec.Type == t {
				return e.reject(errno.EBUSY, "only one cgroup storage of each type is allowed")
			}
		}
	case ebpf.Arena:
		for _, other := range e.maps {
			if other.Spec.Type == t {
				return e.reject(errno.EBUSY, "Only one arena per program")
			}
		}
	}
	if e.prog.Flags&flagSleepable != 0 && !slices.Contains(sleepableMaps, m.Spec.Type) {
		return e.reject(errno.EINVAL, "Sleepable programs can only use array, hash, ringbuf and local storage maps")
	}
	return nil
}

// sleepableMaps are the maps that programs which may sleep can use.
var sleepableMaps = []ebpf.MapType{
	ebpf.Hash, ebpf.LRUHash, ebpf.Array, ebpf.PerCPUHash, ebpf.PerCPUArray, ebpf.LRUCPUHash, ebpf.ArrayOfMaps, ebpf.HashOfMaps,
	ebpf.RingBuf, ebpf.UserRingbuf, ebpf.InodeStorage, ebpf.SkStorage, ebpf.TaskStorage, ebpf.CgroupStorage, ebpf.Queue, ebpf.Stack,
	ebpf.Arena,
}

// checkMapFields refuses special fields that the program's type may not handle.
func (e *env) checkMapFields(rec *record.Record) error {
	has := func(kinds ...record.Kind) bool {
		return slices.ContainsFunc(kinds, func(k record.Kind) bool { return rec.Find(k) != nil })
	}
	tracing := isTracing(e.prog.Type)
	lock := has(record.SpinLock, record.ResSpinLock)
	what := ""
	switch {
	case tracing && has(record.ListHead, record.RBRoot):
		what = "bpf_{list_head,rb_root}"
	case lock && e.prog.Type == ebpf.SocketFilter:
		return e.reject(errno.EINVAL, "socket filter progs cannot use bpf_spin_lock yet")
	case tracing && lock:
		what = "bpf_spin_lock"
	case tracing && has(record.Timer):
		what = "bpf_timer"
	case tracing && has(record.Workqueue):
		what = "bpf_wq"
	default:
		return nil
	}
	return e.reject(errno.EINVAL, "tracing progs cannot use %s yet", what)
}

// isTracing reports whether programs of a type run at places where little is allowed.
func isTracing(t ebpf.ProgramType) bool {
	switch t {
	case ebpf.Kprobe, ebpf.TracePoint, ebpf.PerfEvent, ebpf.RawTracepoint, ebpf.RawTracepointWritable:
		return true
	}
	return false
}
