package conntrack

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/bpfct/bpfct/conntrack/internal/oracle"
)

// BenchmarkBesideKernel grows a table of ours and one of the kernel's to 2^20
// connections and looks up random ones: ns each, and ours over the kernel's.
// The kernel's part runs under BPF_PROG_TEST_RUN, less an empty program.
//
//	go test -run '^$' -bench BesideKernel -benchtime 1x ./conntrack
func BenchmarkBesideKernel(b *testing.B) {
	k := oracle.New(b)
	k.RaiseMax(2 * million)
	for b.Loop() {
		kernelInsert, refused := k.BenchInsert(million)
		if refused != 0 {
			b.Fatalf("the kernel refused %d", refused)
		}
		kernelLookup, found := k.BenchLookup(million, million-1)
		if found != million {
			b.Fatalf("the kernel found %d of %d", found, million)
		}

		t := New(Options{Max: 2 * million})
		runtime.GC()
		start := time.Now()
		fill(b, t, million)
		insert := time.Since(start) / million
		r := rand.New(rand.NewPCG(1, 2))
		start = time.Now()
		for range million {
			c, _, err := t.Lookup(nthTuple(r.Uint32()%million), DefaultZone)
			if err != nil {
				b.Fatal(err)
			}
			c.Release()
		}
		lookup := time.Since(start) / million

		b.ReportMetric(float64(insert), "insert-ns")
		b.ReportMetric(float64(kernelInsert), "kernel-insert-ns")
		b.ReportMetric(float64(insert)/float64(kernelInsert), "insert-ratio")
		b.ReportMetric(float64(lookup), "lookup-ns")
		b.ReportMetric(float64(kernelLookup), "kernel-lookup-ns")
		b.ReportMetric(float64(lookup)/float64(kernelLookup), "lookup-ratio")
		b.ReportMetric(0, "ns/op")
	}
}
