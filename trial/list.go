package trial

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/live"
)

// maxIndexed is how many elements of an array are listed, from its start: an array
// can have more of them than memory can hold in this form.
const maxIndexed = 1 << 18

// long reports whether a map is an array of which only the start is listed.
func long(t ebpf.MapType, entries uint32) bool {
	switch t {
	case ebpf.Array, ebpf.PerCPUArray, ebpf.ProgramArray, ebpf.ArrayOfMaps, ebpf.DevMap, ebpf.CPUMap:
		return entries > maxIndexed
	}
	return false
}

// startOf calls f with the first keys of a long array.
func startOf(f func(key []byte) error) error {
	for i := range uint32(maxIndexed) {
		if err := f(binary.LittleEndian.AppendUint32(nil, i)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// list sets r's Items to what a map of bpfct holds.
func (r *Map) list(m *bpfct.Map, cpus int) error {
	add := func(k, v []byte) { r.Items = append(r.Items, newItem(m.Type(), k, v, int(m.ValueSize()), cpus)) }
	if r.Start = long(m.Type(), m.MaxEntries()); r.Start {
		return startOf(func(key []byte) error {
			v, err := m.LookupBytes(key)
			if v != nil {
				add(key, v)
			}
			return err
		})
	}
	for k, v := range m.All() {
		add(k, v)
	}
	r.sort()
	return nil
}

// listKernel is list for a map of the kernel.
func (r *Map) listKernel(m *ebpf.Map) error {
	add := func(it Item) {
		if refMap(m.Type()) {
			it.Value = nil
		}
		r.Items = append(r.Items, it)
	}
	if r.Start = long(m.Type(), m.MaxEntries()); r.Start {
		return startOf(func(key []byte) error {
			if m.Type() == ebpf.PerCPUArray {
				var values [][]byte
				err := m.Lookup(key, &values)
				add(Item{Key: key, PerCPU: values})
				return err
			}
			v, err := m.LookupBytes(key)
			if v != nil {
				add(Item{Key: key, Value: v})
			}
			return err
		})
	}
	items, err := live.DumpMap(m)
	for _, it := range items {
		add(Item{Key: it.Key, Value: it.Value, PerCPU: it.PerCPU})
	}
	r.sort()
	return err
}

func (r *Map) sort() {
	slices.SortFunc(r.Items, func(a, b Item) int { return bytes.Compare(a.Key, b.Key) })
}
