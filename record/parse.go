package record

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
)

// kindSet has bit k set for each kind k in it.
type kindSet uint32

func kinds(ks ...Kind) (s kindSet) {
	for _, k := range ks {
		s |= 1 << k
	}
	return s
}

func (s kindSet) has(k Kind) bool { return s&(1<<k) != 0 }

var (
	valueKinds = kinds(SpinLock, ResSpinLock, Timer, Workqueue, TaskWork, KptrUnref, KptrRef, KptrPercpu, Uptr,
		ListHead, RBRoot, Refcount)
	objectKinds = kinds(SpinLock, ResSpinLock, KptrUnref, KptrRef, KptrPercpu, ListHead, ListNode, RBRoot, RBNode, Refcount)
)

// Parse finds the special fields of a map's value type t. types is the BTF that t
// comes from; the structs named by contains tags are looked up in it. The record
// is nil for a type without special fields. What has the name of a special type
// but not its size or alignment is no special field.
//
// The errors carry the errno that the kernel finds: E2BIG for too many fields or
// a second one of a kind that must be single, EINVAL, ENOENT or EEXIST for fields
// that are misused. The kernel makes a map with such a value nevertheless, as if
// the type had no special fields at all.
func Parse(t btf.Type, types *btf.Spec) (*Record, error) { return parse(t, types, valueKinds) }

// ParseObject finds the special fields of the type of an object that bpf_obj_new
// makes. There, the nodes of lists and trees count and timers do not. The kernel
// refuses BTF that has a struct with an error here.
func ParseObject(t *btf.Struct, types *btf.Spec) (*Record, error) {
	return parse(t, types, objectKinds)
}

func parse(t btf.Type, types *btf.Spec, want kindSet) (*Record, error) {
	t = btf.UnderlyingType(t)
	p := parser{types: types, want: want}
	var fields []Field
	var err error
	size := uint32(0)
	switch v := t.(type) {
	case *btf.Struct:
		fields, err = p.structure(v, MaxFields, 0)
		size = v.Size
	case *btf.Datasec:
		fields, err = p.section(v)
		size = v.Size
	}
	if err == nil {
		err = p.check(fields, size)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", typeName(t), err)
	}
	if len(fields) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(fields, func(a, b Field) int { return int(a.Offset) - int(b.Offset) })
	return &Record{Fields: fields}, nil
}

type parser struct {
	types *btf.Spec
	want  kindSet
}

// maxDepth bounds nesting (MAX_RESOLVE_DEPTH).
const maxDepth = 32

// declaration is a member or variable: where a type stands.
type declaration struct {
	typ  btf.Type
	off  uint32
	size uint32 // what it must have, 0 for any
	tags []string
	// seen are the single kinds found beside it. The kernel does not look for
	// them in structs within structs.
	seen *kindSet
}

func (p *parser) structure(s *btf.Struct, room, depth int) (fields []Field, err error) {
	var seen kindSet
	for _, m := range s.Members {
		if m.Offset%8 != 0 {
			return nil, fmt.Errorf("member %s does not start at a byte: %w", m.Name, errno.EINVAL)
		}
		f, err := p.one(declaration{typ: m.Type, off: m.Offset.Bytes(), tags: m.Tags, seen: &seen}, room-len(fields), depth)
		if err != nil {
			return nil, err
		}
		fields = append(fields, f...)
	}
	return fields, nil
}

func (p *parser) section(s *btf.Datasec) (fields []Field, err error) {
	var seen kindSet
	for _, v := range s.Vars {
		bv, ok := v.Type.(*btf.Var)
		if !ok {
			continue
		}
		f, err := p.one(declaration{typ: bv.Type, off: v.Offset, size: v.Size, tags: bv.Tags, seen: &seen}, MaxFields-len(fields), 0)
		if err != nil {
			return nil, err
		}
		fields = append(fields, f...)
	}
	return fields, nil
}

