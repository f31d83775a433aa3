package soundness_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfct/bpfct/internal/soundness"
	"github.com/bpfct/bpfct/link"
)

var (
	rounds  = flag.Int("rounds", 8, "on how many packets each program runs")
	seed    = flag.Uint64("seed", 1, "where randomness starts")
	objects = flag.String("objects", "", "a pattern of objects in place of the tree's own")
)

// files are the compiled objects of the tree.
func files(t *testing.T) []string {
	if *objects != "" {
		list, err := filepath.Glob(*objects)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	var list []string
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".o") {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Compiled programs that the verifier accepts run as it thought, and without fault.
func TestObjects(t *testing.T) {
	var total soundness.Counts
	for _, file := range files(t) {
		spec, err := link.LoadFile(file)
		if err != nil {
			continue // an object that is wrong on purpose
		}
		h, err := soundness.New(spec, *seed)
		if err != nil {
			t.Logf("%s: %v", file, err)
			continue
		}
		if h == nil {
			continue
		}
		h.Run(rand.New(rand.NewPCG(*seed, 0)), *rounds)
		h.Close()
		for _, v := range h.Violations {
			t.Errorf("%s: %s", file, v)
		}
		total.Add(h.Counts)
	}
	if total.Checked == 0 {
		t.Error("nothing was compared")
	}
	t.Logf("%+v", total)
}
