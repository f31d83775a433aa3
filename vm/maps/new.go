package maps

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// maker says how to make a type of map: check is what the kernel requires of the
// numbers in the spec, make is the map itself on top of base.
type maker struct {
	check func(p *kernel.Profile, s *ebpf.MapSpec) error
	make  func(b *base, s *ebpf.MapSpec) (Map, error)
	// btf is what the type requires of key and value types; nil when it has none.
	btf func(s *ebpf.MapSpec) error
	// percpu is set for types that have a value for each CPU.
	percpu bool
}

// makerOf finds the maker of a type; ok is false for one that New refuses.
func makerOf(t ebpf.MapType) (mk maker, ok bool) {
	switch t {
	case ebpf.Array:
		return maker{check: checkArray, make: newArray, btf: btfArray}, true
	case ebpf.PerCPUArray:
		return maker{check: checkArray, make: newArray, btf: btfArray, percpu: true}, true
	case ebpf.Hash:
		return maker{check: checkHash, make: newHash, btf: btfHash}, true
	case ebpf.PerCPUHash:
		return maker{check: checkHash, make: newHash, btf: btfHash, percpu: true}, true
	case ebpf.LRUHash:
		return maker{check: checkHash, make: newHash, btf: btfHash}, true
	case ebpf.LRUCPUHash:
		return maker{check: checkHash, make: newHash, btf: btfHash, percpu: true}, true
	case ebpf.ProgramArray:
		return maker{check: checkRefArray, make: newProgArray}, true
	case ebpf.LPMTrie:
		return maker{check: checkLPM, make: newLPM, btf: btfLPM}, true
	case ebpf.Queue:
		return maker{check: checkQueue, make: newQueue}, true
	case ebpf.Stack:
		return maker{check: checkQueue, make: newQueue}, true
	case ebpf.BloomFilter:
		return maker{check: checkBloom, make: newBloom, btf: btfKeyless}, true
	case ebpf.ArrayOfMaps:
		return maker{check: checkRefArray, make: newArrayOfMaps}, true
	case ebpf.HashOfMaps:
		return maker{check: checkHashOfMaps, make: newHash}, true
	case ebpf.RingBuf:
		return maker{check: checkRingBuf, make: newRingBuf}, true
	case ebpf.PerfEventArray:
		return maker{check: checkRefArray, make: newPerfArray}, true
	case ebpf.DevMap:
		return maker{check: checkDevMap, make: newDevMap}, true
	case ebpf.DevMapHash:
		return maker{check: checkDevMap, make: newDevMapHash}, true
	case ebpf.CPUMap:
		return maker{check: checkCPUMap, make: newCPUMap}, true
	case ebpf.XSKMap:
		return maker{check: checkXSKMap, make: newXSKMap}, true
	case ebpf.SkStorage:
		return maker{check: checkSkStorage, make: newSkStorage, btf: btfSkStorage}, true
	}
	return maker{}, false
}

// New makes the map that spec describes, empty: its Contents are the caller's to
// store. As cilium/ebpf does it completes a spec whose type leaves no choice
// (sizes of a perf event array, entries of a CPU map) and drops key and value
// types that the kernel would refuse. A spec that the kernel refuses, or that
// needs more memory than the machine has, is an error with the kernel's errno.
func New(m *vm.Machine, spec *ebpf.MapSpec, opts Options) (Map, error) {
	mp, err := create(m, spec, opts)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", spec.Name, err)
	}
	return mp, nil
}

func create(m *vm.Machine, spec *ebpf.MapSpec, opts Options) (Map, error) {
	mk, ok := makerOf(spec.Type)
	if !ok {
		return nil, unsupported(spec.Type)
	}
	s, err := complete(spec, m.CPUs)
	if err != nil {
		return nil, err
	}
	if err := checkCommon(s); err != nil {
		return nil, err
	}
	if err := mk.check(m.Profile, s); err != nil {
		return nil, fmt.Errorf("%v: %w", s, err)
	}
	b := &base{m: m, opts: opts, info: Info{
		Name: sanitize(s.Name), Type: s.Type, ID: opts.ID, KeySize: s.KeySize, ValueSize: s.ValueSize,
		MaxEntries: s.MaxEntries, Flags: s.Flags | impliedFlags(s.Type), MapExtra: s.MapExtra, CPUs: 1, Key: s.Key, Value: s.Value,
	}}
	b.timers.b = b
	b.refs.Store(1)
	if mk.percpu {
		b.info.CPUs = m.CPUs
	}
	rec, err := checkBTF(s, opts.Types, mk)
	switch {
	case errors.Is(err, errno.EINVAL), errors.Is(err, errno.ENOTSUPP):
		b.info.Key, b.info.Value = nil, nil
	case err != nil:
		return nil, err
	}
	b.setRecord(rec)
	mp, err := mk.make(b, s)
	if err != nil {
		for _, o := range b.objs {
			m.Mem.Free(o, vm.Site{})
		}
		return nil, err
	}
	return mp, nil
}

// init finishes a type's construction: self is the map that embeds b.
func (b *base) init(self interface {
	ops
	Map
}) error {
	b.self = self
	return b.makeHandle()
}

// sanitize makes a name that the kernel takes, as cilium/ebpf does.
func sanitize(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, name)
	return name
}

