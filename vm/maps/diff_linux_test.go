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

func newPair(t *rapid.T, spec *ebpf.MapSpec, cpus int) *pair {
	m := newMachine(t, cpus)
	spec.Name = "test"
	ours, err := New(m, spec, Options{ID: 1})
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
