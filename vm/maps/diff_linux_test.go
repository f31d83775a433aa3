package maps

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/internal/errno"
)

func errnoOf(err error) errno.Errno {
	var e errno.Errno
	if err != nil && !errors.As(err, &e) {
		return errno.Errno(9999)
	}
	return e
}

// pair is a map in the machine and the same in the kernel.
type pair struct {
	t    *rapid.T
	ours Map
	kern *kernelMap
}

// noDevice is an ifindex that nobody has.
const noDevice = 1 << 20

func newPair(t *rapid.T, spec *ebpf.MapSpec, cpus int) *pair {
	m := newMachine(t, cpus)
	spec.Name = "test"
	ours, err := New(m, spec, Options{ID: 1, HasDevice: func(i int) bool { return i < noDevice }})
	kern, e := createKernelMap(spec, 0)
	if errnoOf(err) != e {
		t.Fatalf("create %v flags %#x: %v, kernel %v", spec, spec.Flags, err, e)
	}
	if err != nil {
		return nil
	}
	t.Cleanup(func() { ours.Close(); kern.close() })
	kern.valueSize = ours.Info().UserValueSize()
	return &pair{t, ours, kern}
}

func (p *pair) same(what string, ours error, kern errno.Errno) {
	p.t.Helper()
	if errnoOf(ours) != kern {
		p.t.Fatalf("%s: %v, kernel %v", what, ours, kern)
	}
}

func (p *pair) lookup(key []byte, flags uint64) {
	v, err := p.ours.Lookup(key, flags)
	kv, e := p.kern.Lookup(key, flags)
	p.same(fmt.Sprintf("lookup %x flags %d", key, flags), err, e)
	if err == nil && !bytes.Equal(v, kv) {
		p.t.Fatalf("lookup %x: %x, kernel %x", key, v, kv)
	}
}

func (p *pair) update(key, value []byte, flags uint64) {
	err := p.ours.Update(key, value, flags)
	e := p.kern.elem(cmdMapUpdate, key, value, flags)
	p.same(fmt.Sprintf("update %x flags %d", key, flags), err, e)
}

func (p *pair) del(key []byte) {
	p.same(fmt.Sprintf("delete %x", key), p.ours.Delete(key), p.kern.elem(cmdMapDelete, key, nil, 0))
}

func (p *pair) next(key []byte) {
	k, err := p.ours.NextKey(key)
	kk, e := p.kern.NextKey(key)
	p.same(fmt.Sprintf("next key of %x", key), err, e)
	if err == nil && !bytes.Equal(k, kk) {
		p.t.Fatalf("next key of %x: %x, kernel %x", key, k, kk)
	}
}

func (p *pair) take(key []byte, flags uint64) {
	v, err := p.ours.LookupAndDelete(key, flags)
	kv := make([]byte, p.kern.valueSize)
	e := p.kern.elem(cmdMapLookupAndDelete, key, kv, flags)
	p.same(fmt.Sprintf("lookup and delete %x flags %d", key, flags), err, e)
	if err == nil && !bytes.Equal(v, kv) {
		p.t.Fatalf("lookup and delete %x: %x, kernel %x", key, v, kv)
	}
}

// content compares all keys, in order, and their values.
func (p *pair) content() {
	var key []byte
	for range 100000 {
		k, err := p.ours.NextKey(key)
		kk, e := p.kern.NextKey(key)
		p.same(fmt.Sprintf("next key of %x", key), err, e)
		if err != nil {
			return
		}
		if !bytes.Equal(k, kk) {
			p.t.Fatalf("after %x: %x, kernel %x", key, k, kk)
		}
		p.lookup(k, 0)
		key = k
	}
	p.t.Fatal("the walk does not end")
}

