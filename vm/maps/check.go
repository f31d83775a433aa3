package maps

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/record"
)

// Check reports whether the kernel of a profile would make the map that spec
// describes, without making it. types is the BTF of its object. Of types that this
// package cannot make it says nothing. The size of a ring is rounded up, as libbpf
// does.
func Check(p *kernel.Profile, spec *ebpf.MapSpec, types *btf.Spec, cpus int) error {
	if err := check(p, spec, types, cpus); err != nil {
		return fmt.Errorf("map %s: %w", spec.Name, err)
	}
	return nil
}

func check(p *kernel.Profile, spec *ebpf.MapSpec, types *btf.Spec, cpus int) error {
	mk, ok := makerOf(spec.Type)
	if !ok {
		return nil
	}
	s, err := complete(spec, cpus)
	if err != nil {
		return err
	}
	if s.Type == ebpf.RingBuf && s.MaxEntries > 0 {
		size := uint32(pageSize)
		for size != 0 && size < s.MaxEntries {
			size *= 2
		}
		s.MaxEntries = size
	}
	if err := checkCommon(s); err != nil {
		return err
	}
	if err := mk.check(p, s); err != nil {
		return fmt.Errorf("%v: %w", s, err)
	}
	if s.Type == ebpf.ArrayOfMaps || s.Type == ebpf.HashOfMaps {
		switch in := s.InnerMap; {
		case in == nil:
			return fmt.Errorf("map of maps without a spec of its inner maps: %w", errno.EBADF)
		case in.Type == ebpf.ArrayOfMaps || in.Type == ebpf.HashOfMaps:
			return bad("inner map is a map of maps")
		default:
			if err := check(p, in, types, cpus); err != nil {
				return fmt.Errorf("inner map: %w", err)
			}
		}
	}
	_, err = checkBTF(s, types, mk)
	if errors.Is(err, errno.EINVAL) || errors.Is(err, errno.ENOTSUPP) {
		return nil // made without types
	}
	return err
}

// CheckTypes reports whether the kernel of a profile would take the BTF of an object
// whose maps or programs cannot do without.
func CheckTypes(p *kernel.Profile, types *btf.Spec) error {
	if types == nil {
		return nil
	}
	err := record.Check(types, func(name string) (exists, destructor bool) {
		_, err := p.TypeByName(name)
		return err == nil, p.Destructors[name] != ""
	})
	if err != nil {
		return fmt.Errorf("types of the object: %w", err)
	}
	return nil
}
