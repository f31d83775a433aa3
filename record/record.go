package record

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
)

// Kind says what the kernel keeps in a field.
type Kind uint8

// The kinds of special fields, named for their C types or type tags.
const (
	SpinLock    Kind = iota + 1 // struct bpf_spin_lock
	ResSpinLock                 // struct bpf_res_spin_lock
	Timer                       // struct bpf_timer
	Workqueue                   // struct bpf_wq
	TaskWork                    // struct bpf_task_work
	KptrUnref                   // a pointer tagged kptr_untrusted
	KptrRef                     // a pointer tagged kptr
	KptrPercpu                  // a pointer tagged percpu_kptr
	Uptr                        // a pointer tagged uptr
	ListHead                    // struct bpf_list_head
	ListNode                    // struct bpf_list_node
	RBRoot                      // struct bpf_rb_root
	RBNode                      // struct bpf_rb_node
	Refcount                    // struct bpf_refcount
)

type kindInfo struct {
	kind        Kind
	size, align uint32
}

var structKinds = map[string]kindInfo{
	"bpf_spin_lock":     {SpinLock, 4, 4},
	"bpf_res_spin_lock": {ResSpinLock, 4, 4},
	"bpf_timer":         {Timer, 16, 8},
	"bpf_wq":            {Workqueue, 16, 8},
	"bpf_task_work":     {TaskWork, 8, 8},
	"bpf_list_head":     {ListHead, 16, 8},
	"bpf_list_node":     {ListNode, 24, 8},
	"bpf_rb_root":       {RBRoot, 16, 8},
	"bpf_rb_node":       {RBNode, 32, 8},
	"bpf_refcount":      {Refcount, 4, 4},
}

var tagKinds = map[string]Kind{
	"kptr_untrusted": KptrUnref,
	"kptr":           KptrRef,
	"percpu_kptr":    KptrPercpu,
	"uptr":           Uptr,
}

// String is the C type or tag of the kind.
func (k Kind) String() string {
	for name, info := range structKinds {
		if info.kind == k {
			return name
		}
	}
	for tag, kind := range tagKinds {
		if kind == k {
			return tag
		}
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// IsKptr reports whether the field is a pointer that bpf_kptr_xchg or a store
// may change.
func (k Kind) IsKptr() bool { return k == KptrUnref || k == KptrRef || k == KptrPercpu }

// Field is one special field.
type Field struct {
	Kind   Kind
	Offset uint32 // bytes from the start of the outer type
	Size   uint32 // bytes
	// Type is what a kptr points to, or what a list or rbtree holds; nil for
	// the other kinds.
	Type btf.Type
	// Node is the byte offset of the list or rbtree node in Type, and NodeName
	// its member name, as the contains declaration tag says. For heads and roots only.
	Node     uint32
	NodeName string
}

// Record is all special fields of a type, by rising offset.
type Record struct {
	Fields []Field
}

// MaxFields is how many special fields a type may have (BTF_FIELDS_MAX).
const MaxFields = 11

// Find returns the first field of the given kind, nil when there is none.
func (r *Record) Find(k Kind) *Field {
	if r == nil {
		return nil
	}
	for i := range r.Fields {
		if r.Fields[i].Kind == k {
			return &r.Fields[i]
		}
	}
	return nil
}

// At returns the field that starts at the given offset, nil when there is none.
func (r *Record) At(off uint32) *Field {
	if r == nil {
		return nil
	}
	for i := range r.Fields {
		if r.Fields[i].Offset == off {
			return &r.Fields[i]
		}
	}
	return nil
}

// Parse finds the special fields of t, through nested structs and arrays. types
// is the BTF that t comes from; the structs named by contains tags are looked up
// in it. The record is nil for a type without special fields. The errors carry
// the kernel's errno: E2BIG for too many fields, EEXIST for a second field of a
// kind that must be single, EINVAL for a field that is misplaced or misused.
func Parse(t btf.Type, types *btf.Spec) (*Record, error) {
	p := parser{types: types}
	if err := p.walk(t, 0, nil, 0); err != nil {
		return nil, err
	}
	if len(p.rec.Fields) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(p.rec.Fields, func(a, b Field) int { return int(a.Offset) - int(b.Offset) })
	for _, k := range []Kind{SpinLock, ResSpinLock, Timer, Workqueue, TaskWork, Refcount} {
		n := 0
		for _, f := range p.rec.Fields {
			if f.Kind == k {
				n++
			}
		}
		if n > 1 {
			return nil, fmt.Errorf("%s has %d fields of type %v, one is allowed: %w", typeName(t), n, k, errno.EEXIST)
		}
	}
	if p.rec.Find(SpinLock) != nil && p.rec.Find(ResSpinLock) != nil {
		return nil, fmt.Errorf("%s has a bpf_spin_lock and a bpf_res_spin_lock: %w", typeName(t), errno.EINVAL)
	}
	return &p.rec, nil
}

type parser struct {
	rec   Record
	types *btf.Spec
}

// maxDepth bounds nesting, which hostile BTF could make endless.
const maxDepth = 32

func (p *parser) walk(t btf.Type, off uint32, tags []string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("type nests deeper than %d: %w", maxDepth, errno.E2BIG)
	}
	switch v := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		if info, ok := structKinds[v.Name]; ok {
			return p.special(info, v, off, tags)
		}
		for _, m := range v.Members {
			if m.BitfieldSize != 0 {
				continue
			}
			if err := p.walk(m.Type, off+m.Offset.Bytes(), m.Tags, depth+1); err != nil {
				return err
			}
		}
	case *btf.Datasec:
		for _, vs := range v.Vars {
			bv, ok := vs.Type.(*btf.Var)
			if !ok {
				continue
			}
			if err := p.walk(bv.Type, off+vs.Offset, bv.Tags, depth+1); err != nil {
				return err
			}
		}
	case *btf.Array:
		size, err := btf.Sizeof(v.Type)
		if err != nil || size == 0 {
			return nil
		}
		before := len(p.rec.Fields)
		for i := uint32(0); i < v.Nelems; i++ {
			if err := p.walk(v.Type, off+i*uint32(size), tags, depth+1); err != nil {
				return err
			}
			if len(p.rec.Fields) == before {
				return nil // nothing special in one element, so in none
			}
		}
	case *btf.Pointer:
		return p.pointer(v, off)
	}
	return nil
}

