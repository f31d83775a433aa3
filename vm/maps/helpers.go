package maps

import (
	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// Register adds the helpers and kfuncs on maps to r.
func Register(r *vm.Registry) {
	registerElem(r)
	registerTimers(r)
	registerRingBuf(r)
	registerSkStorage(r)
	r.Add("bpf_perf_event_output", perfOutput)
}

// result turns what an operation returned into r0: an errno negated, or the end
// of the run.
func result(r0 uint64, err error) (uint64, error) {
	if err == nil {
		return r0, nil
	}
	if e, ok := err.(errno.Errno); ok {
		return e.Neg(), nil
	}
	return 0, err
}

// pointer is result for helpers that return NULL on failure.
func pointer(addr uint64, err error) (uint64, error) {
	if _, ok := err.(errno.Errno); ok {
		return 0, nil
	}
	return addr, err
}

// mapAt is the map that the program gave in reg, of one of the types that the
// verifier would let pass.
func mapAt(c *vm.CPU, reg string, addr uint64, allowed func(ebpf.MapType) bool) (Map, error) {
	m, o, err := vm.OwnerAt[Map](c, reg, addr)
	if err != nil {
		return nil, err
	}
	if o.Kind != vm.KindMap || !allowed(m.Info().Type) {
		f := c.Fault(vm.BadArgument, reg, "%v cannot be passed to this function", m.Info())
		f.Object = o
		return nil, f
	}
	return m, nil
}

// elements are the types with keys and values that a program may change.
func elements(t ebpf.MapType) bool {
	switch t {
	case ebpf.Array, ebpf.PerCPUArray, ebpf.Hash, ebpf.PerCPUHash, ebpf.LRUHash, ebpf.LRUCPUHash, ebpf.LPMTrie:
		return true
	}
	return false
}

func lookups(t ebpf.MapType) bool {
	switch t {
	case ebpf.ArrayOfMaps, ebpf.HashOfMaps, ebpf.DevMap, ebpf.DevMapHash, ebpf.XSKMap:
		return true
	}
	return elements(t)
}

func perCPU(t ebpf.MapType) bool {
	return t == ebpf.PerCPUArray || t == ebpf.PerCPUHash || t == ebpf.LRUCPUHash
}

func walks(t ebpf.MapType) bool { return elements(t) && t != ebpf.LPMTrie }

func queues(t ebpf.MapType) bool { return t == ebpf.Queue || t == ebpf.Stack }

func pushes(t ebpf.MapType) bool { return queues(t) || t == ebpf.BloomFilter }

func registerElem(r *vm.Registry) {
	r.Add("bpf_map_lookup_elem", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		m, key, err := mapKey(c, a, lookups)
		if err != nil {
			return 0, err
		}
		return pointer(m.LookupElem(c, key))
	})
	r.Add("bpf_map_lookup_percpu_elem", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		m, key, err := mapKey(c, a, perCPU)
		if err != nil {
			return 0, err
		}
		return pointer(m.LookupPerCPUElem(c, key, uint32(a[2])))
	})
	r.Add("bpf_map_update_elem", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		m, key, err := mapKey(c, a, elements)
		if err != nil {
			return 0, err
		}
		value, err := c.Read("R3", a[2], m.Info().ValueSize)
		if err != nil {
			return 0, err
		}
		return result(0, m.UpdateElem(c, key, value, a[3]))
	})
	r.Add("bpf_map_delete_elem", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		m, key, err := mapKey(c, a, elements)
		if err != nil {
			return 0, err
		}
		return result(0, m.DeleteElem(c, key))
	})
	r.Add("bpf_map_push_elem", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		m, err := mapAt(c, "R1", a[0], pushes)
		if err != nil {
			return 0, err
		}
		value, err := c.Read("R2", a[1], m.Info().ValueSize)
		if err != nil {
			return 0, err
		}
		return result(0, m.PushElem(c, value, a[2]))
	})
	r.Add("bpf_map_pop_elem", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		m, err := mapAt(c, "R1", a[0], queues)
		if err != nil {
			return 0, err
		}
		value, err := c.Write("R2", a[1], m.Info().ValueSize)
		if err != nil {
			return 0, err
		}
		return result(0, m.PopElem(c, value))
	})
	r.Add("bpf_map_peek_elem", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		m, err := mapAt(c, "R1", a[0], pushes)
		if err != nil {
			return 0, err
		}
		read := c.Write
		if m.Info().Type == ebpf.BloomFilter {
			read = c.Read
		}
		value, err := read("R2", a[1], m.Info().ValueSize)
		if err != nil {
			return 0, err
		}
		return result(0, m.PeekElem(c, value))
	})
	r.Add("bpf_for_each_map_elem", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		m, err := mapAt(c, "R1", a[0], walks)
		if err != nil {
			return 0, err
		}
		return result(m.ForEachElem(c, a[1], a[2], a[3]))
	})
	r.Add("bpf_map_sum_elem_count", func(c *vm.CPU, a *[5]uint64) (uint64, error) {
		m, _, err := vm.OwnerAt[Map](c, "R1", a[0])
		if err != nil {
			return 0, err
		}
		if l, ok := m.(interface{ Len() uint32 }); ok {
			return uint64(l.Len()), nil
		}
		return 0, nil
	})
}

// mapKey is the map in R1 and the key that R2 points to.
func mapKey(c *vm.CPU, a *[5]uint64, allowed func(ebpf.MapType) bool) (Map, []byte, error) {
	m, err := mapAt(c, "R1", a[0], allowed)
	if err != nil {
		return nil, nil, err
	}
	key, err := c.Read("R2", a[1], m.Info().KeySize)
	return m, key, err
}
