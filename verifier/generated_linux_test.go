package verifier_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/link"
)

var (
	programs = flag.Int("programs", 100, "generated programs of each kind that the kernel is asked about")
	seed     = flag.Uint64("seed", 1, "of the first generated program")
)

// families are the kinds of generated programs.
var families = []struct {
	name string
	make func(rnd *rand.Rand, ctx *layout, sloppy int) []link.Raw
}{
	{"scalars", func(rnd *rand.Rand, ctx *layout, sloppy int) []link.Raw { return scalars(rnd, ctx, 25, sloppy) }},
	{"pointers", func(rnd *rand.Rand, ctx *layout, sloppy int) []link.Raw { return pointers(rnd, ctx, 20, sloppy) }},
	{"tame", func(rnd *rand.Rand, ctx *layout, _ int) []link.Raw { return tame(rnd, ctx, 20) }},
	{"functions", func(rnd *rand.Rand, ctx *layout, _ int) []link.Raw { return functions(rnd, ctx, 8) }},
}

// TestGeneratedPrograms compares verdicts and whole logs of generated programs with
// the kernel's.
func TestGeneratedPrograms(t *testing.T) {
	testkernel.Require(t)
	maps := pointerMaps()
	var fds []int
	for _, spec := range maps {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			t.Fatalf("map %s: %v", spec.Name, err)
		}
		t.Cleanup(func() { m.Close() })
		fds = append(fds, m.FD())
	}
	for k, f := range families {
		t.Run(f.name, func(t *testing.T) {
			bad, accepted := 0, 0
			for i := range *programs {
				n := *seed + uint64(i)
				typ, ctx := ebpf.SchedCLS, skbLayout
				if n%3 == 0 {
					typ, ctx = ebpf.XDP, xdpLayout
				}
				insns := f.make(rand.New(rand.NewPCG(n, uint64(k))), ctx, int(n%2)*30)
				diff, ok := sameVerdict(insns, typ, maps, fds)
				if ok {
					accepted++
				}
				if diff == "" {
					continue
				}
				if bad++; bad <= 6 {
					report(t, n, insns, diff)
				}
			}
			t.Logf("%d programs, %d accepted: %d differ", *programs, accepted, bad)
		})
	}
}