// one finds the special fields of one declaration, at most room.
func (p *parser) one(d declaration, room, depth int) ([]Field, error) {
	n := uint32(1)
	for i := 0; ; i++ {
		a, ok := d.typ.(*btf.Array)
		if !ok {
			break
		}
		if i == maxDepth {
			return nil, fmt.Errorf("array of more than %d dimensions: %w", maxDepth, errno.E2BIG)
		}
		n *= a.Nelems
		d.typ = a.Type
	}
	if n == 0 {
		return nil, nil
	}
	s, isStruct := d.typ.(*btf.Struct)
	info, named := structKinds[d.typ.TypeName()]
	named = named && p.want.has(info.kind)
	if named && info.single {
		if d.seen.has(info.kind) {
			return nil, fmt.Errorf("a second %v: %w", info.kind, errno.E2BIG)
		}
		*d.seen |= 1 << info.kind
	}
	switch {
	case !named && isStruct:
		return p.nested(s, d, n, room, depth)
	case !named:
		info = kindInfo{kind: KptrRef, size: 8, align: 8}
	}
	if d.size != 0 && d.size != info.size*n || d.off%info.align != 0 || named && (!isStruct || s.Size != info.size) {
		return nil, nil
	}
	f := Field{Kind: info.kind, Offset: d.off, Size: info.size}
	var err error
	switch {
	case !named:
		var ok bool
		if ok, err = p.pointer(&f, d.typ); !ok || err != nil {
			return nil, err
		}
	case info.kind.isRoot():
		err = p.contains(&f, d.tags)
	}
	if err != nil {
		return nil, err
	}
	return repeat([]Field{f}, n, info.size, room)
}

func (p *parser) nested(s *btf.Struct, d declaration, n uint32, room, depth int) ([]Field, error) {
	if d.size != 0 && d.size != s.Size*n {
		return nil, nil
	}
	if depth+1 >= maxDepth {
		return nil, fmt.Errorf("structs nest deeper than %d: %w", maxDepth, errno.E2BIG)
	}
	fields, err := p.structure(s, room, depth+1)
	if err != nil || len(fields) == 0 {
		return nil, err
	}
	for i := range fields {
		fields[i].Offset += d.off
	}
	return repeat(fields, n, s.Size, room)
}

// repeat makes the fields of an array of n elements from those of its first.
func repeat(fields []Field, n, size uint32, room int) ([]Field, error) {
	if n > 1 {
		for _, f := range fields {
			if !f.Kind.IsKptr() && f.Kind != Uptr && !f.Kind.isRoot() {
				return nil, fmt.Errorf("array of %v: %w", f.Kind, errno.EINVAL)
			}
		}
	}
	if uint64(n)*uint64(len(fields)) > uint64(max(room, 0)) {
		return nil, fmt.Errorf("more than %d special fields: %w", MaxFields, errno.E2BIG)
	}
	first := fields
	for i := uint32(1); i < n; i++ {
		for _, f := range first {
			f.Offset += i * size
			fields = append(fields, f)
		}
	}
	return fields, nil
}

// pointer fills in f if t is a tagged pointer.
func (p *parser) pointer(f *Field, t btf.Type) (bool, error) {
	if v, ok := t.(*btf.Volatile); ok {
		t = v.Type
	}
	ptr, ok := t.(*btf.Pointer)
	if !ok {
		return false, nil
	}
	// clang puts the tag between the pointer and what it points to.
	tag, ok := ptr.Target.(*btf.TypeTag)
	if !ok {
		return false, nil
	}
	if _, more := tag.Type.(*btf.TypeTag); more {
		return false, fmt.Errorf("pointer with more than one type tag: %w", errno.EINVAL)
	}
	kind, ok := tagKinds[tag.Value]
	if !ok {
		return false, fmt.Errorf("pointer with type tag %q: %w", tag.Value, errno.EINVAL)
	}
	target, ok := skipModifiers(tag.Type).(*btf.Struct)
	if !p.want.has(kind) {
		return false, nil
	}
	if !ok {
		return false, fmt.Errorf("%v to what is not a struct: %w", kind, errno.EINVAL)
	}
	f.Kind, f.Type = kind, target
	return true, nil
}