func (p *parser) pointer(v *btf.Pointer, off uint32) error {
	// clang puts the tag between the pointer and what it points to.
	target := v.Target
	kind := Kind(0)
	for {
		switch tt := target.(type) {
		case *btf.TypeTag:
			if k, ok := tagKinds[tt.Value]; ok {
				kind = k
			}
			target = tt.Type
			continue
		case *btf.Const:
			target = tt.Type
			continue
		case *btf.Volatile:
			target = tt.Type
			continue
		}
		break
	}
	if kind == 0 {
		return nil
	}
	if off%8 != 0 {
		return fmt.Errorf("%v at offset %d is not aligned to 8: %w", kind, off, errno.EINVAL)
	}
	return p.add(Field{Kind: kind, Offset: off, Size: 8, Type: target})
}

func (p *parser) special(info kindInfo, v *btf.Struct, off uint32, tags []string) error {
	if off%info.align != 0 {
		return fmt.Errorf("%s at offset %d is not aligned to %d: %w", v.Name, off, info.align, errno.EINVAL)
	}
	f := Field{Kind: info.kind, Offset: off, Size: info.size}
	if info.kind == ListHead || info.kind == RBRoot {
		if err := p.contains(&f, v, tags); err != nil {
			return err
		}
	}
	return p.add(f)
}

func (p *parser) contains(f *Field, v *btf.Struct, tags []string) error {
	for _, tag := range tags {
		rest, ok := strings.CutPrefix(tag, "contains:")
		if !ok {
			continue
		}
		name, node, ok := strings.Cut(rest, ":")
		if !ok {
			return fmt.Errorf("declaration tag %q names no node: %w", tag, errno.EINVAL)
		}
		var holds *btf.Struct
		if err := p.types.TypeByName(name, &holds); err != nil {
			return fmt.Errorf("declaration tag %q: %w", tag, errno.ENOENT)
		}
		want := ListNode
		if f.Kind == RBRoot {
			want = RBNode
		}
		for _, m := range holds.Members {
			if m.Name != node {
				continue
			}
			s, ok := btf.UnderlyingType(m.Type).(*btf.Struct)
			if !ok || structKinds[s.Name].kind != want {
				return fmt.Errorf("declaration tag %q: member is not a %v: %w", tag, want, errno.EINVAL)
			}
			f.Type, f.Node, f.NodeName = holds, m.Offset.Bytes(), node
			return nil
		}
		return fmt.Errorf("declaration tag %q: no such member: %w", tag, errno.ENOENT)
	}
	return fmt.Errorf("%s at offset %d has no contains declaration tag: %w", v.Name, f.Offset, errno.EINVAL)
}

func (p *parser) add(f Field) error {
	if len(p.rec.Fields) == MaxFields {
		return fmt.Errorf("more than %d special fields: %w", MaxFields, errno.E2BIG)
	}
	p.rec.Fields = append(p.rec.Fields, f)
	return nil
}

func typeName(t btf.Type) string {
	if n := t.TypeName(); n != "" {
		return n
	}
	return "the anonymous type"
}
