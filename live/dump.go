package live

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"github.com/cilium/ebpf"
)

// MapItem is one element of a map in raw bytes.
type MapItem struct {
	Key []byte
	// Value is nil for per-CPU maps.
	Value []byte
	// PerCPU has a value for each possible CPU, nil for other maps.
	PerCPU [][]byte
}

// DumpMap reads all of a map, sorted by key, without changing it. Queues,
// stacks, ring buffers and the like have no keys to go by; for these the
// error is ErrNotSupported.
func DumpMap(m *ebpf.Map) ([]MapItem, error) {
	switch m.Type() {
	case ebpf.Queue, ebpf.Stack, ebpf.RingBuf, ebpf.UserRingbuf, ebpf.PerfEventArray, ebpf.Arena,
		ebpf.SkStorage, ebpf.TaskStorage, ebpf.InodeStorage, ebpf.CgroupStorage:
		return nil, fmt.Errorf("dump map %s: %s: %w", m, m.Type(), ErrNotSupported)
	}
	var items []MapItem
	var err error
	if perCPU(m.Type()) {
		items, err = dumpPerCPU(m)
	} else {
		items, err = dumpPlain(m)
	}
	if err != nil {
		return nil, fmt.Errorf("dump map %s: %w", m, err)
	}
	sort.Slice(items, func(i, j int) bool { return bytes.Compare(items[i].Key, items[j].Key) < 0 })
	return items, nil
}

func perCPU(t ebpf.MapType) bool {
	switch t {
	case ebpf.PerCPUHash, ebpf.PerCPUArray, ebpf.LRUCPUHash, ebpf.PerCPUCGroupStorage:
		return true
	}
	return false
}

// dumpPlain goes by NextKey and not by an iterator: the latter looks up keys
// that may have no value (a program array's empty slots).
func dumpPlain(m *ebpf.Map) ([]MapItem, error) {
	var items []MapItem
	key, err := m.NextKeyBytes(nil)
	for ; err == nil && key != nil; key, err = m.NextKeyBytes(key) {
		value, err := m.LookupBytes(key)
		if err != nil {
			return nil, err
		}
		if value == nil {
			continue
		}
		items = append(items, MapItem{Key: key, Value: value})
	}
	return items, err
}

func dumpPerCPU(m *ebpf.Map) ([]MapItem, error) {
	var items []MapItem
	key, err := m.NextKeyBytes(nil)
	for ; err == nil && key != nil; key, err = m.NextKeyBytes(key) {
		var values [][]byte
		if err := m.Lookup(key, &values); errors.Is(err, ebpf.ErrKeyNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		items = append(items, MapItem{Key: key, PerCPU: values})
	}
	return items, err
}