// operate performs a generated sequence on both maps.
func (p *pair) operate(key func(*rapid.T) []byte, steps int) {
	info := p.ours.Info()
	value := rapid.SliceOfN(rapid.Byte(), info.UserValueSize(), info.UserValueSize())
	flags := rapid.SampledFrom([]uint64{0, 0, 0, 0, 0, NoExist, Exist, NoExist | Exist, Lock, Lock | NoExist, 8, 1 << 40})
	for range rapid.IntRange(1, steps).Draw(p.t, "steps") {
		k := key(p.t)
		switch rapid.IntRange(0, 11).Draw(p.t, "op") {
		case 0, 1, 2, 3, 4:
			p.update(k, value.Draw(p.t, "value"), flags.Draw(p.t, "flags"))
		case 5, 6:
			p.lookup(k, 0)
		case 7:
			p.del(k)
		case 8:
			p.next(k)
		case 9:
			p.take(k, 0)
		case 10:
			p.lookup(k, flags.Draw(p.t, "lookup flags"))
		case 11:
			p.next(nil)
		}
	}
	p.content()
}

func TestKernelArrays(t *testing.T) {
	onKernel(t)
	cpus := possibleCPUs(t)
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t, &ebpf.MapSpec{
			Type:       rapid.SampledFrom([]ebpf.MapType{ebpf.Array, ebpf.PerCPUArray}).Draw(t, "type"),
			KeySize:    4,
			ValueSize:  rapid.Uint32Range(1, 33).Draw(t, "value size"),
			MaxEntries: rapid.Uint32Range(1, 5).Draw(t, "entries"),
			Flags:      rapid.SampledFrom([]uint32{0, 0, ReadOnly, WriteOnly, ReadOnlyProg, Mmapable}).Draw(t, "flags"),
		}, cpus)
		if p != nil {
			p.operate(func(t *rapid.T) []byte {
				return uint32Bytes(rapid.SampledFrom([]uint32{0, 1, 2, 3, 4, 5, 6, 1<<32 - 1}).Draw(t, "key"))
			}, 30)
		}
	})
}

func TestKernelHashes(t *testing.T) {
	onKernel(t)
	cpus := possibleCPUs(t)
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom([]ebpf.MapType{ebpf.Hash, ebpf.PerCPUHash, ebpf.LRUHash, ebpf.LRUCPUHash}).Draw(t, "type")
		flags := uint32(ZeroSeed)
		if typ == ebpf.Hash || typ == ebpf.PerCPUHash {
			flags |= rapid.SampledFrom([]uint32{0, NoPrealloc}).Draw(t, "flags")
		} else {
			flags |= rapid.SampledFrom([]uint32{0, NoCommonLRU}).Draw(t, "flags")
		}
		size := rapid.Uint32Range(1, 21).Draw(t, "key size")
		p := newPair(t, &ebpf.MapSpec{Type: typ, KeySize: size, Flags: flags,
			ValueSize:  rapid.Uint32Range(1, 20).Draw(t, "value size"),
			MaxEntries: rapid.Uint32Range(1, 40).Draw(t, "entries"),
		}, cpus)
		if p != nil {
			p.operate(func(t *rapid.T) []byte {
				key := make([]byte, size)
				key[rapid.IntRange(0, int(size)-1).Draw(t, "at")] = rapid.ByteRange(0, 30).Draw(t, "key")
				return key
			}, 120)
		}
	})
}

func TestKernelLPM(t *testing.T) {
	onKernel(t)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint32Range(1, 5).Draw(t, "data size")
		p := newPair(t, &ebpf.MapSpec{Type: ebpf.LPMTrie, KeySize: 4 + size, Flags: NoPrealloc,
			ValueSize:  rapid.Uint32Range(1, 12).Draw(t, "value size"),
			MaxEntries: rapid.Uint32Range(1, 20).Draw(t, "entries"),
		}, 1)
		if p != nil {
			p.operate(func(t *rapid.T) []byte {
				key := uint32Bytes(rapid.Uint32Range(0, size*8+1).Draw(t, "prefix length"))
				for range size {
					key = append(key, rapid.SampledFrom([]byte{0, 0x80, 0xc0, 0xff, 1, 0x81}).Draw(t, "data"))
				}
				return key
			}, 80)
		}
	})
}

