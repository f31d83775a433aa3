package link

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/testkernel"
)

// What LoadSpec reads loads into the kernel. Not list.bpf.o: the library gives
// the kernel the types of a map's value alone, not those that a list head of
// the value names. Not extern.bpf.o: it wants every option of the kernel's
// configuration to be there, weak or not.
func TestLoadedSpecsLoadIntoTheKernel(t *testing.T) {
	testkernel.Require(t)
	for _, file := range []string{"ct.bpf.o", "core.bpf.o"} {
		coll, err := ebpf.NewCollection(load(t, file))
		if err != nil {
			var v *ebpf.VerifierError
			if errors.As(err, &v) {
				t.Errorf("%s: %+v", file, v)
			} else {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		coll.Close()
	}
}
