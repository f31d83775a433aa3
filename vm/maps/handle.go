package maps

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

// handleTypes is the kernel's struct of each type of map, all of which start
// with a struct bpf_map.
var handleTypes = map[ebpf.MapType]string{
	ebpf.Array: "bpf_array", ebpf.PerCPUArray: "bpf_array", ebpf.ProgramArray: "bpf_array",
	ebpf.PerfEventArray: "bpf_array", ebpf.ArrayOfMaps: "bpf_array",
	ebpf.Hash: "bpf_htab", ebpf.PerCPUHash: "bpf_htab", ebpf.LRUHash: "bpf_htab",
	ebpf.LRUCPUHash: "bpf_htab", ebpf.HashOfMaps: "bpf_htab",
	ebpf.LPMTrie: "lpm_trie", ebpf.Queue: "bpf_queue_stack", ebpf.Stack: "bpf_queue_stack",
	ebpf.BloomFilter: "bpf_bloom_filter", ebpf.RingBuf: "bpf_ringbuf_map",
	ebpf.DevMap: "bpf_dtab", ebpf.DevMapHash: "bpf_dtab", ebpf.CPUMap: "bpf_cpu_map",
	ebpf.XSKMap: "xsk_map", ebpf.SkStorage: "bpf_local_storage_map",
}

// makeHandle makes the object that a program's pointer to the map points to.
func (b *base) makeHandle() error {
	typ := handleTypes[b.info.Type]
	size, err := b.m.Profile.Sizeof(typ)
	if err != nil {
		return err
	}
	b.handle, err = b.alloc(vm.ObjectSpec{Kind: vm.KindMap, Size: size, ReadOnly: true})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		path  string
		value uint64
	}{
		{"map.map_type", uint64(b.info.Type)},
		{"map.key_size", uint64(b.info.KeySize)},
		{"map.value_size", uint64(b.info.ValueSize)},
		{"map.max_entries", uint64(b.info.MaxEntries)},
		{"map.map_extra", b.info.MapExtra},
		{"map.map_flags", uint64(b.info.Flags)},
		{"map.id", uint64(b.info.ID)},
		{"map.numa_node", ^uint64(0)}, // NUMA_NO_NODE
		{"map.refcnt.counter", 1},
		{"map.usercnt.counter", 1},
		{"map.bypass_spec_v1", 1},
	} {
		b.setHandle(f.path, f.value)
	}
	if f, err := b.m.Profile.FieldInfo(typ, "map.name"); err == nil {
		copy(b.handle.Bytes()[f.Offset:f.Offset+f.Size-1], b.info.Name)
	}
	return nil
}

// setHandle writes a member of the handle. A member that the profile's kernel
// does not have is left out: no program of that kernel can read it.
func (b *base) setHandle(path string, value uint64) {
	f, err := b.m.Profile.FieldInfo(handleTypes[b.info.Type], path)
	if err != nil || f.Offset+f.Size > b.handle.Size || f.Bits != 0 {
		return
	}
	setField(b.handle.Bytes(), f, value)
}

func setField(data []byte, f kernel.Field, value uint64) {
	switch p := data[f.Offset:]; f.Size {
	case 1:
		p[0] = byte(value)
	case 2:
		binary.LittleEndian.PutUint16(p, uint16(value))
	case 4:
		binary.LittleEndian.PutUint32(p, uint32(value))
	case 8:
		binary.LittleEndian.PutUint64(p, value)
	}
}

// unsupported names the types that New refuses, and what for.
func unsupported(t ebpf.MapType) error {
	what := fmt.Sprintf("type %v", t)
	if t == ebpf.UnspecifiedMap || t > ebpf.Arena {
		return fmt.Errorf("%s is none of the kernel's", what)
	}
	return fmt.Errorf("%s is not among those that a TC or XDP program's maps may have here", what)
}
