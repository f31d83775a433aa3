package kernel

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// Field is where a member of a kernel type lies.
type Field struct {
	Offset uint32 // bytes from the start of the outermost type, of a bit field: of its first whole byte
	Size   uint32 // bytes, of a bit field: as many as its bits touch from Offset
	Type   btf.Type
	// Bits is the width of a bit field, 0 for every other member; Shift is how
	// many bits above bit 0 of the byte at Offset it starts (little endian).
	Bits, Shift uint32
}

type fieldKey struct{ typ, path string }

type fieldResult struct {
	field Field
	err   error
}

// Field is the offset and size in bytes of a member of a kernel type: path is
// written as in C, "tuplehash[0].tuple.src.u3.ip". Members of anonymous
// structs and unions are members of what contains them. Answers are cached.
func (p *Profile) Field(typ, path string) (offset, size uint32, err error) {
	f, err := p.FieldInfo(typ, path)
	return f.Offset, f.Size, err
}

// FieldInfo is [Profile.Field] with the type of the member and, of a bit
// field, its bits.
func (p *Profile) FieldInfo(typ, path string) (Field, error) {
	key := fieldKey{typ, path}
	if r, ok := p.fields.Load(key); ok {
		r := r.(fieldResult)
		return r.field, r.err
	}
	var r fieldResult
	t, err := p.TypeByName(typ)
	if err == nil {
		r.field, err = FieldOf(t, path)
	}
	if err != nil {
		r = fieldResult{err: fmt.Errorf("field %s.%s: %w", typ, path, err)}
	}
	p.fields.Store(key, r)
	return r.field, r.err
}

// FieldOf finds a member of any type by its path; see [Profile.Field].
func FieldOf(t btf.Type, path string) (Field, error) {
	bits := btf.Bits(0)
	width := btf.Bits(0)
	rest := path
	for rest != "" {
		if rest[0] == '[' {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return Field{}, fmt.Errorf("missing ] in %q", path)
			}
			index, err := strconv.ParseUint(rest[1:end], 10, 31)
			if err != nil {
				return Field{}, fmt.Errorf("bad index in %q: %w", path, err)
			}
			arr, ok := btf.UnderlyingType(t).(*btf.Array)
			if !ok {
				return Field{}, fmt.Errorf("%v is not an array", t)
			}
			// An array of no elements is a flexible one.
			if arr.Nelems != 0 && index >= uint64(arr.Nelems) {
				return Field{}, fmt.Errorf("index %d of an array of %d", index, arr.Nelems)
			}
			elem, err := btf.Sizeof(arr.Type)
			if err != nil {
				return Field{}, err
			}
			bits += btf.Bits(uint64(elem) * index * 8)
			t, rest, width = arr.Type, rest[end+1:], 0
			continue
		}
		rest = strings.TrimPrefix(rest, ".")
		end := strings.IndexAny(rest, ".[")
		name := rest
		if end >= 0 {
			name = rest[:end]
		}
		rest = rest[len(name):]
		m, off, ok := findMember(t, name)
		if !ok {
			return Field{}, fmt.Errorf("%v has no member %q", btf.UnderlyingType(t), name)
		}
		bits += off
		t, width = m.Type, m.BitfieldSize
	}
	if width == 0 {
		size, err := btf.Sizeof(t)
		if err != nil {
			return Field{}, err
		}
		return Field{Offset: uint32(bits / 8), Size: uint32(size), Type: t}, nil
	}
	shift := uint32(bits % 8)
	return Field{
		Offset: uint32(bits / 8), Size: (shift + uint32(width) + 7) / 8, Type: t,
		Bits: uint32(width), Shift: shift,
	}, nil
}

// findMember looks for a member also in anonymous structs and unions. The
// offset is in bits from the start of t.
func findMember(t btf.Type, name string) (btf.Member, btf.Bits, bool) {
	var members []btf.Member
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	default:
		return btf.Member{}, 0, false
	}
	for _, m := range members {
		if m.Name == name {
			return m, m.Offset, true
		}
	}
	for _, m := range members {
		if m.Name != "" {
			continue
		}
		if inner, off, ok := findMember(m.Type, name); ok {
			return inner, m.Offset + off, true
		}
	}
	return btf.Member{}, 0, false
}

// MemberAt names the innermost member of t that covers the byte at offset, as
// [Profile.Field] would take it, "" where there is none (padding).
func MemberAt(t btf.Type, offset uint32) string {
	var b strings.Builder
	for {
		switch u := btf.UnderlyingType(t).(type) {
		case *btf.Array:
			elem, err := btf.Sizeof(u.Type)
			if err != nil || elem == 0 || offset/uint32(elem) >= u.Nelems {
				return b.String()
			}
			fmt.Fprintf(&b, "[%d]", offset/uint32(elem))
			t, offset = u.Type, offset%uint32(elem)
			continue
		case *btf.Struct:
			m, ok := coveringMember(u.Members, offset)
			if !ok {
				return b.String()
			}
			appendMember(&b, m.Name)
			t, offset = m.Type, offset-uint32(m.Offset/8)
			continue
		case *btf.Union:
			m, ok := coveringMember(u.Members, offset)
			if !ok {
				return b.String()
			}
			appendMember(&b, m.Name)
			t = m.Type
			continue
		}
		return b.String()
	}
}

func appendMember(b *strings.Builder, name string) {
	if name == "" {
		return
	}
	if b.Len() > 0 {
		b.WriteByte('.')
	}
	b.WriteString(name)
}

func coveringMember(members []btf.Member, offset uint32) (btf.Member, bool) {
	for _, m := range members {
		start := uint32(m.Offset / 8)
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			continue
		}
		if m.BitfieldSize > 0 {
			size = int((m.Offset%8 + m.BitfieldSize + 7) / 8)
		}
		if offset >= start && offset < start+uint32(size) {
			return m, true
		}
	}
	return btf.Member{}, false
}
