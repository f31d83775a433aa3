package conntrack

import (
	"math/bits"
	"sync/atomic"
)

// The bits of a 64-bit hash, from the top:
//
//	| shard 6 | tag 32                     | unused 26 |
//	| kernel's bucket: top 32   |
//
// The tag is kept beside the handle in the hash table. Its top bits choose the
// segment, its low 16 the place in it. Since the shard and then the tag's top
// bits lead, the order of shards and segments is the order of the hash's top
// 32 bits, by which buckets are counted.
const (
	shardBits = 6
	shards    = 1 << shardBits
)

func shardOf(h uint64) int  { return int(h >> (64 - shardBits)) }
func tagOf(h uint64) uint32 { return uint32(h >> (32 - shardBits)) }

// bucketOf is the chain that h falls in when the table has n buckets. It grows
// with h.
func bucketOf(h uint64, n uint32) uint32 { return uint32((h >> 32) * uint64(n) >> 32) }

// topOf undoes tagOf as far as bucketOf needs it.
func topOf(shard int, tag uint32) uint32 {
	return uint32(shard)<<(32-shardBits) | tag>>shardBits
}

// hasher is a keyed hash over tuples: without its key nobody can choose tuples
// that collide.
type hasher struct{ k [6]uint64 }

func newHasher(seed uint64) hasher {
	var h hasher
	for i := range h.k {
		seed += golden
		h.k[i] = splitmix(seed)
	}
	return h
}

// tuple hashes t under a zone id.
func (h *hasher) tuple(t *Tuple, zone uint16) uint64 {
	a, b, c, d, e := t.words(zone)
	return h.mix(a, b, c, d, e)
}

// source hashes the part of t that source NAT wants to keep together.
func (h *hasher) source(t *Tuple, zone uint16) uint64 {
	s := Tuple{Src: t.Src, SrcPort: t.SrcPort, Family: t.Family, Proto: t.Proto}
	a, b, c, d, e := s.words(zone)
	return h.mix(a, b, c, d, ^e)
}

func (h *hasher) mix(a, b, c, d, e uint64) uint64 {
	x := fold(a^h.k[0], b^h.k[1]) ^ fold(c^h.k[2], d^h.k[3])
	return fold(x^h.k[4], e^h.k[5])
}

// fold multiplies and adds the two halves of the product together; neither
// factor alone decides the outcome.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo ^ b
}

const golden = 0x9e3779b97f4a7c15

// splitmix is the output function of the SplitMix64 generator.
func splitmix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// A randSource draws the random numbers of a table. Many goroutines do.
type randSource interface {
	uint16() uint16
	below(n uint32) uint32 // in [0, n); n is small, the bias does not matter
}

// random is a SplitMix64 that many may draw from at once.
type random struct{ state atomic.Uint64 }

func newRandom(seed uint64) *random {
	r := new(random)
	r.state.Store(splitmix(seed ^ golden))
	return r
}

func (r *random) uint16() uint16 { return uint16(splitmix(r.state.Add(golden)) >> 48) }

func (r *random) below(n uint32) uint32 {
	return uint32(splitmix(r.state.Add(golden)) >> 32 * uint64(n) >> 32)
}

// givenRandom takes the numbers for ports from the owner of the table.
type givenRandom struct {
	randSource
	next func() uint16
}

func (g givenRandom) uint16() uint16 { return g.next() }
