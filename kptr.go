package bpfct

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
)

// checkKptrs refuses a map whose values hold a reference to a type of the kernel
// that the kernel could not give up when the map goes: it knows no destructor.
func (h *Host) checkKptrs(spec *ebpf.MapSpec, types *btf.Spec) error {
	if spec.Value == nil {
		return nil
	}
	rec, err := record.Parse(spec.Value, types)
	if err != nil || rec == nil {
		return nil // the map will do without, or says so itself
	}
	for _, f := range rec.Fields {
		if f.Kind != record.KptrRef || f.Type == nil {
			continue
		}
		name, _, _ := strings.Cut(btf.UnderlyingType(f.Type).TypeName(), "___")
		if _, err := h.profile.TypeByName(name); err != nil {
			continue // a type of the program's own
		}
		if h.profile.Destructors[name] == "" {
			return fmt.Errorf("map %s: its values hold a reference to struct %s at offset %d, and kernel %s has no destructor for that: %w",
				spec.Name, name, f.Offset, h.profile.Name, errno.ENOENT)
		}
	}
	return nil
}
