package verifier_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/verify"
)

// BenchmarkVerify verifies the programs of objects that the kernel accepts, and says
// what an instruction costs beside what the kernel says that it took for the same.
// BPFCT_BENCH_OBJECTS lists further objects.
func BenchmarkVerify(b *testing.B) {
	testkernel.Require(b)
	files := []string{"../examples/natgw/natgw.o", "../testdata/api.o", "../vm/pkt/testdata/ops.o"}
	files = append(files, strings.Fields(os.Getenv("BPFCT_BENCH_OBJECTS"))...)
	host, err := live.NewHost(live.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer host.Close()
	for _, file := range files {
		b.Run(strings.TrimSuffix(filepath.Base(file), ".o"), func(b *testing.B) { benchmarkObject(b, host, file) })
	}
}

func benchmarkObject(b *testing.B, host *live.Host, file string) {
	spec, err := ebpf.LoadCollectionSpec(file)
	if err != nil {
		b.Fatal(err)
	}
	obj, err := link.Link(spec, kernel.Default(), link.Options{KeepFaulty: true})
	if err != nil {
		b.Fatal(err)
	}
	type times struct {
		own, theirs time.Duration
		insns       int
	}
	best := make(map[string]times)
	for b.Loop() {
		coll, err := host.Namespace("").LoadCollection(spec, &live.CollectionOptions{KeepGoing: true, LogLevel: ebpf.LogLevelStats})
		if err != nil {
			b.Fatal(err)
		}
		for name, v := range coll.Verdicts {
			if !v.Accepted || obj.Programs[name] == nil || !verify.Verifiable(obj.Programs[name].Type) {
				continue
			}
			start := time.Now()
			res, err := verifier.Verify(obj, name, verifier.Options{})
			if err != nil {
				b.Fatal(err)
			}
			if res.Insns != v.Processed {
				b.Fatalf("%s: %d instructions, kernel %d", name, res.Insns, v.Processed)
			}
			// Where the machine is busy the fastest time says most.
			t := time.Since(start)
			if p, ok := best[name]; ok {
				t, v.Time = min(t, p.own), min(v.Time, p.theirs)
			}
			best[name] = times{t, v.Time, res.Insns}
		}
		coll.Close()
	}
	var own, theirs time.Duration
	insns := 0
	for _, p := range best {
		own, theirs, insns = own+p.own, theirs+p.theirs, insns+p.insns
	}
	if insns == 0 {
		b.Fatal("nothing was accepted")
	}
	b.ReportMetric(float64(own)/float64(insns), "ns/insn")
	b.ReportMetric(float64(theirs)/float64(insns), "kernel-ns/insn")
	b.ReportMetric(float64(own)/float64(max(theirs, 1)), "times-kernel")
	b.ReportMetric(0, "ns/op")
}
