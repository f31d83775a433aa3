package soundness

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/cilium/ebpf"
)

// Packet is a random packet: most have headers that programs look for.
func Packet(rng *rand.Rand) []byte {
	b := make([]byte, 14+rng.IntN(120))
	if rng.IntN(8) == 0 {
		b = make([]byte, 14+rng.IntN(1400))
	}
	for i := range b {
		b[i] = byte(rng.Uint32() >> (8 * rng.IntN(4)))
	}
	if rng.IntN(6) == 0 {
		return b
	}
	put := func(at int, bytes ...byte) {
		if at < len(b) {
			copy(b[at:], bytes)
		}
	}
	if rng.IntN(4) == 0 {
		put(12, 0x86, 0xdd, 0x60)
		put(20, []byte{6, 17, 58}[rng.IntN(3)])
		return b
	}
	put(12, 0x08, 0x00, 0x45)
	put(16, byte(max(0, len(b)-14)>>8), byte(len(b)-14))
	put(23, []byte{1, 6, 17, 132}[rng.IntN(4)])
	// Few addresses and ports, so that packets belong together.
	put(26, 10, 0, 0, byte(1+rng.IntN(3)), 10, 0, 0, byte(1+rng.IntN(3)))
	put(34, 0, byte(1+rng.IntN(3)), 0, byte(1+rng.IntN(3)))
	if rng.IntN(4) == 0 {
		put(36, 0, 53)
	}
	return b
}

// context is a random context, as far as one may be given.
func context(rng *rand.Rand, typ ebpf.ProgramType) any {
	if typ == ebpf.XDP || rng.IntN(3) == 0 {
		return nil
	}
	ctx := make([]byte, 68)
	binary.LittleEndian.PutUint32(ctx[8:], number(rng))  // mark
	binary.LittleEndian.PutUint32(ctx[32:], number(rng)) // priority
	for i := 48; i < 68; i += 4 {
		binary.LittleEndian.PutUint32(ctx[i:], number(rng)) // cb
	}
	return ctx
}

func number(rng *rand.Rand) uint32 {
	switch rng.IntN(4) {
	case 0:
		return uint32(rng.IntN(8))
	case 1:
		return uint32(1)<<rng.IntN(32) - uint32(rng.IntN(3))
	}
	return rng.Uint32() >> rng.IntN(32)
}

// fillMaps puts random values into maps that take them.
func (h *Harness) fillMaps(rng *rand.Rand) {
	for _, name := range slices.Sorted(maps.Keys(h.coll.Maps)) {
		m := h.coll.Maps[name]
		spec := m.Spec()
		if spec.Type != ebpf.Array && spec.Type != ebpf.Hash && spec.Type != ebpf.LRUHash || rng.IntN(2) == 0 {
			continue
		}
		key, value := make([]byte, spec.KeySize), make([]byte, spec.ValueSize)
		if len(key) > 0 {
			key[0] = byte(rng.IntN(4))
		}
		for i := 0; i+4 <= len(value); i += 4 {
			binary.LittleEndian.PutUint32(value[i:], number(rng))
		}
		_ = m.Put(key, value) // a frozen map, or one with other keys, stays as it is
	}
}
