package maps

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/vm"
)

const noFD = 99999

func TestKernelRedirectMaps(t *testing.T) {
	onKernel(t)
	cpus := possibleCPUs(t)
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom([]ebpf.MapType{ebpf.DevMap, ebpf.DevMapHash, ebpf.CPUMap, ebpf.XSKMap}).Draw(t, "type")
		spec := &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: rapid.Uint32Range(1, 5).Draw(t, "entries")}
		if typ != ebpf.XSKMap {
			spec.ValueSize = rapid.SampledFrom([]uint32{4, 8}).Draw(t, "value size")
		}
		if typ == ebpf.CPUMap {
			spec.MaxEntries = min(spec.MaxEntries, uint32(cpus))
		} else {
			spec.Flags = rapid.SampledFrom([]uint32{0, 0, ReadOnly, WriteOnly}).Draw(t, "flags")
		}
		p := newPair(t, spec, cpus)
		if p == nil {
			return
		}
		key := rapid.SampledFrom([]uint32{0, 1, 2, 3, 4, 8, 16, 33, 1<<32 - 1})
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			k := uint32Bytes(key.Draw(t, "key"))
			switch rapid.IntRange(0, 6).Draw(t, "op") {
			case 0, 1, 2:
				first := []uint32{0, 1, 1, 1, noDevice}
				switch typ {
				case ebpf.CPUMap:
					first = []uint32{0, 1, 192, maxCPUQueue, maxCPUQueue + 1, 1<<32 - 1}
				case ebpf.XSKMap:
					first = []uint32{noFD}
				}
				v := uint32Bytes(rapid.SampledFrom(first).Draw(t, "value"))
				if spec.ValueSize == 8 {
					v = binary.LittleEndian.AppendUint32(v, rapid.SampledFrom([]uint32{0, 0, 0, 1<<32 - 1, noFD}).Draw(t, "program"))
				}
				p.update(k, v, rapid.SampledFrom([]uint64{0, 0, 0, NoExist, Exist, 3, Lock}).Draw(t, "flags"))
			case 3:
				p.lookup(k, 0)
			case 4:
				p.del(k)
			case 5:
				p.next(k)
			case 6:
				p.take(k, 0)
			}
		}
		for i := range uint32(5) {
			p.lookup(uint32Bytes(i), 0)
		}
		var k []byte
		for range 10 {
			p.next(k)
			var err error
			if k, err = p.ours.NextKey(k); err != nil {
				break
			}
		}
	})
}

// both is a thing that a map may hold, on both sides.
type both struct {
	ref    any
	id     uint32
	fd     int
	kernID uint32
}

// operateRefs performs a generated sequence on a map that holds references.
func (p *pair) operateRefs(refs []both) {
	t := p.t
	id := make(map[uint32]uint32)
	for _, r := range refs {
		id[r.kernID] = r.id
	}
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		k := uint32Bytes(rapid.Uint32Range(0, 6).Draw(t, "key"))
		switch rapid.IntRange(0, 5).Draw(t, "op") {
		case 0, 1, 2:
			r := refs[rapid.IntRange(0, len(refs)-1).Draw(t, "what")]
			flags := rapid.SampledFrom([]uint64{0, 0, 0, 0, NoExist, Exist, 3}).Draw(t, "flags")
			p.same(fmt.Sprintf("update %x to %d flags %d", k, r.id, flags),
				p.ours.UpdateRef(k, r.ref, flags), p.kern.elem(cmdMapUpdate, k, uint32Bytes(uint32(r.fd)), flags))
		case 3:
			p.same(fmt.Sprintf("delete %x", k), p.ours.Delete(k), p.kern.elem(cmdMapDelete, k, nil, 0))
		case 4:
			p.next(k)
		case 5:
			v, err := p.ours.Lookup(k, 0)
			kv, e := p.kern.Lookup(k, 0)
			p.same(fmt.Sprintf("lookup %x", k), err, e)
			if err == nil && binary.LittleEndian.Uint32(v) != id[binary.LittleEndian.Uint32(kv)] {
				t.Fatalf("lookup %x: %x, kernel %x", k, v, kv)
			}
		}
	}
	p.take(uint32Bytes(0), 0)
}

