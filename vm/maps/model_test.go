package maps

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/vm"
)

// keys walks a map and checks that it ends and sees each key once.
func keys(t tester, mp Map) [][]byte {
	t.Helper()
	var all [][]byte
	for k, err := mp.NextKey(nil); err == nil; k, err = mp.NextKey(k) {
		if slices.ContainsFunc(all, func(o []byte) bool { return bytes.Equal(k, o) }) {
			t.Fatalf("key %x comes twice", k)
		}
		all = append(all, k)
	}
	return all
}

// TestHashModel compares hashes with a Go map that holds at most as many.
func TestHashModel(t *testing.T) {
	m := newMachine(t, 2)
	rapid.Check(t, func(t *rapid.T) {
		spec := &ebpf.MapSpec{Type: rapid.SampledFrom([]ebpf.MapType{ebpf.Hash, ebpf.PerCPUHash}).Draw(t, "type"),
			KeySize: 4, ValueSize: 8, MaxEntries: rapid.Uint32Range(1, 20).Draw(t, "entries"),
			Flags: rapid.SampledFrom([]uint32{0, NoPrealloc}).Draw(t, "flags")}
		mp := mustNew(t, m, spec)
		defer mp.Close()
		model := make(map[uint32][]byte)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			k := rapid.Uint32Range(0, 30).Draw(t, "key")
			key := uint32Bytes(k)
			old, exists := model[k]
			switch rapid.IntRange(0, 3).Draw(t, "op") {
			case 0, 1:
				v := bytes.Repeat([]byte{rapid.Byte().Draw(t, "value")}, mp.Info().UserValueSize())
				flags := rapid.Uint64Range(Any, Exist).Draw(t, "flags")
				want := errno.Errno(0)
				switch {
				case exists && flags == NoExist:
					want = errno.EEXIST
				case !exists && flags == Exist:
					want = errno.ENOENT
				case !exists && len(model) == int(spec.MaxEntries):
					want = errno.E2BIG
				default:
					model[k] = v
				}
				wantErrno(t, "update", mp.Update(key, v, flags), want)
			case 2:
				want := errno.ENOENT
				if exists {
					want = 0
					delete(model, k)
				}
				wantErrno(t, "delete", mp.Delete(key), want)
			case 3:
				v, err := mp.Lookup(key, 0)
				if (err == nil) != exists || exists && !bytes.Equal(v, old) {
					t.Fatalf("lookup: %x, %v, want %x", v, err, old)
				}
			}
		}
		var got []uint32
		for _, k := range keys(t, mp) {
			got = append(got, binary.LittleEndian.Uint32(k))
		}
		slices.Sort(got)
		if want := slices.Sorted(maps.Keys(model)); !slices.Equal(got, want) {
			t.Fatalf("keys %v, want %v", got, want)
		}
		if n := mp.(*hash).Len(); int(n) != len(model) {
			t.Fatalf("%d elements, want %d", n, len(model))
		}
	})
}

// TestLRUModel checks what programs may rely on: an update always succeeds, its
// key is there then with its value, and the map does not grow beyond its size.
func TestLRUModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cpus := rapid.IntRange(1, 4).Draw(t, "cpus")
		m := newMachine(t, cpus)
		spec := &ebpf.MapSpec{Type: rapid.SampledFrom([]ebpf.MapType{ebpf.LRUHash, ebpf.LRUCPUHash}).Draw(t, "type"),
			KeySize: 4, ValueSize: 8, MaxEntries: rapid.Uint32Range(uint32(cpus), 300).Draw(t, "entries"),
			Flags: rapid.SampledFrom([]uint32{0, NoCommonLRU}).Draw(t, "flags")}
		h := mustNew(t, m, spec).(*hash)
		last := make(map[uint32]byte)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			k, cpu := rapid.Uint32Range(0, 500).Draw(t, "key"), rapid.IntRange(0, cpus-1).Draw(t, "cpu")
			f := from{cpu: cpu}
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0, 1, 2, 3:
				v := rapid.Byte().Draw(t, "value")
				if err := h.update(f, uint32Bytes(k), []byte{v, 0, 0, 0, 0, 0, 0, 0}, 0); err != nil {
					t.Fatalf("update with %d of %d elements: %v", h.Len(), h.info.MaxEntries, err)
				}
				last[k] = v
				if addr := h.lookupOn(uint32Bytes(k), cpu); addr == 0 {
					t.Fatalf("key %d is gone right after its update", k)
				}
			case 4:
				if addr := h.lookupOn(uint32Bytes(k), 0); addr != 0 && h.info.Type == ebpf.LRUHash {
					b, f := m.Mem.Load(addr, 1)
					if f != nil || b[0] != last[k] {
						t.Fatalf("value of %d: %x, %v, want %x", k, b, f, last[k])
					}
				}
			case 5:
				h.remove(f, uint32Bytes(k))
			}
		}
		if n := len(keys(t, h)); n > int(h.info.MaxEntries) || n != int(h.Len()) {
			t.Fatalf("%d keys, %d elements, at most %d", n, h.Len(), h.info.MaxEntries)
		}
	})
}

