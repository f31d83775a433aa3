package conntrack

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestShard adds, finds and removes slots with few different tags, so that
// they meet, and wants equals newest first throughout.
func TestShard(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s shard
		model := map[uint32][]slot{}
		tags := rapid.SliceOfN(rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0, 7),
			rapid.Map(rapid.Uint32Range(0, 500), func(n uint32) uint32 { return n<<20 | 0xffff })), 1, 60).Draw(rt, "tags")
		n := rapid.IntRange(1, 2000).Draw(rt, "operations")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		for h := handle(1); h <= handle(n); h++ {
			tag := tags[r.IntN(len(tags))] + uint32(r.IntN(3))<<16
			if r.IntN(3) == 0 && len(model[tag]) > 0 {
				i := r.IntN(len(model[tag]))
				v := model[tag][i]
				if !s.remove(tag, v.handle(), v.dir()) {
					rt.Fatalf("slot %#x is not there", uint64(v))
				}
				model[tag] = slices.Delete(model[tag], i, i+1)
			} else {
				v := makeSlot(tag, h, Dir(r.IntN(2)))
				if !s.add(v) {
					rt.Fatalf("slot %#x was refused", uint64(v))
				}
				model[tag] = slices.Insert(model[tag], 0, v)
			}
			if s.remove(tag, maxHandle, Original) {
				rt.Fatal("removed what was never added")
			}
		}
		if err := checkShard(&s); err != nil {
			rt.Fatal(err)
		}
		for tag, want := range model {
			var got []slot
			for c := s.seek(tag); ; {
				v, ok := c.next()
				if !ok {
					break
				}
				got = append(got, v)
			}
			if !slices.Equal(got, want) {
				rt.Fatalf("tag %#x: %x, want %x", tag, got, want)
			}
		}
		lo, hi := rapid.Uint32().Draw(rt, "lo"), rapid.Uint32().Draw(rt, "hi")
		if lo > hi {
			lo, hi = hi, lo
		}
		want, got := 0, 0
		for tag, v := range model {
			if tag >= lo && tag <= hi {
				want += len(v)
			}
		}
		s.slotsBetween(lo, hi, func(slot) { got++ })
		if got != want {
			rt.Fatalf("%d slots in [%#x, %#x], want %d", got, lo, hi, want)
		}
	})
}

// TestShardFull adds equals until no more fit: it must say so, not hang.
func TestShardFull(t *testing.T) {
	var s shard
	n := 0
	for ; n < 10*maxSegment; n++ {
		if !s.add(makeSlot(5, handle(n+1), Original)) {
			break
		}
	}
	if n < maxSegment/2 || n > maxSegment {
		t.Errorf("%d equal tags fitted in", n)
	}
	if err := checkShard(&s); err != nil {
		t.Error(err)
	}
}

// TestHashBits wants the bits of a hash to come back, and buckets to be even.
func TestHashBits(t *testing.T) {
	h := newHasher(1)
	const n = 1 << 16
	var perShard [shards]int
	var low [256]int
	for i := range uint32(n) {
		tu := nthTuple(i)
		x := h.tuple(&tu, 0)
		if topOf(shardOf(x), tagOf(x)) != uint32(x>>32) {
			t.Fatalf("hash %#x: top %#x", x, topOf(shardOf(x), tagOf(x)))
		}
		perShard[shardOf(x)]++
		low[tagOf(x)&0xff]++
		if y := h.tuple(&tu, 1); y == x {
			t.Errorf("the zone does not count in the hash of %v", tu)
		}
	}
	for i, c := range perShard { // 1024 each, 32 the deviation
		if c < 1024-6*32 || c > 1024+6*32 {
			t.Errorf("shard %d has %d of %d", i, c, n)
		}
	}
	for i, c := range low { // 256 each, 16 the deviation
		if c < 256-6*16 || c > 256+6*16 {
			t.Errorf("low bits %#x: %d of %d", i, c, n)
		}
	}
}

// TestGrowth fills and empties a table across many splits.
func TestGrowth(t *testing.T) {
	const n = 60000
	tab, _ := newTest(Options{})
	fill(t, tab, n)
	if err := check(tab); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(n) {
		for _, d := range []Dir{Original, Reply} {
			tu := nthTuple(i)
			if d == Reply {
				tu, _ = tu.Invert()
			}
			c, got, err := tab.Lookup(tu, DefaultZone)
			if err != nil || got != d {
				t.Fatalf("connection %d, %v: %v %v", i, d, got, err)
			}
			if d == Reply && i%2 == 0 && !c.Delete() {
				t.Fatalf("connection %d cannot be deleted", i)
			}
			c.Release()
		}
	}
	if err := check(tab); err != nil {
		t.Fatal(err)
	}
	if tab.Count() != n/2 {
		t.Errorf("count %d", tab.Count())
	}
	before := tab.slab.end()
	for i := range uint32(n / 2) {
		mustInsert(t, tab, nthTuple(2*i)).Release()
	}
	if after := tab.slab.end(); after > before+shards*16 {
		t.Errorf("freed places are not used again: %d handles, then %d", before, after)
	}
}

// TestBytesEach holds the memory of a connection to its bound.
func TestBytesEach(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a table of 200,000 connections")
	}
	if b, _ := bytesEach(t, 200000); b > 256 {
		t.Errorf("%.0f bytes a connection", b)
	}
}