// complete fills in what the type alone decides.
func complete(spec *ebpf.MapSpec, cpus int) (*ebpf.MapSpec, error) {
	s := *spec
	switch s.Type {
	case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		if s.ValueSize != 0 && s.ValueSize != 4 {
			return nil, fmt.Errorf("value size %d: it must be 0 or 4 for a map of maps", s.ValueSize)
		}
		s.ValueSize = 4
	case ebpf.PerfEventArray:
		if s.KeySize != 0 && s.KeySize != 4 || s.ValueSize != 0 && s.ValueSize != 4 {
			return nil, fmt.Errorf("key size %d, value size %d: they must be 0 or 4 for a perf event array", s.KeySize, s.ValueSize)
		}
		s.KeySize, s.ValueSize = 4, 4
		if s.MaxEntries == 0 || s.MaxEntries > uint32(cpus) {
			s.MaxEntries = uint32(cpus)
		}
	case ebpf.CPUMap:
		if s.MaxEntries == 0 || s.MaxEntries > uint32(cpus) {
			s.MaxEntries = uint32(cpus)
		}
	}
	return &s, nil
}

// checkCommon is what the kernel requires of every map.
func checkCommon(s *ebpf.MapSpec) error {
	if s.MapExtra != 0 && s.Type != ebpf.BloomFilter {
		return fmt.Errorf("map_extra %#x: %w", s.MapExtra, errno.EINVAL)
	}
	if s.Flags&(ReadOnly|WriteOnly) == ReadOnly|WriteOnly {
		return fmt.Errorf("flags %#x: BPF_F_RDONLY with BPF_F_WRONLY: %w", s.Flags, errno.EINVAL)
	}
	if s.Flags&NumaNode != 0 && s.NumaNode != 0 {
		return fmt.Errorf("NUMA node %d: the machine has only node 0: %w", s.NumaNode, errno.EINVAL)
	}
	return nil
}

// bad is EINVAL with the reason.
func bad(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, errno.EINVAL)...)
}

// checkFlags is bpf_map_flags_access_ok with the type's own flags.
func checkFlags(s *ebpf.MapSpec, allowed uint32) error {
	if extra := s.Flags &^ allowed; extra != 0 {
		return bad("flags %#x are not for this type", extra)
	}
	if s.Flags&(ReadOnlyProg|WriteOnlyProg) == ReadOnlyProg|WriteOnlyProg {
		return bad("BPF_F_RDONLY_PROG with BPF_F_WRONLY_PROG")
	}
	return nil
}

// checkBTF parses the special fields of the value and applies the kernel's rules
// for the types. EINVAL and ENOTSUPP mean a map without types.
func checkBTF(s *ebpf.MapSpec, types *btf.Spec, mk maker) (*record.Record, error) {
	if s.Key == nil && s.Value == nil {
		return nil, nil
	}
	if s.Value == nil {
		return nil, bad("key type without value type")
	}
	if s.Key != nil && !isVoid(s.Key) {
		if n, err := btf.Sizeof(s.Key); err != nil || uint32(n) != s.KeySize {
			return nil, bad("key type of %d bytes, key size %d", n, s.KeySize)
		}
	}
	if n, err := btf.Sizeof(s.Value); err != nil || uint32(n) != s.ValueSize {
		return nil, bad("value type of %d bytes, value size %d", n, s.ValueSize)
	}
	if mk.btf == nil {
		return nil, errno.ENOTSUPP
	}
	rec, err := record.Parse(s.Value, types)
	if err != nil {
		// The kernel keeps a map whose value has misplaced special fields without
		// them; no program can use the fields then.
		rec = nil
	}
	if rec != nil {
		if s.Flags&(ReadOnlyProg|WriteOnlyProg) != 0 {
			return nil, fmt.Errorf("values with special fields in a map that programs may not both read and write: %w", errno.EACCES)
		}
		for _, f := range rec.Fields {
			if !fieldAllowed(f.Kind, s.Type) {
				return nil, fmt.Errorf("%v in values of type %v: %w", f.Kind, s.Type, errno.EOPNOTSUPP)
			}
		}
	}
	if err := mk.btf(s); err != nil {
		return nil, err
	}
	return rec, nil
}

// fieldAllowed says which maps may have a special field.
func fieldAllowed(k record.Kind, t ebpf.MapType) bool {
	switch k {
	case record.SpinLock, record.ResSpinLock:
		return t == ebpf.Hash || t == ebpf.Array || t == ebpf.SkStorage
	case record.Timer, record.Workqueue, record.TaskWork, record.ListHead, record.RBRoot:
		return t == ebpf.Hash || t == ebpf.LRUHash || t == ebpf.Array
	case record.KptrUnref, record.KptrRef, record.KptrPercpu, record.Refcount:
		switch t {
		case ebpf.Hash, ebpf.PerCPUHash, ebpf.LRUHash, ebpf.LRUCPUHash, ebpf.Array, ebpf.PerCPUArray, ebpf.SkStorage:
			return true
		}
		return false
	case record.ListNode, record.RBNode:
		return true
	}
	return false
}

func isVoid(t btf.Type) bool {
	_, ok := t.(*btf.Void)
	return t == nil || ok
}

// btfHash requires a key type.
func btfHash(s *ebpf.MapSpec) error {
	if isVoid(s.Key) {
		return bad("no key type")
	}
	return nil
}

// btfLPM requires a struct as key.
func btfLPM(s *ebpf.MapSpec) error {
	if _, ok := btf.UnderlyingType(s.Key).(*btf.Struct); s.Key == nil || !ok {
		return bad("key type %v is not a struct", s.Key)
	}
	return nil
}

// btfArray requires an integer of 32 bits as key, or no key for a section of
// global variables.
func btfArray(s *ebpf.MapSpec) error {
	if isVoid(s.Key) {
		_, sec := s.Value.(*btf.Datasec)
		if s.Type != ebpf.Array || s.MaxEntries != 1 || !sec {
			return bad("no key type")
		}
		return nil
	}
	return btfInt(s.Key)
}

func btfInt(key btf.Type) error {
	if i, ok := btf.UnderlyingType(key).(*btf.Int); !ok || i.Size != 4 {
		return bad("key type %v is not an integer of 32 bits", key)
	}
	return nil
}
