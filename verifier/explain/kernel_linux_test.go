package explain_test

import (
	"path/filepath"
	"testing"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/internal/verdict"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/verifier/explain"
)

// TestKernelSaysSo asks the kernel about each example: it must refuse it with the same
// line.
func TestKernelSaysSo(t *testing.T) {
	testkernel.Require(t)
	host, err := live.NewHost(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	for _, c := range explain.Classes() {
		t.Run(c.Name, func(t *testing.T) {
			if testing.Short() && c.Name == "too-complex" {
				t.Skip("takes the kernel seconds")
			}
			spec, err := link.LoadFile(filepath.Join("testdata", c.Name+".o"))
			if err != nil {
				t.Fatal(err)
			}
			for name := range spec.Programs {
				said, err := verdict.Kernel(host.Namespace(""), spec, []string{name})
				if err != nil {
					t.Fatal(err)
				}
				own := verdict.Own(spec, kernel.Default(), name, verifier.Options{})
				if a := verdict.Compare(own, said[name]); a != verdict.Agree {
					t.Errorf("%s: %s\nkernel: %+v\nbpfct:  %+v", name, a, said[name], own)
				}
			}
		})
	}
}
