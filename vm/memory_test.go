package vm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/internal/errno"
)

var sizes = rapid.OneOf(rapid.Uint32Range(0, 300), rapid.SampledFrom([]uint32{smallMax - redZone - 1, smallMax - redZone,
	smallMax - redZone + 1, pageSize - redZone, pageSize - redZone + 1, pageSize, 3 * pageSize}))

// TestMemoryIsDisjoint allocates and frees at random: live objects never share a
// byte, have a red zone on both sides, start as zeros and keep what is written.
func TestMemoryIsDisjoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMemory(0)
		var live []*Object
		fill := func(o *Object) []byte { return bytes.Repeat([]byte{byte(o.Base>>4) | 1}, int(o.Size)) }
		check := func(o *Object) {
			if !bytes.Equal(o.Bytes(), fill(o)) {
				t.Fatalf("%v at %#x lost its bytes", o, o.Base)
			}
			if o.Base < pageSize || o.Base%granule != 0 || uint64(o.Base)+uint64(o.Size) > funcBase {
				t.Fatalf("%v is at %#x", o, o.Base)
			}
			for _, at := range []uint64{o.Addr(), o.Addr() + uint64(o.Size)/2, o.Addr() + uint64(max(o.Size, 1)) - 1} {
				if got := m.Find(at); got != o {
					t.Fatalf("%#x belongs to %v, not to %v at %#x", at, got, o, o.Base)
				}
			}
			for _, at := range []uint64{o.Addr() - 1, o.Addr() - redZone, o.Addr() + uint64(o.Size), o.Addr() + uint64(o.Size) + redZone - 1} {
				if _, f := m.Load(at, 1); f == nil {
					t.Fatalf("%#x in the red zone of %v at %#x, %d bytes, can be read", at, o, o.Base, o.Size)
				}
			}
			if _, f := m.Load(o.Addr(), o.Size+1); f == nil {
				t.Fatalf("more than %v can be read", o)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) {
				o, err := m.Alloc(ObjectSpec{Kind: KindScratch, Size: sizes.Draw(t, "size")})
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(o.Bytes(), make([]byte, o.Size)) {
					t.Fatalf("a new object is not zero")
				}
				copy(o.Bytes(), fill(o))
				live = append(live, o)
			},
			"free": func(t *rapid.T) {
				if len(live) == 0 {
					t.Skip("nothing lives")
				}
				i := rapid.IntRange(0, len(live)-1).Draw(t, "which")
				o := live[i]
				m.Free(o, Site{})
				m.Free(o, Site{}) // does nothing
				if _, f := m.Load(o.Addr(), 0); f == nil || f.Kind != UseAfterRelease {
					t.Fatalf("a freed object can be read: %v", f)
				}
				live = append(live[:i], live[i+1:]...)
			},
			"": func(t *rapid.T) {
				var used uint64
				for _, o := range live {
					check(o)
					used += o.class
				}
				if m.Used() != used {
					t.Fatalf("%d bytes are used, counted %d", m.Used(), used)
				}
			},
		})
	})
}

// TestMemoryQuarantine frees objects and sees that their place is not used again
// at once, but some day.
func TestMemoryQuarantine(t *testing.T) {
	for _, size := range []uint32{16, 2 * pageSize} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			m := NewMemory(0)
			alloc := func() *Object {
				o, err := m.Alloc(ObjectSpec{Kind: KindScratch, Size: size})
				if err != nil {
					t.Fatal(err)
				}
				return o
			}
			first := alloc()
			m.Free(first, Site{Insn: 7})
			for i := range 4 * quarantine {
				o := alloc()
				if o.Base == first.Base {
					if i < quarantine {
						t.Fatalf("used again after %d frees", i)
					}
					if m.Find(first.Addr()) != o {
						t.Fatal("the address leads to the old object")
					}
					return
				}
				if i < quarantine-1 {
					_, f := m.Load(first.Addr(), 1)
					if f == nil || f.Kind != UseAfterRelease {
						t.Fatalf("after %d frees: got fault %v", i, f)
					}
					if at, ok := f.Object.Released(); !ok || at.Insn != 7 {
						t.Fatalf("released at %v, %v", at, ok)
					}
				}
				m.Free(o, Site{})
			}
			t.Fatal("never used again")
		})
	}
}

