package dynptr_test

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/internal/judge"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/dynptr.c

// io is the start of struct io of testdata/dynptr.c.
type io struct {
	Size, Flags           uint64
	Adjust                [4]uint64
	Offs                  [8]uint64
	Lens                  [4]uint64
	ReadFlags, WriteFlags uint64
	UseBuffer, Value      uint64
	Ret                   [24]int64
	Src, Out              [128]byte
	More                  [32]byte
	Mem                   [256]byte
}

func (v *io) bytes() []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}

// number is one that is mostly within a size, or at its edge, or absurd.
func number(t *rapid.T, name string, size uint64) uint64 {
	return rapid.OneOf(
		rapid.Uint64Range(0, size), rapid.Uint64Range(0, size), rapid.Uint64Range(0, size/4+1), rapid.Uint64Range(size, size+4),
		rapid.SampledFrom([]uint64{0, 1 << 24, 1<<24 - 1, 1<<32 - 1, 1 << 32, ^uint64(0)}),
	).Draw(t, name)
}

func flags(t *rapid.T, name string) uint64 {
	return rapid.SampledFrom([]uint64{0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 1 << 32}).Draw(t, name)
}

// input is arguments for a dynptr of the given size.
func input(t *rapid.T, size uint64) *io {
	v := &io{
		Size: size, Flags: rapid.SampledFrom([]uint64{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1 << 40}).Draw(t, "flags"),
		ReadFlags: flags(t, "read flags"), WriteFlags: flags(t, "write flags"),
		UseBuffer: rapid.Uint64Range(0, 1).Draw(t, "buffer"), Value: rapid.Uint64Range(0, 300).Draw(t, "value"),
	}
	for i := range v.Adjust {
		v.Adjust[i] = number(t, "adjust", size)
		if i%2 == 0 && rapid.Bool().Draw(t, "from 0") {
			v.Adjust[i] = 0
		}
	}
	for i := range v.Offs {
		v.Offs[i] = number(t, "offset", size)
	}
	for i := range v.Lens {
		v.Lens[i] = number(t, "length", size)
	}
	copy(v.Src[:], rapid.SliceOfN(rapid.Byte(), 0, 128).Draw(t, "source"))
	for i := range v.Mem {
		v.Mem[i] = byte(i)
	}
	return v
}

func packet(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i/256)
	}
	copy(b[12:], []byte{0x88, 0xb5}) // an Ethernet type for experiments
	return b
}

// overlaps reports whether the program may copy bytes of a packet over each other.
// Where they are not in one piece the kernel does that as the processor's memcpy
// does, which is no rule.
func (v *io) overlaps(program string) bool {
	near := func(a, b uint64) bool { return max(a, b)-min(a, b) < v.Lens[2]&(1<<32-1) }
	low := func(a uint64) uint64 { return a & (1<<32 - 1) }
	switch program {
	case "skb_and_memory", "xdp_and_memory":
		return near(low(v.Offs[4]), low(v.Offs[5]))
	case "of_xdp_frags":
		// The second is a clone of the first, further adjusted or not.
		dst, src := low(v.Offs[5]), low(v.Offs[6])
		return near(dst, src) || near(dst, src+low(v.Adjust[2]))
	}
	return false
}

func check(t *testing.T, program string, sizes ...int) {
	t.Parallel()
	p := judge.Load(t, "testdata/dynptr.o", judge.Options{Programs: []string{program}})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom(sizes).Draw(t, "size")
		var pkt []byte
		if n >= 14 {
			pkt = packet(n)
		}
		v := input(t, uint64(n))
		if v.overlaps(program) {
			v.Lens[2] = 0
		}
		p.Compare(t, program, v.bytes(), pkt)
	})
}

func TestOfMemory(t *testing.T) { check(t, "of_memory", 0, 1, 16, 17, 100, 255) }
func TestOfSkb(t *testing.T)    { check(t, "of_skb", 14, 60, 64, 200, 1500, 3500) }
func TestOfMeta(t *testing.T)   { check(t, "of_meta", 64) }
func TestOfXDP(t *testing.T)    { check(t, "of_xdp", 14, 64, 200, 1500, 3400) }

func TestBetweenSkbAndMemory(t *testing.T) { check(t, "skb_and_memory", 60, 200, 1500) }

func TestOfRingbuf(t *testing.T) {
	p := judge.Load(t, "testdata/dynptr.o", judge.Options{Programs: []string{"of_ringbuf"}})
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.Uint64Range(0, 300), rapid.SampledFrom([]uint64{4088, 4089, 4096, 1<<24 - 1, 1 << 24, 1<<32 - 1, 1<<32 + 8})).Draw(t, "size")
		p.Compare(t, "of_ringbuf", input(t, size).bytes(), nil)
	})
}

// Packets of several pieces.
func TestFragments(t *testing.T) {
	for _, program := range []string{"of_xdp_frags", "xdp_and_memory"} {
		t.Run(program, func(t *testing.T) { check(t, program, 3400, 4000, 5000, 9000) })
	}
}

// Reads at any address into a dynptr, whose text is of many lengths.
func TestProbeRead(t *testing.T) {
	for program, size := range map[string]int{"probe_memory": 256, "probe_xdp": 9000} {
		t.Run(program, func(t *testing.T) {
			p := judge.Load(t, "testdata/dynptr.o", judge.Options{Programs: []string{program}})
			for _, n := range []int{0, 1, 10, 254, 255, 256, 257, 509, 510, 511, 700, 2999} {
				text := make([]byte, 3000)
				for i := range n {
					text[i] = byte('a' + i%23)
				}
				for _, m := range []interface{ Put(key, value any) error }{p.Machine.Maps[".data.text"], p.Kernel.Maps[".data.text"]} {
					if err := m.Put(uint32(0), text); err != nil {
						t.Fatal(err)
					}
				}
				rapid.Check(t, func(t *rapid.T) {
					v := input(t, uint64(size))
					for i := range v.Lens {
						v.Lens[i] = rapid.OneOf(rapid.Uint64Range(0, 2900), rapid.Just(v.Lens[i])).Draw(t, "length")
						if i == 0 && v.Lens[i] > 3000 {
							v.Lens[i] = 1 << 25 // not into what lies behind the text
						}
					}
					// What the kernel leaves where it finds nothing at an address of its
					// own is no rule, so that these do not occur.
					v.Value = rapid.SampledFrom([]uint64{0, 1, 1 << 40, 0xffff000000000000}).Draw(t, "address")
					if program == "probe_xdp" {
						p.Compare(t, program, v.bytes(), packet(size))
					} else {
						p.Compare(t, program, v.bytes(), nil)
					}
				})
			}
		})
	}
}
