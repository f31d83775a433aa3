package maps

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/vm"
)

// go test ./vm/maps -run xxx -bench .

func BenchmarkElements(b *testing.B) {
	const n = 1 << 16
	for _, spec := range []*ebpf.MapSpec{
		{Type: ebpf.Array}, {Type: ebpf.PerCPUArray}, {Type: ebpf.Hash}, {Type: ebpf.PerCPUHash}, {Type: ebpf.LRUHash},
	} {
		spec.KeySize, spec.ValueSize, spec.MaxEntries = 4, 64, n
		m := newMachine(b, 2)
		mp := mustNew(b, m, spec)
		value := make([]byte, 64)
		bench := func(name string, f func(c *vm.CPU, key []byte) error) {
			b.Run(spec.Type.String()+"/"+name, func(b *testing.B) {
				_, err := onCPU(b, m, 0, func(c *vm.CPU) (uint64, error) {
					key := make([]byte, 4)
					for i := range b.N {
						binary.LittleEndian.PutUint32(key, uint32(i)*2654435761%n)
						if err := f(c, key); err != nil {
							return 0, err
						}
					}
					return 0, nil
				})
				if err != nil {
					b.Fatal(err)
				}
			})
		}
		bench("update", func(c *vm.CPU, key []byte) error { return mp.UpdateElem(c, key, value, Any) })
		bench("lookup", func(c *vm.CPU, key []byte) error { _, err := mp.LookupElem(c, key); return err })
	}
}