// TestMemoryLargeSizesChange allocates and frees objects of ever new sizes for
// longer than the address space is.
func TestMemoryLargeSizesChange(t *testing.T) {
	m := NewMemory(0)
	var total uint64
	for i := uint32(0); total < 5<<30; i++ {
		o, err := m.Alloc(ObjectSpec{Kind: KindScratch, Size: 100*pageSize + i%997*pageSize})
		if err != nil {
			t.Fatalf("after %d bytes: %v", total, err)
		}
		total += o.class
		m.Free(o, Site{})
	}
	if m.Used() != 0 {
		t.Errorf("%d bytes are used", m.Used())
	}
}

func TestMemoryLimit(t *testing.T) {
	m := NewMemory(1 << 20)
	var last *Object
	for {
		o, err := m.Alloc(ObjectSpec{Kind: KindMapValue, Name: "big", Size: 100})
		if err != nil {
			if !errors.Is(err, errno.ENOMEM) {
				t.Fatal(err)
			}
			break
		}
		last = o
	}
	if m.Used() > 1<<20 {
		t.Errorf("%d bytes are used", m.Used())
	}
	m.Free(last, Site{})
	if _, err := m.Alloc(ObjectSpec{Kind: KindMapValue, Size: 100}); err != nil {
		t.Error(err)
	}
	if _, err := NewMemory(1 << 40).Alloc(ObjectSpec{Kind: KindMapValue, Size: 0xffff_ffff}); !errors.Is(err, errno.ENOMEM) {
		t.Errorf("an object of the whole address space: got error %v", err)
	}
}

// TestMemoryConcurrent allocates, uses and frees on several goroutines.
func TestMemoryConcurrent(t *testing.T) {
	m := NewMemory(0)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(g)))
			var live []*Object
			for range 3000 {
				if len(live) < 20 || rng.IntN(2) == 0 {
					o, err := m.Alloc(ObjectSpec{Kind: KindScratch, Size: 8 + uint32(rng.IntN(3))*100})
					if err != nil {
						t.Error(err)
						return
					}
					b, _, f := m.Store(o.Addr(), 8)
					if f != nil {
						t.Error(f)
						return
					}
					binary.LittleEndian.PutUint64(b, o.Addr())
					live = append(live, o)
					continue
				}
				i := rng.IntN(len(live))
				b, f := m.Load(live[i].Addr(), 8)
				if f != nil || binary.LittleEndian.Uint64(b) != live[i].Addr() {
					t.Errorf("%v: fault %v", live[i], f)
					return
				}
				m.Free(live[i], Site{})
				live = append(live[:i], live[i+1:]...)
			}
		})
	}
	wg.Wait()
}

// TestMemoryElements holds every access of up to 8 bytes against the definition
// of elements.
func TestMemoryElements(t *testing.T) {
	m := NewMemory(0)
	o, err := m.Alloc(ObjectSpec{Kind: KindMapValue, Size: 64, Stride: 16, Elem: 12})
	if err != nil {
		t.Fatal(err)
	}
	for off := range uint32(70) {
		for size := uint32(1); size <= 8; size++ {
			want := off < 64 && off%16+size <= 12
			if _, f := m.Load(uint64(o.Base+off), size); (f == nil) != want {
				t.Errorf("%d bytes at %d: fault %v", size, off, f)
			}
		}
	}
	o.SetWindow(16, 40)
	for off, want := range map[uint32]bool{12: false, 15: false, 16: true, 36: true, 39: true, 40: false} {
		if _, f := m.Load(uint64(o.Base+off), 1); (f == nil) != want {
			t.Errorf("with a window, 1 byte at %d: fault %v", off, f)
		}
	}
}

// Nothing is at the ends of the address spaces of 32 and of 64 bits, and a
// program that goes there is told so at once.
func TestMemoryEnds(t *testing.T) {
	m := NewMemory(0)
	if _, err := m.Alloc(ObjectSpec{Size: 8}); err != nil {
		t.Fatal(err)
	}
	for _, end := range []uint64{0, 1 << 31, 1 << 32, funcBase, 1 << 63} {
		for dist := range uint64(2 * redZone) {
			for _, addr := range []uint64{end - dist, end + dist} {
				for _, size := range []uint32{1, 8, 1 << 20, 1<<32 - 1} {
					if b, f := m.Load(addr, size); f == nil {
						t.Errorf("%d bytes at %#x can be read: %d", size, addr, len(b))
					}
					if b, _, f := m.Store(addr, size); f == nil {
						t.Errorf("%d bytes at %#x can be written: %d", size, addr, len(b))
					}
				}
			}
		}
	}
}
