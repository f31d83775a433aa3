package maps

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// TestKernelHandles compares what a program reads through its pointers to maps.
func TestKernelHandles(t *testing.T) {
	onKernel(t)
	tw := loadTwin(t, loadSpec(t, "testdata/handle.o"), "read_handles", possibleCPUs(t), nil)
	tw.run(t, 0, nil, make([]byte, 64))
	fields := []string{"map_type", "key_size", "value_size", "max_entries", "map_extra", "map_flags", "numa_node",
		"first own member", "second own member", "third own member", "fourth own member", "sum of elements"}
	for i := range uint32(15) {
		ours, kern := tw.results(t, "results", i)
		for j, name := range fields {
			a, b := binary.LittleEndian.Uint64(ours[8*j:]), binary.LittleEndian.Uint64(kern[8*j:])
			if a != b {
				t.Errorf("map %d: %s is %s, kernel %s", i, name, fmt.Sprintf("%d (%#x)", a, a), fmt.Sprintf("%d (%#x)", b, b))
			}
		}
	}
}
