package conntrack

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// nthTuple is the n-th of a row of different tuples, those of the oracle's
// benchmark programs.
func nthTuple(n uint32) Tuple {
	return Tuple{
		Src: Addr{10, byte(n >> 8), byte(n >> 16), byte(n)}, Dst: Addr{10, 0, 0, 2},
		SrcPort: uint16(n>>24) + 1024, DstPort: 80, Family: IPv4, Proto: ProtoUDP,
	}
}

// million is how many connections the benchmarks are about.
const million = 1 << 20

func fill(tb testing.TB, t *Table, n uint32) {
	tb.Helper()
	for i := range n {
		c, err := t.Alloc(nthTuple(i), DefaultZone)
		if err != nil {
			tb.Fatal(err)
		}
		c.SetTimeout(3600000)
		if err := t.Insert(c); err != nil {
			tb.Fatal(err)
		}
		c.Release()
	}
}

// BenchmarkInsert grows a table to 2^20 connections, again and again: alloc,
// set_timeout, insert, release.
func BenchmarkInsert(b *testing.B) {
	var t *Table
	n := uint32(0)
	for b.Loop() {
		if n%million == 0 {
			b.StopTimer()
			t = New(Options{Max: 2 * million})
			runtime.GC()
			b.StartTimer()
		}
		c, _ := t.Alloc(nthTuple(n%million), DefaultZone)
		c.SetTimeout(3600000)
		if err := t.Insert(c); err != nil {
			b.Fatal(err)
		}
		c.Release()
		n++
	}
}

// BenchmarkLookup finds a random one of 2^20 connections.
func BenchmarkLookup(b *testing.B) {
	t := New(Options{Max: 2 * million})
	fill(b, t, million)
	r := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		c, _, err := t.Lookup(nthTuple(r.Uint32()%million), DefaultZone)
		if err != nil {
			b.Fatal(err)
		}
		c.Release()
	}
}

// BenchmarkLookupParallel is BenchmarkLookup on every CPU at once.
func BenchmarkLookupParallel(b *testing.B) {
	t := New(Options{Max: 2 * million})
	fill(b, t, million)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := rand.New(rand.NewPCG(rand.Uint64(), 2))
		for pb.Next() {
			c, _, err := t.Lookup(nthTuple(r.Uint32()%million), DefaultZone)
			if err != nil {
				b.Error(err)
				return
			}
			c.Release()
		}
	})
}

// BenchmarkMiss looks for what is not there.
func BenchmarkMiss(b *testing.B) {
	t := New(Options{Max: 2 * million})
	fill(b, t, million)
	r := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		if _, _, err := t.Lookup(nthTuple(million+r.Uint32()%million), DefaultZone); err == nil {
			b.Fatal("found")
		}
	}
}

// BenchmarkMemory reports what a connection costs of the heap, all in.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(bytesEach(b, million), "B/conn")
	}
	b.ReportMetric(0, "ns/op")
}

// bytesEach is by how much the heap grows for each of n connections.
func bytesEach(tb testing.TB, n uint32) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	t := New(Options{Max: 2 * n, Buckets: n})
	fill(tb, t, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(t)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
}
