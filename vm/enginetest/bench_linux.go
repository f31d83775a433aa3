package enginetest

import (
	"math"
	"testing"
	"time"

	"github.com/bpfct/bpfct/vm"
)

// BenchmarkInsnToKernel runs each program here and on the kernel's JIT and
// reports the time of an instruction on both, and the ratio: of the fastest runs,
// which other load on the machine disturbs least.
func BenchmarkInsnToKernel(b *testing.B, engine vm.Engine) {
	for _, bp := range benchPrograms {
		b.Run(bp.name, func(b *testing.B) {
			p := newBuf(b, engine, 64)
			defer p.close()
			if err := p.load(b, benchProgram(bp.body)); err != nil {
				b.Fatalf("%+v", err)
			}
			var insns uint64
			here, kernel := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			for b.Loop() {
				start := time.Now()
				res, err := p.env.Run(p.prog)
				if err != nil {
					b.Fatal(err)
				}
				here, insns = min(here, time.Since(start)), res.Insns
				_, d, err := p.kernel.Benchmark(make([]byte, 64), 1, nil)
				if err != nil {
					b.Fatal(err)
				}
				kernel = min(kernel, d)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(here.Nanoseconds())/float64(insns), "ns/insn")
			b.ReportMetric(float64(kernel.Nanoseconds())/float64(insns), "kernel-ns/insn")
			b.ReportMetric(float64(here)/float64(kernel), "times-kernel")
		})
	}
}