// skipModifiers is t without const, volatile, tags and typedefs.
func skipModifiers(t btf.Type) btf.Type {
	for range maxDepth {
		switch v := t.(type) {
		case *btf.TypeTag:
			t = v.Type
		case *btf.Const:
			t = v.Type
		case *btf.Volatile:
			t = v.Type
		case *btf.Restrict:
			t = v.Type
		case *btf.Typedef:
			t = v.Type
		default:
			return t
		}
	}
	return t
}

// contains fills in what the list or tree f holds.
func (p *parser) contains(f *Field, tags []string) error {
	found := ""
	for _, tag := range tags {
		if rest, ok := strings.CutPrefix(tag, "contains:"); ok {
			if found != "" {
				return fmt.Errorf("%v with more than one contains tag: %w", f.Kind, errno.EINVAL)
			}
			found = rest
		}
	}
	name, node, ok := strings.Cut(found, ":")
	if !ok {
		return fmt.Errorf("%v without a tag contains:struct:member: %w", f.Kind, errno.EINVAL)
	}
	f.Type = structByName(p.types, name)
	if f.Type == nil {
		return fmt.Errorf("%v contains struct %s, which does not exist: %w", f.Kind, name, errno.ENOENT)
	}
	if node == "" {
		return fmt.Errorf("%v contains no member of struct %s: %w", f.Kind, name, errno.EINVAL)
	}
	f.NodeName = node
	return nil
}

// structByName is the first struct of that name, nil for none.
func structByName(types *btf.Spec, name string) btf.Type {
	if types == nil || name == "" {
		return nil
	}
	all, err := types.AnyTypesByName(name)
	if err != nil {
		return nil
	}
	for _, t := range all {
		if s, ok := t.(*btf.Struct); ok {
			return s
		}
	}
	return nil
}

// check looks at the fields in the order in which they were found.
func (p *parser) check(fields []Field, size uint32) error {
	next := uint32(0)
	var have kindSet
	for i := range fields {
		f := &fields[i]
		if uint64(f.Offset)+uint64(f.Size) > uint64(size) {
			return fmt.Errorf("%v at offset %d is not within %d bytes: %w", f.Kind, f.Offset, size, errno.EFAULT)
		}
		if f.Offset < next {
			return fmt.Errorf("%v at offset %d overlaps another field: %w", f.Kind, f.Offset, errno.EEXIST)
		}
		next = f.Offset + f.Size
		have |= 1 << f.Kind
		if f.Kind.isRoot() {
			if err := f.findNode(); err != nil {
				return err
			}
		}
	}
	locked := have.has(SpinLock) || have.has(ResSpinLock)
	switch {
	case have.has(SpinLock) && have.has(ResSpinLock):
		return fmt.Errorf("bpf_spin_lock and bpf_res_spin_lock: %w", errno.EINVAL)
	case !locked && (have.has(ListHead) || have.has(RBRoot)):
		return fmt.Errorf("list or tree without a lock: %w", errno.EINVAL)
	case have.has(ListNode) && have.has(RBNode) && !have.has(Refcount):
		return fmt.Errorf("bpf_list_node and bpf_rb_node without a bpf_refcount: %w", errno.EINVAL)
	}
	return nil
}

// findNode finds the node of a list or tree in what it contains.
func (f *Field) findNode() error {
	s := f.Type.(*btf.Struct)
	want := "bpf_list_node"
	if f.Kind == RBRoot {
		want = "bpf_rb_node"
	}
	found := false
	for _, m := range s.Members {
		if m.Name != f.NodeName {
			continue
		}
		n, ok := m.Type.(*btf.Struct)
		if found || !ok || n.Name != want || m.Offset%64 != 0 {
			return fmt.Errorf("%v: member %s of struct %s is not a %s: %w", f.Kind, m.Name, s.Name, want, errno.EINVAL)
		}
		found, f.Node = true, m.Offset.Bytes()
	}
	if !found {
		return fmt.Errorf("%v: struct %s has no member %s: %w", f.Kind, s.Name, f.NodeName, errno.ENOENT)
	}
	return nil
}

func typeName(t btf.Type) string {
	if n := t.TypeName(); n != "" {
		return n
	}
	return "the anonymous type"
}
