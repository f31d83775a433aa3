package verifier_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bpfct/bpfct/internal/soundness"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
)

var soundMutants = flag.Int("sound.mutants", 1, "how many mutants of each compiled program are made")

// Mutants of compiled programs that are accepted run as the verifier thought, and
// without fault.
func TestMutantsAreSound(t *testing.T) {
	files, err := filepath.Glob("testdata/*.o")
	if err != nil || len(files) == 0 {
		t.Fatalf("no objects: %v", err)
	}
	files = append(files, "../testdata/api.o", "../examples/natgw/natgw.o", "../vm/maps/testdata/ops.o",
		"../vm/pkt/testdata/ops.o", "../vm/dynptr/testdata/dynptr.o", "../vm/objects/testdata/objects.o")
	var total soundness.Counts
	for _, file := range files {
		spec, err := link.LoadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		what := make(map[string]string)
		s := spec.Copy()
		for k, name := range slices.Sorted(maps.Keys(spec.Programs)) {
			for n := range *soundMutants {
				p := spec.Programs[name].Copy()
				p.Name = fmt.Sprintf("%s_mutant%d", name, n)
				what[p.Name] = mutate(rand.New(rand.NewPCG(*soundSeed+uint64(n), uint64(k))), p.Instructions)
				one := spec.Copy()
				one.Programs[p.Name] = p
				if _, err := link.Link(one, kernel.Default(), link.Options{Programs: []string{p.Name}}); err == nil {
					s.Programs[p.Name] = p
				}
			}
		}
		h, err := soundness.New(s, *soundSeed)
		if err != nil || h == nil {
			t.Logf("%s: %v", file, err)
			continue
		}
		h.Run(rand.New(rand.NewPCG(*soundSeed, 0)), *soundRounds)
		h.Close()
		for _, v := range h.Violations {
			t.Errorf("%s: %s\n%v", file, v, what)
		}
		total.Add(h.Counts)
	}
	t.Logf("%+v", total)
}
