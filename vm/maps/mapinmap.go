package maps

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/record"
)

// arrayOfMaps is BPF_MAP_TYPE_ARRAY_OF_MAPS. A hash of maps is a hash.
type arrayOfMaps struct {
	refArray[innerMap]
	like template
}

// innerMap is a map that another one holds.
type innerMap struct{ m Map }

// template is what the maps inside another must be like: what its spec's
// InnerMap says.
type template struct {
	info Info
	rec  *record.Record
}

// newTemplate checks spec's InnerMap as the kernel does.
func (b *base) newTemplate(spec *ebpf.MapSpec) (template, error) {
	in := spec.InnerMap
	if in == nil {
		return template{}, fmt.Errorf("map of maps without a spec of its inner maps: %w", errno.EBADF)
	}
	mk, ok := makerOf(in.Type)
	switch {
	case !ok:
		return template{}, unsupported(in.Type)
	case in.Type == ebpf.ArrayOfMaps || in.Type == ebpf.HashOfMaps:
		return template{}, bad("inner map is a map of maps")
	case in.Type == ebpf.ProgramArray:
		return template{}, fmt.Errorf("inner map is a program array: %w", errno.ENOTSUPP)
	}
	s, err := complete(in, b.m.CPUs)
	if err != nil {
		return template{}, fmt.Errorf("inner map: %w", err)
	}
	if err := checkCommon(s); err != nil {
		return template{}, fmt.Errorf("inner map: %w", err)
	}
	if err := mk.check(b.m.Profile, s); err != nil {
		return template{}, fmt.Errorf("inner map %v: %w", s, err)
	}
	rec, err := checkBTF(s, b.opts.Types, mk)
	if err != nil {
		rec = nil
	}
	return template{rec: rec, info: Info{Type: s.Type, KeySize: s.KeySize, ValueSize: s.ValueSize,
		MaxEntries: s.MaxEntries, Flags: s.Flags | impliedFlags(s.Type)}}, nil
}

// impliedFlags are those that the kernel adds to a map of the given type.
func impliedFlags(t ebpf.MapType) uint32 {
	if t == ebpf.DevMap || t == ebpf.DevMapHash {
		return ReadOnlyProg
	}
	return 0
}

// accepts reports whether m may stand where the template does. Only arrays and
// XSK maps must agree in their number of entries, and arrays not with
// BPF_F_INNER_MAP: a program's access to them depends on it.
func (t template) accepts(m Map) bool {
	i := m.Info()
	if i.Type != t.info.Type || i.KeySize != t.info.KeySize || i.ValueSize != t.info.ValueSize || i.Flags != t.info.Flags {
		return false
	}
	switch i.Type {
	case ebpf.Array:
		if t.info.Flags&InnerMap == 0 && i.MaxEntries != t.info.MaxEntries {
			return false
		}
	case ebpf.XSKMap:
		if i.MaxEntries != t.info.MaxEntries {
			return false
		}
	}
	return sameRecord(t.rec, m.Record())
}

func sameRecord(a, b *record.Record) bool {
	if a == nil || b == nil {
		return a == b
	}
	if len(a.Fields) != len(b.Fields) {
		return false
	}
	for i, f := range a.Fields {
		g := b.Fields[i]
		if f.Kind != g.Kind || f.Offset != g.Offset || f.Size != g.Size || f.Node != g.Node {
			return false
		}
	}
	return true
}

// innerRef is the map that UpdateRef was given, checked against the template.
func innerRef(ref any, like template) (Map, error) {
	m, ok := ref.(Map)
	if !ok || m == nil {
		return nil, errno.EBADF
	}
	if !like.accepts(m) {
		return nil, errno.EINVAL
	}
	return m, nil
}

func checkHashOfMaps(p *kernel.Profile, s *ebpf.MapSpec) error {
	if s.Flags&(ReadOnlyProg|WriteOnlyProg) != 0 {
		return bad("BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG are not for this type")
	}
	return checkHash(p, s)
}

func newArrayOfMaps(b *base, s *ebpf.MapSpec) (Map, error) {
	like, err := b.newTemplate(s)
	if err != nil {
		return nil, err
	}
	slots, err := newRefArray[innerMap](b)
	if err != nil {
		return nil, err
	}
	a := &arrayOfMaps{refArray: slots, like: like}
	if err := b.init(a); err != nil {
		return nil, err
	}
	b.setArrayHandle()
	return a, nil
}

func (a *arrayOfMaps) lookup(_ from, key []byte) (uint64, error) {
	i, _ := a.index(key)
	if in := a.get(i); in != nil {
		return in.m.Handle().Addr(), nil
	}
	return 0, nil
}

func (a *arrayOfMaps) userLookup(key []byte, _ uint64) ([]byte, error) {
	i, _ := a.index(key)
	if in := a.get(i); in != nil {
		return uint32Bytes(in.m.Info().ID), nil
	}
	return nil, errno.ENOENT
}

func (a *arrayOfMaps) userUpdateRef(key []byte, ref any, flags uint64) error {
	i, ok := a.index(key)
	if flags != Any {
		return errno.EINVAL
	}
	if !ok {
		return errno.E2BIG
	}
	m, err := innerRef(ref, a.like)
	if err != nil {
		return err
	}
	m.Retain()
	a.swap(i, &innerMap{m})
	return nil
}

func (a *arrayOfMaps) userRemove(key []byte) error {
	i, ok := a.index(key)
	if !ok {
		return errno.E2BIG
	}
	if !a.swap(i, nil) {
		return errno.ENOENT
	}
	return nil
}

// swap puts in into a slot and reports whether there was one before.
func (a *arrayOfMaps) swap(i uint32, in *innerMap) bool {
	old := a.slots[i].Swap(in)
	if old != nil {
		old.m.Release()
	}
	return old != nil
}

func (a *arrayOfMaps) free() {
	for i := range a.slots {
		a.swap(uint32(i), nil)
	}
}

// The user's side of a hash of maps.

func (h *hash) userUpdateRef(key []byte, ref any, flags uint64) error {
	if !h.ofMaps {
		return h.base.userUpdateRef(key, ref, flags)
	}
	m, err := innerRef(ref, h.like)
	if err != nil {
		return err
	}
	if flags > Exist {
		return errno.EINVAL
	}
	sum := jhash(key, h.seed)
	h.mu.Lock()
	defer h.mu.Unlock()
	old, exists := h.find(sum, key)
	if err := checkExist(exists, flags); err != nil {
		return err
	}
	e, err := h.newElem(user, exists, old)
	if err != nil {
		return err
	}
	store(h.slab.key(e), key)
	m.Retain()
	h.inner[e] = m
	h.replace(user, e, sum, exists, old)
	return nil
}

// dropInner gives up the map that e holds, where there is one.
func (h *hash) dropInner(e uint32) {
	if h.ofMaps && h.inner[e] != nil {
		h.inner[e].Release()
		h.inner[e] = nil
	}
}