func TestKernelProgramArrays(t *testing.T) {
	onKernel(t)
	var refs []both
	for i, typ := range []ebpf.ProgramType{ebpf.SchedCLS, ebpf.XDP, ebpf.SchedCLS} {
		kp, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: typ, License: "MIT",
			Instructions: asm.Instructions{asm.LoadImm(asm.R0, 0, asm.DWord), asm.Return()}})
		if err != nil {
			t.Fatal(err)
		}
		defer kp.Close()
		info, err := kp.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		refs = append(refs, both{Prog{&vm.Program{Name: "p", Type: typ}, uint32(i + 10)}, uint32(i + 10), kp.FD(), uint32(id)})
	}
	rapid.Check(t, func(t *rapid.T) {
		if p := newPair(t, &ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 5}, 1); p != nil {
			p.operateRefs(append(refs, both{fd: noFD}))
		}
	})
}

func TestKernelMapsOfMaps(t *testing.T) {
	onKernel(t)
	specs := []*ebpf.MapSpec{
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 3},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 3},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 4},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 3, Flags: InnerMap},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 9, Flags: InnerMap},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 3},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 3},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 4},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 3},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 30},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 3, Flags: NoPrealloc},
		{Type: ebpf.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 3},
		{Type: ebpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 3, Flags: NoPrealloc},
		{Type: ebpf.Queue, ValueSize: 8, MaxEntries: 3},
		{Type: ebpf.Queue, ValueSize: 8, MaxEntries: 4},
		{Type: ebpf.BloomFilter, ValueSize: 8, MaxEntries: 3},
		{Type: ebpf.RingBuf, MaxEntries: 4096},
		{Type: ebpf.RingBuf, MaxEntries: 8192},
		{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 3},
		{Type: ebpf.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 3},
		{Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 4},
		{Type: ebpf.DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: 4},
		{Type: ebpf.CPUMap, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 3},
		{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	}
	var fds []int
	var ids []uint32
	for _, s := range specs {
		km, err := ebpf.NewMap(s)
		if err != nil {
			t.Fatal(s, err)
		}
		defer km.Close()
		info, err := km.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		fds, ids = append(fds, km.FD()), append(ids, uint32(id))
	}
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom([]ebpf.MapType{ebpf.ArrayOfMaps, ebpf.HashOfMaps}).Draw(t, "type")
		like := rapid.IntRange(0, len(specs)-1).Draw(t, "like")
		spec := &ebpf.MapSpec{Name: "outer", Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 5, InnerMap: specs[like]}
		if typ == ebpf.HashOfMaps {
			spec.Flags = rapid.SampledFrom([]uint32{ZeroSeed, ZeroSeed | NoPrealloc}).Draw(t, "flags")
		}
		m := newMachine(t, possibleCPUs(t))
		ours, err := New(m, spec, Options{ID: 1})
		kern, e := createKernelMap(spec, fds[like])
		if errnoOf(err) != e {
			t.Fatalf("create with inner maps like %v: %v, kernel %v", specs[like], err, e)
		}
		if err != nil {
			return
		}
		t.Cleanup(func() { ours.Close(); kern.close() })
		var refs []both
		for i, s := range specs {
			if s.Type == ebpf.ProgramArray {
				continue
			}
			s := *s
			s.Name = "inner"
			in, err := New(m, &s, Options{ID: uint32(100 + i)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(in.Close)
			refs = append(refs, both{in, uint32(100 + i), fds[i], ids[i]})
		}
		(&pair{t, ours, kern}).operateRefs(append(refs, both{fd: noFD}))
	})
}

func TestKernelFreeze(t *testing.T) {
	onKernel(t)
	for _, typ := range []ebpf.MapType{ebpf.Array, ebpf.Hash, ebpf.PerCPUArray, ebpf.LPMTrie, ebpf.Queue} {
		for _, flags := range []uint32{0, ReadOnly, WriteOnly} {
			rapidOnce(t, func(t *rapid.T) {
				spec := &ebpf.MapSpec{Type: typ, KeySize: 8, ValueSize: 8, MaxEntries: 2, Flags: flags}
				switch typ {
				case ebpf.Array, ebpf.PerCPUArray:
					spec.KeySize = 4
				case ebpf.LPMTrie:
					spec.Flags |= NoPrealloc
				case ebpf.Queue:
					spec.KeySize = 0
				}
				p := newPair(t, spec, possibleCPUs(t))
				key, value := make([]byte, spec.KeySize), make([]byte, p.kern.valueSize)
				for range 2 {
					p.update(key, value, 0)
					p.lookup(key, 0)
					p.next(nil)
					p.take(key, 0)
					p.del(key)
					p.same("freeze", p.ours.Freeze(), p.kern.freeze())
				}
			})
		}
	}
}

// rapidOnce runs f as a property that draws nothing.
func rapidOnce(t *testing.T, f func(t *rapid.T)) {
	t.Helper()
	rapid.Check(t, f)
}
