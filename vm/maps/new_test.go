package maps

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

func TestTooLargeNamesTheMapAndItsSize(t *testing.T) {
	m := newMachine(t, 2)
	for _, spec := range []*ebpf.MapSpec{
		{Type: ebpf.Array, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 1 << 20},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 1 << 14, MaxEntries: 1 << 16},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 1 << 20},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1 << 31, Flags: NoPrealloc},
		{Type: ebpf.LRUHash, KeySize: 1 << 20, ValueSize: 4, MaxEntries: 1 << 20},
		{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1<<32 - 1},
		{Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 1<<32 - 1},
		{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 1<<32 - 1},
		{Type: ebpf.Queue, ValueSize: 1 << 20, MaxEntries: 4000},
		{Type: ebpf.BloomFilter, ValueSize: 4, MaxEntries: 1<<32 - 1, Flags: 0, MapExtra: 15},
	} {
		spec.Name = "huge"
		small := vm.New(vm.Config{Profile: m.Profile, Clock: m.Clock, CPUs: 2, MemoryLimit: 1 << 26})
		_, err := New(small, spec, Options{})
		wantErrno(t, spec.Type.String(), err, errno.ENOMEM)
		if err != nil && !strings.Contains(err.Error(), "map huge: ") {
			t.Errorf("%v: %v", spec, err)
		}
		if used := small.Mem.Used(); used != 0 {
			t.Errorf("%v: %d bytes are left after the error", spec, used)
		}
	}
}

func TestUnsupportedTypesAreRefusedByName(t *testing.T) {
	m := newMachine(t, 1)
	for typ := ebpf.UnspecifiedMap; typ < ebpf.Arena+3; typ++ {
		if _, ok := makerOf(typ); ok {
			continue
		}
		mp, err := New(m, &ebpf.MapSpec{Name: "odd", Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 1}, Options{})
		if err == nil || mp != nil || !strings.Contains(err.Error(), "map odd: type "+typ.String()) {
			t.Errorf("%v: %v, %v", typ, mp, err)
		}
	}
}

func TestSpecialFieldsWhereTheyAreNotAllowed(t *testing.T) {
	u32 := &btf.Int{Name: "u32", Size: 4}
	withField := func(name string, size uint32) *btf.Struct {
		return &btf.Struct{Name: "value", Size: size, Members: []btf.Member{{Name: "f", Type: &btf.Struct{Name: name, Size: size}}}}
	}
	lock, timer := withField("bpf_spin_lock", 4), withField("bpf_timer", 16)
	m := newMachine(t, 2)
	for _, c := range []struct {
		typ   ebpf.MapType
		value *btf.Struct
		flags uint32
		want  errno.Errno
	}{
		{ebpf.Hash, lock, 0, 0},
		{ebpf.Array, lock, 0, 0},
		{ebpf.LRUHash, lock, 0, errno.EOPNOTSUPP},
		{ebpf.PerCPUHash, lock, 0, errno.EOPNOTSUPP},
		{ebpf.PerCPUArray, lock, 0, errno.EOPNOTSUPP},
		{ebpf.Hash, timer, 0, 0},
		{ebpf.LRUHash, timer, 0, 0},
		{ebpf.PerCPUArray, timer, 0, errno.EOPNOTSUPP},
		{ebpf.LRUCPUHash, timer, 0, errno.EOPNOTSUPP},
		{ebpf.Array, lock, ReadOnlyProg, errno.EACCES},
		{ebpf.Array, timer, WriteOnlyProg, errno.EACCES},
	} {
		mp, err := New(m, &ebpf.MapSpec{Name: "m", Type: c.typ, KeySize: 4, ValueSize: c.value.Size, MaxEntries: 1, Flags: c.flags,
			Key: u32, Value: c.value}, Options{})
		wantErrno(t, c.typ.String()+" with "+c.value.Members[0].Type.TypeName(), err, c.want)
		if err == nil && mp.Record() == nil {
			t.Errorf("%v: the field was not noticed", c.typ)
		}
	}
}

// A type that the kernel would refuse is dropped, as cilium/ebpf does it.
func TestUnfitTypesAreDropped(t *testing.T) {
	m := newMachine(t, 1)
	u64 := &btf.Int{Name: "u64", Size: 8}
	mp, err := New(m, &ebpf.MapSpec{Name: "m", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Key: u64, Value: u64}, Options{})
	if err != nil || mp.Info().Key != nil {
		t.Errorf("%v, %v", mp, err)
	}
}

