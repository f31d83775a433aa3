package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/btf"
)

// structPatch lays a struct of the base's BTF out anew.
type structPatch struct {
	Name    string        `json:"name"`
	Size    uint32        `json:"size"`
	Members []memberPatch `json:"members"`
}

// memberPatch is one member of a structPatch: an integer type of the kernel,
// or an array of Count of them.
type memberPatch struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Count  uint32 `json:"count"`
	Offset uint32 `json:"offset"`
}

func (p *Profile) loadSpecs() ([]*btf.Spec, error) {
	raw, err := p.raw()
	if err != nil {
		return nil, err
	}
	var specs []*btf.Spec
	for i, r := range raw {
		var spec *btf.Spec
		if i == 0 {
			spec, err = btf.LoadSpecFromReader(bytes.NewReader(r))
		} else {
			spec, err = btf.LoadSplitSpecFromReader(bytes.NewReader(r), specs[0])
		}
		if err != nil {
			return nil, fmt.Errorf("BTF of profile %s: %w", p.Name, err)
		}
		specs = append(specs, spec)
	}
	for _, patch := range p.patch {
		if err := patch.apply(specs); err != nil {
			return nil, fmt.Errorf("profile %s: struct %s: %w", p.Name, patch.Name, err)
		}
	}
	return specs, nil
}

// apply changes the type in place: specs belong to one profile alone.
func (s structPatch) apply(specs []*btf.Spec) error {
	for _, spec := range specs {
		var st *btf.Struct
		if err := spec.TypeByName(s.Name, &st); errors.Is(err, btf.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		var members []btf.Member
		for _, m := range s.Members {
			typ, err := findType(specs, m.Type)
			if err != nil {
				return fmt.Errorf("member %s: %w", m.Name, err)
			}
			if m.Count > 0 {
				index, err := findType(specs, "unsigned int")
				if err != nil {
					return err
				}
				typ = &btf.Array{Index: index, Type: typ, Nelems: m.Count}
			}
			members = append(members, btf.Member{Name: m.Name, Type: typ, Offset: btf.Bits(m.Offset * 8)})
		}
		st.Size, st.Members = s.Size, members
		return nil
	}
	return btf.ErrNotFound
}

// Types is the BTF of the kernel itself. It is shared: do not modify its types.
func (p *Profile) Types() (*btf.Spec, error) {
	specs, err := p.specs()
	if err != nil {
		return nil, err
	}
	return specs[0], nil
}

// AllTypes is the BTF of the kernel, then that of each of its modules: the
// targets of a CO-RE relocation.
func (p *Profile) AllTypes() ([]*btf.Spec, error) {
	specs, err := p.specs()
	if err != nil {
		return nil, err
	}
	return slices.Clone(specs), nil
}

// TypeByName finds a type of the kernel or of a module. Where several kinds
// share the name it prefers a struct or union, then whatever comes first.
func (p *Profile) TypeByName(name string) (btf.Type, error) {
	specs, err := p.specs()
	if err != nil {
		return nil, err
	}
	t, err := findType(specs, name)
	if err != nil {
		return nil, fmt.Errorf("profile %s: type %q: %w", p.Name, name, err)
	}
	return t, nil
}

func findType(specs []*btf.Spec, name string) (btf.Type, error) {
	for _, spec := range specs {
		types, err := spec.AnyTypesByName(name)
		if errors.Is(err, btf.ErrNotFound) || err == nil && len(types) == 0 {
			continue
		} else if err != nil {
			return nil, err
		}
		for _, t := range types {
			switch t.(type) {
			case *btf.Struct, *btf.Union:
				return t, nil
			}
		}
		return types[0], nil
	}
	return nil, btf.ErrNotFound
}

// Sizeof is the size in bytes of a named type.
func (p *Profile) Sizeof(name string) (uint32, error) {
	t, err := p.TypeByName(name)
	if err != nil {
		return 0, err
	}
	n, err := btf.Sizeof(t)
	if err != nil {
		return 0, fmt.Errorf("profile %s: type %q: %w", p.Name, name, err)
	}
	return uint32(n), nil
}

// TypeID is the BTF ID of a type and the index in [Profile.AllTypes] of the
// spec that has it.
func (p *Profile) TypeID(t btf.Type) (id btf.TypeID, spec int, err error) {
	specs, err := p.specs()
	if err != nil {
		return 0, 0, err
	}
	for i, s := range specs {
		if id, err := s.TypeID(t); err == nil {
			return id, i, nil
		}
	}
	return 0, 0, fmt.Errorf("profile %s: type %v: %w", p.Name, t, btf.ErrNotFound)
}

// KfuncType is the BTF of a kfunc: its ID, its declaration, and the index in
// [Profile.AllTypes] of the spec that has it.
func (p *Profile) KfuncType(name string) (fn *btf.Func, id btf.TypeID, spec int, err error) {
	specs, err := p.specs()
	if err != nil {
		return nil, 0, 0, err
	}
	for i, s := range specs {
		if err := s.TypeByName(name, &fn); errors.Is(err, btf.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, 0, 0, fmt.Errorf("profile %s: function %s: %w", p.Name, name, err)
		}
		id, err := s.TypeID(fn)
		return fn, id, i, err
	}
	return nil, 0, 0, fmt.Errorf("profile %s: function %s: %w", p.Name, name, btf.ErrNotFound)
}

// KfuncID is the BTF ID of a kfunc of the kernel itself.
func (p *Profile) KfuncID(name string) (btf.TypeID, error) {
	_, id, _, err := p.KfuncType(name)
	return id, err
}

// KfuncByID is the inverse of [Profile.KfuncID].
func (p *Profile) KfuncByID(id btf.TypeID) (*Prototype, bool) {
	spec, err := p.Types()
	if err != nil {
		return nil, false
	}
	t, err := spec.TypeByID(id)
	if err != nil {
		return nil, false
	}
	fn, ok := t.(*btf.Func)
	if !ok {
		return nil, false
	}
	return p.Kfunc(fn.Name)
}

// Enum finds an enumerator's value in a named enum.
func (p *Profile) Enum(enum, name string) (int64, error) {
	t, err := p.TypeByName(enum)
	if err != nil {
		return 0, err
	}
	e, ok := btf.As[*btf.Enum](t)
	if !ok {
		return 0, fmt.Errorf("profile %s: %s is not an enum", p.Name, enum)
	}
	for _, v := range e.Values {
		if v.Name == name {
			return int64(v.Value), nil
		}
	}
	return 0, fmt.Errorf("profile %s: enum %s has no %s", p.Name, enum, name)
}