// TestLRUKeepsWhatIsUsed: elements that are looked up all the time outlive many
// that are not.
func TestLRUKeepsWhatIsUsed(t *testing.T) {
	m := newMachine(t, 1)
	h := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 1000}).(*hash)
	for i := range uint32(20000) {
		if err := h.update(user, uint32Bytes(i), make([]byte, 8), 0); err != nil {
			t.Fatal(err)
		}
		for hot := range min(i+1, uint32(50)) {
			if h.lookupOn(uint32Bytes(hot), 0) == 0 {
				t.Fatalf("hot key %d was evicted at %d", hot, i)
			}
		}
	}
}

func TestLPMModel(t *testing.T) {
	m := newMachine(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		mp := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.LPMTrie, KeySize: 7, ValueSize: 1, MaxEntries: 25, Flags: NoPrealloc})
		defer mp.Close()
		type prefix struct {
			bits uint32
			data [3]byte
		}
		mask := func(p prefix) prefix {
			for i := range uint32(24) {
				if i >= p.bits {
					p.data[i/8] &^= 0x80 >> (i % 8)
				}
			}
			return p
		}
		draw := func() (prefix, []byte) {
			p := prefix{bits: rapid.Uint32Range(0, 24).Draw(t, "bits")}
			for i := range p.data {
				p.data[i] = rapid.SampledFrom([]byte{0, 1, 0x80, 0x81, 0xff}).Draw(t, "data")
			}
			return p, append(uint32Bytes(p.bits), p.data[:]...)
		}
		model := make(map[prefix]byte)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			p, key := draw()
			_, exists := model[mask(p)]
			switch rapid.IntRange(0, 3).Draw(t, "op") {
			case 0, 1:
				v := rapid.Byte().Draw(t, "value")
				want := errno.Errno(0)
				if !exists && len(model) == 25 {
					want = errno.ENOSPC
				} else {
					model[mask(p)] = v
				}
				wantErrno(t, "update", mp.Update(key, []byte{v}, 0), want)
			case 2:
				want := errno.ENOENT
				if exists {
					want = 0
					delete(model, mask(p))
				}
				wantErrno(t, "delete", mp.Delete(key), want)
			case 3:
				best, found := prefix{}, false
				for q := range model {
					if q.bits <= p.bits && mask(prefix{q.bits, p.data}) == q && (!found || q.bits > best.bits) {
						best, found = q, true
					}
				}
				v, err := mp.Lookup(key, 0)
				if (err == nil) != found || found && v[0] != model[best] {
					t.Fatalf("lookup %x: %x, %v, want %v %x", key, v, err, best, model[best])
				}
			}
		}
		all := keys(t, mp)
		if len(all) != len(model) {
			t.Fatalf("%d keys, want %d", len(all), len(model))
		}
	})
}

