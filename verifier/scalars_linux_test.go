package verifier_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/testkernel"
)

var (
	programs = flag.Int("programs", 200, "generated programs of each kind that the kernel is asked about")
	seed     = flag.Uint64("seed", 1, "of the first generated program")
)

// TestScalarPrograms compares whole logs of generated programs with the kernel's.
func TestScalarPrograms(t *testing.T) {
	testkernel.Require(t)
	bad := 0
	for i := range *programs {
		n := *seed + uint64(i)
		insns := scalars(rand.New(rand.NewPCG(n, 1)), 25, int(n%2)*30)
		if diff := sameVerdict(insns, ebpf.SchedCLS, nil, nil); diff != "" {
			if bad++; bad <= 6 {
				report(t, n, insns, diff)
			}
		}
	}
	t.Logf("%d of %d programs differ", bad, *programs)
}

// TestPointerPrograms is TestScalarPrograms for programs that use pointers.
func TestPointerPrograms(t *testing.T) {
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
	bad, accepted := 0, 0
	for i := range *programs {
		n := *seed + uint64(i)
		insns := pointers(rand.New(rand.NewPCG(n, 2)), 20, int(n%2)*40)
		if diff := sameVerdict(insns, ebpf.SchedCLS, maps, fds); diff != "" {
			if bad++; bad <= 8 {
				report(t, n, insns, diff)
			}
		}
	}
	t.Logf("%d of %d programs differ, %d accepted", bad, *programs, accepted)
}
