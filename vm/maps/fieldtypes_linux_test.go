package maps

import (
	"errors"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
)

// TestKernelFieldsByType compares which types of maps may have which special
// fields in their values.
func TestKernelFieldsByType(t *testing.T) {
	onKernel(t)
	m := newMachine(t, possibleCPUs(t))
	u32, u64 := &btf.Int{Name: "u32", Size: 4}, &btf.Int{Name: "u64", Size: 8}
	opaque := func(name string, size uint32, inner ...btf.Member) *btf.Struct {
		s := &btf.Struct{Name: name, Size: size, Members: inner}
		for off := uint32(0); len(inner) == 0 && off < size; off += 4 {
			s.Members = append(s.Members, btf.Member{Name: "w" + string(rune('a'+off/4)), Type: u32, Offset: btf.Bits(off * 8)})
		}
		return s
	}
	node := &btf.Struct{Name: "holds", Size: 32 + 24 + 8, Members: []btf.Member{
		{Name: "rb", Type: opaque("bpf_rb_node", 32)},
		{Name: "list", Type: opaque("bpf_list_node", 24), Offset: 32 * 8},
		{Name: "ref", Type: opaque("bpf_refcount", 4), Offset: 56 * 8},
	}}
	task := &btf.Struct{Name: "task_struct", Size: 8, Members: []btf.Member{{Name: "x", Type: u64}}}
	kptr := func(tag string) btf.Type {
		return &btf.Pointer{Target: &btf.TypeTag{Type: task, Value: tag}}
	}
	for _, field := range []struct {
		name string
		typ  btf.Type
		tags []string
	}{
		{"none", u64, nil},
		{"spin lock", opaque("bpf_spin_lock", 4), nil},
		{"resilient spin lock", opaque("bpf_res_spin_lock", 8), nil},
		{"timer", opaque("bpf_timer", 16), nil},
		{"work queue", opaque("bpf_wq", 16), nil},
		{"task work", opaque("bpf_task_work", 8), nil},
		{"kptr", kptr("kptr"), nil},
		{"untrusted kptr", kptr("kptr_untrusted"), nil},
		{"per-CPU kptr", kptr("percpu_kptr"), nil},
		{"user pointer", kptr("uptr"), nil},
		{"list", opaque("bpf_list_head", 16), []string{"contains:holds:list"}},
		{"tree", opaque("bpf_rb_root", 16), []string{"contains:holds:rb"}},
		{"reference count", opaque("bpf_refcount", 4), nil},
		{"list node", opaque("bpf_list_node", 24), nil},
	} {
		value := &btf.Struct{Name: "value", Size: 64, Members: []btf.Member{
			{Name: "f", Type: field.typ, Offset: 8 * 8, Tags: field.tags},
			{Name: "keep", Type: &btf.Pointer{Target: node}, Offset: 40 * 8},
		}}
		if field.tags != nil {
			value.Members = append(value.Members, btf.Member{Name: "lock", Type: opaque("bpf_spin_lock", 4), Offset: 48 * 8})
		}
		builder, err := btf.NewBuilder([]btf.Type{value}, nil)
		if err != nil {
			t.Fatal(err)
		}
		types, err := builder.Spec()
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range []ebpf.MapType{ebpf.Array, ebpf.PerCPUArray, ebpf.Hash, ebpf.PerCPUHash, ebpf.LRUHash, ebpf.LRUCPUHash,
			ebpf.LPMTrie, ebpf.Queue, ebpf.BloomFilter, ebpf.SkStorage} {
			for _, flags := range []uint32{0, ReadOnlyProg, WriteOnlyProg} {
				spec := &ebpf.MapSpec{Name: "m", Type: typ, KeySize: 4, ValueSize: 64, MaxEntries: 2, Flags: flags, Key: u32, Value: value}
				switch typ {
				case ebpf.LPMTrie:
					spec.Key = &btf.Struct{Name: "key", Size: 8, Members: []btf.Member{{Name: "a", Type: u64}}}
					spec.KeySize = 8
					spec.Flags |= NoPrealloc
				case ebpf.Queue, ebpf.BloomFilter:
					spec.Key, spec.KeySize = nil, 0
				case ebpf.SkStorage:
					spec.MaxEntries = 0
					spec.Flags |= NoPrealloc
				}
				ours, err := New(m, spec, Options{Types: types})
				kern, kerr := ebpf.NewMap(spec)
				if errnoOf(err) != kernelErrno(kerr) {
					t.Errorf("%v with %s, flags %#x: %v, kernel %v", typ, field.name, flags, err, kerr)
				}
				if err == nil {
					ours.Close()
				}
				if kerr == nil {
					kern.Close()
				}
			}
		}
	}
}

// kernelErrno is the errno in an error of cilium/ebpf.
func kernelErrno(err error) errno.Errno {
	var e syscall.Errno
	if err != nil && !errors.As(err, &e) {
		return errno.Errno(9998)
	}
	return errno.Errno(e)
}
