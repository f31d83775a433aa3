package verifier

import (
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// walked is what an access to a struct reaches.
type walked struct {
	// typ is the struct behind a pointer that is loaded, nil for a number; flags are
	// those of the pointer, and untyped is set for a pointer to no struct.
	typ     btf.Type
	flags   state.Type
	untyped bool
	// member is the pointer's name.
	member string
	// inner is the struct within that begins at the offset, where walkStruct was to stop
	// there.
	inner btf.Type
}

// nameOf is a type's name as messages have it.
func nameOf(t btf.Type) string {
	if name := t.TypeName(); name != "" {
		return name
	}
	return "(anon)"
}

// skip is t without modifiers.
func skip(t btf.Type) btf.Type { return btf.UnderlyingType(t) }

func membersOf(t btf.Type) (members []btf.Member, size uint32, union, ok bool) {
	switch v := t.(type) {
	case *btf.Struct:
		return v.Members, v.Size, false, true
	case *btf.Union:
		return v.Members, v.Size, true, true
	}
	return nil, 0, false, false
}

// walkStruct finds what the size bytes at off of a struct are (btf_struct_walk). With
// stop it ends at a struct within that begins at off.
func (e *env) walkStruct(t btf.Type, off, size uint32, stop bool) (walked, error) {
	var w walked
	t = skip(t)
again:
	members, total, union, ok := membersOf(t)
	if !ok {
		return w, e.reject(errno.EINVAL, "Type '%s' is not a struct", nameOf(t))
	}
	name := nameOf(t)
	if union && len(members) != 1 {
		w.flags |= state.Untrusted // who knows which member is the one that is used
	}
	if uint64(off)+uint64(size) > uint64(total) {
		// An array without a length at the end goes on.
		elem, at, ok := flexible(members)
		if !ok || off < at {
			return w, e.reject(errno.EACCES, "access beyond struct %s at off %d size %d", name, off, size)
		}
		t = skip(elem)
		if _, isInt := t.(*btf.Int); isInt {
			return walked{}, nil
		}
		_, n, _, ok := membersOf(t)
		if !ok || n == 0 {
			return w, e.reject(errno.EACCES, "access beyond struct %s at off %d size %d", name, off, size)
		}
		off = (off - at) % n
		goto again
	}
	for i := range members {
		m := &members[i]
		at := uint32(m.Offset / 8)
		if off+size <= at {
			break
		}
		if m.BitfieldSize != 0 {
			end := (uint32(m.Offset) + uint32(m.BitfieldSize) + 7) / 8
			if off <= at && end <= off+size {
				return walked{}, nil
			}
			continue
		}
		if off < at {
			break
		}
		n, err := btf.Sizeof(m.Type)
		if err != nil {
			return w, e.reject(errno.EFAULT, "field %s doesn't have size", m.Name)
		}
		msize, end := uint32(n), at+uint32(n)
		if off >= end {
			continue
		}
		mt := skip(m.Type)
		for {
			a, isArray := mt.(*btf.Array)
			if !isArray {
				break
			}
			mt = skip(a.Type)
			en, err := btf.Sizeof(mt)
			if err != nil || en == 0 {
				break
			}
			msize = uint32(en)
			at += (off - at) / msize * msize
		}
		if mm, _, isUnion, isStruct := membersOf(mt); isStruct {
			if isUnion && len(mm) != 1 {
				w.flags |= state.Untrusted
			}
			if stop && off == at {
				w.inner = mt
				return w, nil
			}
			t, off = mt, off-at
			goto again
		}
		if p, isPtr := mt.(*btf.Pointer); isPtr {
			if msize != size || off != at {
				return w, e.reject(errno.EACCES, "cannot access ptr member %s with moff %d in struct %s with off %d size %d",
					m.Name, at, name, off, size)
			}
			w.pointer(p, m.Name)
			return w, nil
		}
		if off+size > end && !w.flags.Has(state.Untrusted) {
			return w, e.reject(errno.EACCES, "access beyond the end of member %s (mend:%d) in struct %s with off %d size %d",
				m.Name, end, name, off, size)
		}
		return walked{}, nil
	}
	return w, e.reject(errno.EINVAL, "struct %s doesn't have field at offset %d", name, off)
}

// pointer fills w for a pointer member.
func (w *walked) pointer(p *btf.Pointer, name string) {
	if tag, ok := p.Target.(*btf.TypeTag); ok {
		switch tag.Value {
		case "user":
			w.flags |= state.User
		case "percpu":
			w.flags |= state.Percpu
		case "rcu":
			w.flags |= state.RCU
		}
	}
	target := skip(p.Target)
	if _, _, _, isStruct := membersOf(target); isStruct {
		w.typ, w.member = target, name
		return
	}
	*w = walked{untyped: true}
}

// flexible is the element and offset of an array without a length at the end of a
// struct.
func flexible(members []btf.Member) (elem btf.Type, off uint32, ok bool) {
	if len(members) == 0 {
		return nil, 0, false
	}
	last := &members[len(members)-1]
	a, ok := skip(last.Type).(*btf.Array)
	if !ok || a.Nelems != 0 {
		return nil, 0, false
	}
	return a.Type, uint32(last.Offset / 8), true
}

// memberCovers reports whether some member of a struct covers the byte at off.
func memberCovers(t btf.Type, off uint32) bool {
	members, _, _, ok := membersOf(skip(t))
	if !ok {
		return false
	}
	for i := range members {
		m := &members[i]
		if m.BitfieldSize != 0 {
			if off >= uint32(m.Offset/8) && off < (uint32(m.Offset)+uint32(m.BitfieldSize)+7)/8 && m.Name != "" {
				return true
			}
			continue
		}
		n, err := btf.Sizeof(m.Type)
		if err == nil && off >= m.Offset.Bytes() && off < m.Offset.Bytes()+uint32(n) {
			return true
		}
	}
	return false
}
