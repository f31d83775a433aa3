package record

import (
	"fmt"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
)

// Check applies to a whole BTF what the kernel demands when it is loaded: every
// struct that may be the type of an object has its special fields in order, and
// what is in a list or tree and has one of its own holds nothing that does the
// same (ELOOP). kernel tells of
// a struct's name whether the kernel has one of that name, which a pointer then
// refers to, and whether it can destroy one for a pointer that owns it (ENOENT);
// nil means that it has none.
func Check(types *btf.Spec, kernel func(name string) (exists, destructor bool)) error {
	if kernel == nil {
		kernel = func(string) (bool, bool) { return false, false }
	}
	c := checker{records: make(map[*btf.Struct]*Record), kernel: kernel}
	for t, err := range types.All() {
		if err != nil {
			return err
		}
		s, ok := t.(*btf.Struct)
		if !ok || !IsObject(s) {
			continue
		}
		rec, err := ParseObject(s, types)
		if err != nil {
			return err
		}
		if rec == nil {
			return fmt.Errorf("%s: special fields at places where they cannot be: %w", typeName(s), errno.EFAULT)
		}
		if err := c.pointers(rec); err != nil {
			return fmt.Errorf("%s: %w", typeName(s), err)
		}
		c.records[s] = rec
		c.order = append(c.order, s)
	}
	for _, s := range c.order {
		if err := c.roots(s); err != nil {
			return err
		}
	}
	return nil
}

// IsObject reports whether the kernel looks at a struct as the type of an object
// with special fields: it has a member of a special type. A bpf_res_spin_lock alone does not
// make it one.
func IsObject(s *btf.Struct) bool {
	p := parser{want: objectKinds}
	for _, m := range s.Members {
		if info, ok := structKinds[m.Type.TypeName()]; ok && info.kind != ResSpinLock && objectKinds.has(info.kind) {
			if _, ok := m.Type.(*btf.Struct); ok {
				return true
			}
		}
		var f Field
		if ok, err := p.pointer(&f, m.Type); ok && err == nil {
			return true
		}
	}
	return false
}

type checker struct {
	records map[*btf.Struct]*Record
	order   []*btf.Struct
	kernel  func(name string) (exists, destructor bool)
}

// pointers checks that what owning pointers refer to can be destroyed.
func (c *checker) pointers(rec *Record) error {
	for _, f := range rec.Fields {
		if f.Kind != KptrRef {
			continue
		}
		if exists, destructor := c.kernel(f.Type.TypeName()); exists && !destructor {
			return fmt.Errorf("%v to the kernel's struct %s, which has no destructor: %w", f.Kind, f.Type.TypeName(), errno.ENOENT)
		}
	}
	return nil
}

// roots checks what the lists and trees of s contain.
func (c *checker) roots(s *btf.Struct) error {
	rec := c.records[s]
	for _, f := range rec.Fields {
		if !f.Kind.isRoot() {
			continue
		}
		held := c.records[f.Type.(*btf.Struct)]
		if held == nil {
			return fmt.Errorf("%s: %v of struct %s, which is no object: %w", typeName(s), f.Kind, typeName(f.Type), errno.EFAULT)
		}
		if rec.has(ListNode, RBNode) && held.has(ListHead, RBRoot) {
			return fmt.Errorf("%s is held by a list or tree, holds struct %s, and that holds others: %w", typeName(s), typeName(f.Type), errno.ELOOP)
		}
	}
	return nil
}

// has reports whether the record has a field of one of the kinds.
func (r *Record) has(ks ...Kind) bool {
	for _, k := range ks {
		if r.Find(k) != nil {
			return true
		}
	}
	return false
}
