package link

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// The library's own way to apply a fixup works on Linux alone; ours must do
// the same.
func TestFixupsAreAppliedAsByTheLibrary(t *testing.T) {
	targets, err := profile(t, "6.18").AllTypes()
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range []string{"ct.bpf.o", "core.bpf.o"} {
		spec := load(t, file)
		for name, ps := range spec.Programs {
			var relos []*btf.CORERelocation
			var at []int
			for i := range ps.Instructions {
				if relo := btf.CORERelocationMetadata(&ps.Instructions[i]); relo != nil {
					relos, at = append(relos, relo), append(at, i)
				}
			}
			fixups, err := btf.CORERelocate(relos, targets, binary.LittleEndian, spec.Types.TypeID)
			if err != nil {
				t.Fatal(err)
			}
			for n, i := range at {
				theirs, ours := ps.Instructions[i], ps.Instructions[i]
				if err := fixups[n].Apply(&theirs); err != nil {
					t.Fatal(err)
				}
				f, err := parseFixup(fixups[n])
				if err != nil {
					t.Fatal(err)
				}
				poison, err := f.apply(&ours)
				if err != nil {
					t.Fatal(err)
				}
				if ours.OpCode != theirs.OpCode || ours.Dst != theirs.Dst || ours.Src != theirs.Src || ours.Offset != theirs.Offset || ours.Constant != theirs.Constant {
					t.Errorf("%s %s, instruction %d, %v: %v, the library has %v", file, name, i, relos[n], ours, theirs)
				}
				if poison != "" && theirs.Source().String() == "" {
					t.Errorf("poisoned without a source")
				}
				compared++
			}
		}
	}
	if compared < 15 {
		t.Errorf("compared %d relocations", compared)
	}
}
