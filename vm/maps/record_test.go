package maps

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/vm"
)

// TestFieldsAreFreedWithTheirValues counts what a map asks to be freed: what a
// value owns goes when the value is deleted, changed, evicted, or its map closed.
func TestFieldsAreFreedWithTheirValues(t *testing.T) {
	u32, u64 := &btf.Int{Name: "u32", Size: 4}, &btf.Int{Name: "u64", Size: 8}
	value := &btf.Struct{Name: "value", Size: 16, Members: []btf.Member{
		{Name: "n", Type: u64},
		{Name: "p", Type: &btf.Pointer{Target: &btf.TypeTag{Type: &btf.Struct{Name: "task_struct"}, Value: "kptr"}}, Offset: 64},
	}}
	for _, c := range []struct {
		typ                    ebpf.MapType
		flags                  uint32
		update, remove, closed int // frees of one element; closed of the map with two
	}{
		{ebpf.Array, 0, 1, 0, 2},
		{ebpf.PerCPUArray, 0, 3, 0, 6},
		{ebpf.Hash, 0, 1, 1, 5}, // and an extra one for each CPU
		{ebpf.Hash, NoPrealloc, 1, 1, 1 << 10},
		{ebpf.PerCPUHash, 0, 3, 3, 6},
		{ebpf.LRUHash, 0, 1, 1, 2},
		{ebpf.LRUCPUHash, 0, 3, 3, 6},
	} {
		t.Run(fmt.Sprintf("%v %#x", c.typ, c.flags), func(t *testing.T) {
			m := newMachine(t, 3)
			freed := 0
			mp, err := New(m, &ebpf.MapSpec{Name: "m", Type: c.typ, KeySize: 4, ValueSize: 16, MaxEntries: 2, Flags: c.flags, Key: u32, Value: value},
				Options{FreeRecord: func(_ *vm.Machine, _ vm.Site, rec *record.Record, o *vm.Object, off uint32) {
					freed++
					if f := rec.Find(record.KptrRef); f == nil || f.Offset != 8 || off%16 != 0 || off >= o.Size {
						t.Errorf("field %+v of the value at %d of %v", f, off, o)
					}
				}})
			if err != nil {
				t.Fatal(err)
			}
			count := func(what string, want int, f func() error) {
				t.Helper()
				freed = 0
				if err := f(); err != nil && want != 0 {
					t.Errorf("%s: %v", what, err)
				}
				if freed != want && !(what == "close" && c.flags != 0) {
					t.Errorf("%s: %d values freed, want %d", what, freed, want)
				}
			}
			v := make([]byte, mp.Info().UserValueSize())
			for i := range v {
				v[i] = 0xff
			}
			mp.Update(uint32Bytes(1), v, 0)
			count("update", c.update, func() error { return mp.Update(uint32Bytes(1), v, 0) })
			if b, err := mp.Lookup(uint32Bytes(1), 0); err != nil || b[7] != 0xff || b[8] != 0 || b[15] != 0 {
				t.Errorf("the user wrote and reads %x, %v: pointers are not his", b, err)
			}
			count("delete", c.remove, func() error { return mp.Delete(uint32Bytes(1)) })
			count("close", c.closed, func() error { mp.Close(); return nil })
			if c.flags != 0 && freed == 0 {
				t.Error("close: nothing freed")
			}
		})
	}
}