func TestCloseGivesAllMemoryBack(t *testing.T) {
	m := newMachine(t, 2)
	inner := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	before := m.Mem.Used()
	for typ := ebpf.Hash; typ <= ebpf.Arena; typ++ {
		spec := &ebpf.MapSpec{Name: "m", Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 1}
		switch typ {
		case ebpf.RingBuf:
			spec.KeySize, spec.ValueSize, spec.MaxEntries = 0, 0, 4096
		case ebpf.Queue, ebpf.Stack, ebpf.BloomFilter:
			spec.KeySize = 0
		case ebpf.LPMTrie:
			spec.KeySize, spec.Flags = 8, NoPrealloc
		case ebpf.SkStorage:
			u32 := &btf.Int{Name: "u32", Size: 4}
			spec.MaxEntries, spec.Flags, spec.Key, spec.Value = 0, NoPrealloc, u32, u32
		case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
			spec.InnerMap = &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
		}
		if _, ok := makerOf(typ); !ok {
			continue
		}
		mp, err := New(m, spec, Options{})
		if err != nil {
			t.Fatal(err)
		}
		key := make([]byte, spec.KeySize)
		switch typ {
		case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
			err = mp.UpdateRef(key, inner, 0)
		case ebpf.XSKMap:
			err = mp.UpdateRef(key, &XSK{}, 0)
		case ebpf.SkStorage:
			err = mp.(*SkStorage).Set("socket", make([]byte, 4), 0)
		case ebpf.RingBuf, ebpf.ProgramArray, ebpf.PerfEventArray:
		default:
			err = mp.Update(key, append([]byte{1}, make([]byte, mp.Info().UserValueSize()-1)...), 0)
		}
		if err != nil {
			t.Errorf("%v: %v", typ, err)
		}
		if h := mp.Handle(); h.Owner != any(mp) {
			t.Errorf("%v: the handle's owner is %T", typ, h.Owner)
		}
		mp.Close()
		mp.Close()
		if used := m.Mem.Used(); used != before {
			t.Errorf("%v: %d bytes are left", typ, used-before)
		}
	}
	if _, err := inner.Lookup(uint32Bytes(0), 0); err != nil {
		t.Error(err)
	}
}

// An inner map lives as long as something holds it.
func TestInnerMapOutlivesItsUser(t *testing.T) {
	m := newMachine(t, 1)
	spec := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	outer := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.ArrayOfMaps, KeySize: 4, MaxEntries: 1, InnerMap: spec})
	inner := mustNew(t, m, spec)
	wantErrno(t, "update", outer.UpdateRef(uint32Bytes(0), inner, 0), 0)
	inner.Close()
	addr, err := call(t, m, 0, "bpf_map_lookup_elem", outer.Handle().Addr(), guest(t, m, uint32Bytes(0)))
	if err != nil || addr != inner.Handle().Addr() || !inner.Handle().Live() {
		t.Errorf("inner map at %#x, %v, live %v", addr, err, inner.Handle().Live())
	}
	wantErrno(t, "delete", outer.Delete(uint32Bytes(0)), 0)
	if inner.Handle().Live() {
		t.Error("the inner map is still there though nobody holds it")
	}
}

// FuzzNew creates maps of any spec. An error comes without a map and leaves no
// memory; a map can be used and closed.
func FuzzNew(f *testing.F) {
	for typ := ebpf.Hash; typ <= ebpf.Arena; typ++ {
		f.Add(uint32(typ), uint32(4), uint32(8), uint32(4), uint32(0), uint64(0), uint32(0))
		f.Add(uint32(typ), uint32(0), uint32(0), uint32(4096), uint32(1), uint64(3), uint32(ebpf.Array))
	}
	p := kernel.Default()
	f.Fuzz(func(t *testing.T, typ, key, value, entries, flags uint32, extra uint64, inner uint32) {
		m := vm.New(vm.Config{Profile: p, Clock: clock.New(clock.Options{}), CPUs: 2, MemoryLimit: 1 << 22})
		spec := &ebpf.MapSpec{Name: "fuzz", Type: ebpf.MapType(typ), KeySize: key, ValueSize: value, MaxEntries: entries, Flags: flags, MapExtra: extra}
		if inner != 0 {
			spec.InnerMap = &ebpf.MapSpec{Type: ebpf.MapType(inner), KeySize: key, ValueSize: value, MaxEntries: entries}
		}
		mp, err := New(m, spec, Options{})
		if err != nil {
			if mp != nil || m.Mem.Used() != 0 {
				t.Fatalf("%v with map %v and %d bytes", err, mp, m.Mem.Used())
			}
			return
		}
		k := make([]byte, mp.Info().KeySize)
		mp.Update(k, make([]byte, mp.Info().UserValueSize()), 0)
		mp.Lookup(k, 0)
		mp.NextKey(nil)
		mp.LookupAndDelete(k, 0)
		mp.Delete(k)
		mp.Freeze()
		mp.Close()
		if n := m.Mem.Used(); n != 0 {
			t.Fatalf("%d bytes are left after Close", n)
		}
	})
}

// A list head names its nodes by a tag, which is looked up in the object's BTF.
func TestListHeadWithoutBTF(t *testing.T) {
	m := newMachine(t, 1)
	u32 := &btf.Int{Name: "u32", Size: 4}
	value := &btf.Struct{Name: "value", Size: 24, Members: []btf.Member{
		{Name: "head", Type: &btf.Struct{Name: "bpf_list_head", Size: 16}, Tags: []string{"contains:node:list"}},
		{Name: "lock", Type: &btf.Struct{Name: "bpf_spin_lock", Size: 4}, Offset: 16 * 8},
	}}
	mp, err := New(m, &ebpf.MapSpec{Name: "m", Type: ebpf.Array, KeySize: 4, ValueSize: 24, MaxEntries: 1, Key: u32, Value: value}, Options{})
	if err != nil || mp.Record() != nil {
		t.Errorf("%v, %v", mp, err)
	}
}
