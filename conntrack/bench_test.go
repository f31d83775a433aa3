package conntrack

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
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

// BenchmarkMemory reports what a connection costs of the heap, all in, and how
// long the garbage collector takes beside that many.
//
//	go test -run '^$' -bench Memory -benchtime 1x ./conntrack
func BenchmarkMemory(b *testing.B) {
	for _, n := range []uint32{100_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if testing.Short() && n > 1_000_000 {
				b.Skip("2 GB, and half a minute")
			}
			for b.Loop() {
				bytes, gc := bytesEach(b, n)
				b.ReportMetric(bytes, "B/conn")
				b.ReportMetric(float64(gc.Microseconds())/1000, "gc-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// bytesEach is by how much the heap grows for each of n connections, and how
// long a garbage collection then takes.
func bytesEach(tb testing.TB, n uint32) (float64, time.Duration) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	t := New(Options{Max: 2 * n, Buckets: n})
	fill(tb, t, n)
	runtime.GC()
	start := time.Now()
	runtime.GC()
	gc := time.Since(start)
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(t)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n), gc
}

// BenchmarkChurnParallel inserts and deletes on every CPU at once beside 2^20
// connections that stay.
func BenchmarkChurnParallel(b *testing.B) {
	t := New(Options{Max: 4 * million})
	fill(b, t, million)
	var worker atomic.Uint32
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		n := million * (1 + worker.Add(1))
		for pb.Next() {
			c, err := t.Alloc(nthTuple(n), DefaultZone)
			if err != nil {
				b.Error(err)
				return
			}
			c.SetTimeout(3600000)
			if err := t.Insert(c); err != nil {
				b.Error(err)
				return
			}
			c.Delete()
			c.Release()
			n++
		}
	})
}