func TestQueueModel(t *testing.T) {
	m := newMachine(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom([]ebpf.MapType{ebpf.Queue, ebpf.Stack}).Draw(t, "type")
		n := rapid.IntRange(1, 6).Draw(t, "entries")
		mp := mustNew(t, m, &ebpf.MapSpec{Type: typ, ValueSize: 3, MaxEntries: uint32(n)})
		defer mp.Close()
		var model [][]byte
		next := func() int {
			if typ == ebpf.Stack {
				return len(model) - 1
			}
			return 0
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "op") {
			case 0, 1:
				v := rapid.SliceOfN(rapid.Byte(), 3, 3).Draw(t, "value")
				flags := rapid.SampledFrom([]uint64{Any, Exist}).Draw(t, "flags")
				want := errno.Errno(0)
				switch {
				case len(model) < n:
					model = append(model, v)
				case flags == Exist:
					model = append(model[1:], v)
				default:
					want = errno.E2BIG
				}
				wantErrno(t, "push", mp.Update(nil, v, flags), want)
			case 2:
				v, err := mp.LookupAndDelete(nil, 0)
				if (err == nil) != (len(model) > 0) || err == nil && !bytes.Equal(v, model[next()]) {
					t.Fatalf("pop: %x, %v of %x", v, err, model)
				}
				if len(model) > 0 {
					model = slices.Delete(model, next(), next()+1)
				}
			case 3:
				v, err := mp.Lookup(nil, 0)
				if (err == nil) != (len(model) > 0) || err == nil && !bytes.Equal(v, model[next()]) {
					t.Fatalf("peek: %x, %v of %x", v, err, model)
				}
			}
		}
	})
}

func TestBloomHasNoFalseNegatives(t *testing.T) {
	m := newMachine(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		mp := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.BloomFilter, ValueSize: 4, MaxEntries: 100, MapExtra: rapid.Uint64Range(0, 15).Draw(t, "functions")})
		defer mp.Close()
		pushed := rapid.SliceOfN(rapid.Uint32Range(0, 1000), 0, 100).Draw(t, "pushed")
		for _, v := range pushed {
			wantErrno(t, "push", mp.Update(nil, uint32Bytes(v), 0), 0)
		}
		for _, v := range pushed {
			wantErrno(t, "query", mp.Query(uint32Bytes(v)), 0)
		}
		wrong := 0
		for v := uint32(2000); v < 3000; v++ {
			if mp.Query(uint32Bytes(v)) == nil {
				wrong++
			}
		}
		if wrong > 300 {
			t.Fatalf("%d of 1000 values that were not pushed are said to be", wrong)
		}
	})
}

func TestRingBufModel(t *testing.T) {
	m := newMachine(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		r := mustNew(t, m, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096}).(*RingBuf)
		defer r.Close()
		type record struct {
			s       *Sample
			size    uint64
			discard bool
			data    []byte
		}
		var model []*record
		used := func() (n uint64) {
			for _, rec := range model {
				n += ringSpan(rec.size)
			}
			return n
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "op") {
			case 0, 1:
				size := rapid.Uint64Range(0, 1500).Draw(t, "size")
				o, err := r.Reserve(size)
				if err != nil {
					t.Fatal(err)
				}
				if fits := used()+ringSpan(size) < 4096; fits != (o != nil) {
					t.Fatalf("reserve %d with %d used: %v", size, used(), o)
				}
				if o != nil {
					for i := range o.Bytes() {
						o.Bytes()[i] = byte(len(model) + i)
					}
					model = append(model, &record{s: o.Owner.(*Sample), size: size, data: bytes.Clone(o.Bytes())})
				}
			case 2, 3:
				if i := slices.IndexFunc(model, func(r *record) bool { return r.s != nil }); i >= 0 {
					open := slices.Collect(func(yield func(*record) bool) {
						for _, r := range model {
							if r.s != nil && !yield(r) {
								return
							}
						}
					})
					rec := rapid.SampledFrom(open).Draw(t, "record")
					rec.discard = rapid.Bool().Draw(t, "discard")
					rec.s.Commit(0, rec.discard)
					m.Mem.Free(rec.s.obj, vm.Site{})
					rec.s = nil
				}
			case 4:
				for len(model) > 0 && model[0].s == nil && model[0].discard {
					model = model[1:]
				}
				data, ok := r.Next()
				if ok != (len(model) > 0 && model[0].s == nil) || ok && !bytes.Equal(data, model[0].data) {
					t.Fatalf("next: %x, %v", data, ok)
				}
				if ok {
					model = model[1:]
				}
			}
		}
	})
}