func TestKernelQueuesAndStacks(t *testing.T) {
	onKernel(t)
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t, &ebpf.MapSpec{
			Type:       rapid.SampledFrom([]ebpf.MapType{ebpf.Queue, ebpf.Stack}).Draw(t, "type"),
			ValueSize:  rapid.Uint32Range(1, 12).Draw(t, "value size"),
			MaxEntries: rapid.Uint32Range(1, 5).Draw(t, "entries"),
		}, 1)
		value := rapid.SliceOfN(rapid.Byte(), int(p.ours.Info().ValueSize), int(p.ours.Info().ValueSize))
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			flags := rapid.SampledFrom([]uint64{0, 0, 0, NoExist, Exist, Exist, 3, Lock, 8}).Draw(t, "flags")
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0, 1, 2:
				p.update(nil, value.Draw(t, "value"), flags)
			case 3:
				p.lookup(nil, flags)
			case 4:
				p.take(nil, flags)
			case 5:
				p.del(nil)
				p.next(nil)
			}
		}
	})
}

func TestKernelBloomFilters(t *testing.T) {
	onKernel(t)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20).Draw(t, "value size")
		p := newPair(t, &ebpf.MapSpec{Type: ebpf.BloomFilter, ValueSize: uint32(size), Flags: ZeroSeed,
			MaxEntries: rapid.Uint32Range(1, 60).Draw(t, "entries"), MapExtra: rapid.Uint64Range(0, 16).Draw(t, "functions"),
		}, 1)
		if p == nil {
			return
		}
		for range rapid.IntRange(1, 60).Draw(t, "pushes") {
			v := make([]byte, size)
			v[0] = rapid.Byte().Draw(t, "value")
			p.update(nil, v, rapid.SampledFrom([]uint64{0, 0, 0, 1, 2, 4}).Draw(t, "flags"))
		}
		for i := range 256 {
			v := make([]byte, size)
			v[0] = byte(i)
			p.same(fmt.Sprintf("query %x", v), p.ours.Query(v), p.kern.elem(cmdMapLookup, nil, v, 0))
		}
		p.del(nil)
		p.next(nil)
		p.take(nil, 0)
	})
}

// TestKernelCreation compares which specs are refused, and how.
func TestKernelCreation(t *testing.T) {
	onKernel(t)
	cpus := possibleCPUs(t)
	var types []ebpf.MapType
	for typ := ebpf.UnspecifiedMap; typ <= ebpf.Arena; typ++ {
		if _, ok := makerOf(typ); ok && typ != ebpf.PerfEventArray && typ != ebpf.CPUMap && typ != ebpf.ArrayOfMaps && typ != ebpf.HashOfMaps {
			types = append(types, typ)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		spec := &ebpf.MapSpec{
			Type:       rapid.SampledFrom(types).Draw(t, "type"),
			KeySize:    rapid.SampledFrom([]uint32{0, 0, 1, 3, 4, 4, 4, 5, 8, 260, 261, 512, 4 << 20, 4<<20 - 52, 4<<20 - 56, 1<<32 - 1}).Draw(t, "key size"),
			ValueSize:  rapid.SampledFrom([]uint32{0, 0, 1, 4, 4, 7, 8, 8, 64, 32 << 10, 32<<10 + 1, 4<<20 - 4, 4<<20 - 256 - 24, 4<<20 - 256 - 23, 4 << 20, 4<<20 + 1, 1 << 31, 1<<32 - 1}).Draw(t, "value size"),
			MaxEntries: rapid.SampledFrom([]uint32{0, 1, 1, 1, 2, 3, 8, 4096, 4097, 12288}).Draw(t, "entries"),
			MapExtra:   rapid.SampledFrom([]uint64{0, 0, 0, 0, 15, 16}).Draw(t, "extra"),
		}
		if rapid.Bool().Draw(t, "with flags") {
			spec.Flags = 1<<rapid.IntRange(0, 20).Draw(t, "flag") | 1<<rapid.IntRange(0, 20).Draw(t, "flag")&rapid.Uint32().Draw(t, "or one")
		}
		if uint64(spec.MaxEntries)*uint64(spec.ValueSize+spec.KeySize) > 1<<26 {
			spec.MaxEntries = 1
		}
		if spec.Flags&(1<<16|1<<17|1<<15|1<<5|1<<14) != 0 {
			return // descriptors of tokens, BTF and build ids, which the spec cannot carry
		}
		newPair(t, spec, cpus)
	})
}
