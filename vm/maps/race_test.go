package maps

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/vm"
)

// contend runs f as a program on each CPU n times, and g as the user meanwhile.
func contend(t *testing.T, m *vm.Machine, n int, f func(c *vm.CPU, i int) error, g func(i int)) {
	t.Helper()
	var wg sync.WaitGroup
	for cpu := range m.CPUs {
		wg.Go(func() {
			for i := range n {
				_, err := onCPU(t, m, cpu, func(c *vm.CPU) (uint64, error) { return 0, f(c, i) })
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for i := range n {
			g(i)
		}
	})
	wg.Wait()
}

func TestElementsUnderContention(t *testing.T) {
	for _, spec := range []*ebpf.MapSpec{
		{Type: ebpf.Array, KeySize: 4, ValueSize: 13, MaxEntries: 16},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 13, MaxEntries: 16},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 13, MaxEntries: 16},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 13, MaxEntries: 16, Flags: NoPrealloc},
		{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 13, MaxEntries: 16},
		{Type: ebpf.LRUHash, KeySize: 4, ValueSize: 13, MaxEntries: 16},
		{Type: ebpf.LRUHash, KeySize: 4, ValueSize: 13, MaxEntries: 16, Flags: NoCommonLRU},
		{Type: ebpf.LRUCPUHash, KeySize: 4, ValueSize: 13, MaxEntries: 16},
		{Type: ebpf.LPMTrie, KeySize: 8, ValueSize: 13, MaxEntries: 16, Flags: NoPrealloc},
	} {
		t.Run(spec.Type.String(), func(t *testing.T) {
			m := newMachine(t, 4)
			mp := mustNew(t, m, spec)
			key := func(i int) []byte {
				k := make([]byte, spec.KeySize)
				if spec.Type == ebpf.LPMTrie {
					k[0], k[4] = byte(8+i%25), byte(i)
				} else {
					k[0] = byte(i % 24)
				}
				return k
			}
			walk := callback(t, m, func(*vm.CPU, [5]uint64) (uint64, error) { return 0, nil })
			contend(t, m, 300, func(c *vm.CPU, i int) error {
				switch (i + c.ID) % 5 {
				case 0, 1:
					mp.UpdateElem(c, key(i), make([]byte, 13), 0)
				case 2:
					if _, err := mp.LookupElem(c, key(i)); err != nil {
						return err
					}
				case 3:
					mp.DeleteElem(c, key(i))
				case 4:
					if spec.Type != ebpf.LPMTrie && i%8 == 0 {
						_, err := mp.ForEachElem(c, walk, 0, 0)
						return err
					}
				}
				return nil
			}, func(i int) {
				mp.Update(key(i), make([]byte, mp.Info().UserValueSize()), 0)
				mp.Lookup(key(i+1), 0)
				mp.LookupAndDelete(key(i+2), 0)
				mp.NextKey(key(i + 3))
			})
			// Whatever happened, the map is whole: it can be emptied and filled.
			if spec.Type == ebpf.Array || spec.Type == ebpf.PerCPUArray {
				return
			}
			for _, k := range keys(t, mp) {
				if err := mp.Delete(k); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 16 {
				if err := mp.Update(key(i), make([]byte, mp.Info().UserValueSize()), NoExist); err != nil {
					t.Fatalf("element %d of an empty map: %v", i, err)
				}
			}
		})
	}
}

// TestValuesChangeAsAWholeUnderTheirLock: updates with BPF_F_LOCK do not mix.
func TestValuesChangeAsAWholeUnderTheirLock(t *testing.T) {
	h := loadHost(t, loadSpec(t, "testdata/fields.o"), "on_lock_hash", 4, nil)
	mp := h.maps["lock_hash"]
	value := func(i int) []byte {
		v := make([]byte, mp.Info().ValueSize)
		binary.LittleEndian.PutUint32(v, uint32(i))
		binary.LittleEndian.PutUint64(v[8:], uint64(i))
		binary.LittleEndian.PutUint32(v[16:], uint32(i))
		return v
	}
	if err := mp.Update(uint32Bytes(1), value(0), 0); err != nil {
		t.Fatal(err)
	}
	contend(t, newMachineLike(h.m), 300, func(c *vm.CPU, i int) error {
		return mp.UpdateElem(c, uint32Bytes(1), value(i+1000*c.ID), Lock)
	}, func(int) {
		v, err := mp.Lookup(uint32Bytes(1), Lock)
		if err != nil {
			t.Error(err)
			return
		}
		a, b, c := binary.LittleEndian.Uint32(v), binary.LittleEndian.Uint64(v[8:]), binary.LittleEndian.Uint32(v[16:])
		if uint64(a) != b || a != c {
			t.Errorf("value of parts %d, %d, %d", a, b, c)
		}
	})
}

// newMachineLike is a machine whose CPUs run Go functions on the memory of m.
func newMachineLike(m *vm.Machine) *vm.Machine {
	cfg := m.Config
	cfg.Engine = goEngine{}
	other := vm.New(cfg)
	other.Mem = m.Mem
	return other
}

func TestRingUnderContention(t *testing.T) {
	m := newMachine(t, 4)
	ring := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096}).(*RingBuf)
	sent, seen := [4]int{}, [4]int{}
	read := func() {
		for data, ok := ring.Next(); ok; data, ok = ring.Next() {
			cpu, n := int(data[0]), int(binary.LittleEndian.Uint32(data[4:]))
			if n <= seen[cpu] {
				t.Errorf("record %d of CPU %d after %d", n, cpu, seen[cpu])
			}
			seen[cpu] = n
		}
	}
	contend(t, m, 300, func(c *vm.CPU, i int) error {
		o, err := ring.Reserve(uint64(8 + i%40))
		if err != nil || o == nil {
			return err
		}
		c.Acquire(o)
		o.Bytes()[0] = byte(c.ID)
		binary.LittleEndian.PutUint32(o.Bytes()[4:], uint32(i+1))
		if err := c.Disown("R1", o); err != nil {
			return err
		}
		o.Owner.(*Sample).Commit(0, i%7 == 0)
		m.Mem.Free(o, c.Site())
		if i%7 != 0 {
			sent[c.ID] = i + 1
		}
		return nil
	}, func(int) { read() })
	read()
	if sent != seen {
		t.Errorf("last records sent %v, read %v", sent, seen)
	}
	if n := ring.Buffered(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

func TestQueuesUnderContention(t *testing.T) {
	for _, typ := range []ebpf.MapType{ebpf.Queue, ebpf.Stack, ebpf.BloomFilter} {
		t.Run(typ.String(), func(t *testing.T) {
			m := newMachine(t, 4)
			mp := mustNew(t, m, &ebpf.MapSpec{Type: typ, ValueSize: 8, MaxEntries: 8})
			contend(t, m, 300, func(c *vm.CPU, i int) error {
				mp.PushElem(c, make([]byte, 8), uint64(i%2*Exist))
				mp.PopElem(c, make([]byte, 8))
				return nil
			}, func(int) {
				mp.Lookup(nil, 0)
				mp.LookupAndDelete(nil, 0)
				mp.Query(make([]byte, 8))
			})
		})
	}
}
