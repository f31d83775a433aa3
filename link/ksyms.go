package link

import (
	"bytes"
	"debug/elf"
	"encoding/binary"

	"github.com/cilium/ebpf"
)

// cilium/ebpf reads kernel variables only when they are declared `extern void`,
// not `extern const void` as libbpf's documentation has it, and not with a
// type. looseKsyms rewrites the declarations in the file's bytes before they
// are read, and markTyped notes on the instructions what was declared.

type typedKsymKey struct{}

// Kinds of BTF types, and the number of bytes that follow the 12 of a type's
// record: fixed, and for each of its vlen elements.
var btfKindSize = [...]struct{ fixed, each int }{
	1: {4, 0}, 2: {}, 3: {12, 0}, 4: {0, 12}, 5: {0, 12}, 6: {0, 8}, 7: {}, 8: {},
	9: {}, 10: {}, 11: {}, 12: {}, 13: {0, 8}, 14: {4, 0}, 15: {0, 12}, 16: {},
	17: {4, 0}, 18: {}, 19: {0, 12},
}

const (
	btfVolatile = 9
	btfConst    = 10
	btfRestrict = 11
	btfVar      = 14
	btfDatasec  = 15
)

// btfRecord is one type in raw BTF.
type btfRecord struct {
	data []byte // from the record to the end of its section
	kind int
	vlen int
}

// btfRecords finds the types of raw BTF by ID, nil if it is malformed: the real
// reader then says what is wrong.
func btfRecords(raw []byte) (types []btfRecord, strings []byte) {
	if len(raw) < 24 {
		return nil, nil
	}
	le := binary.LittleEndian
	hdr := uint64(le.Uint32(raw[4:]))
	typeOff, typeLen := hdr+uint64(le.Uint32(raw[8:])), uint64(le.Uint32(raw[12:]))
	strOff, strLen := hdr+uint64(le.Uint32(raw[16:])), uint64(le.Uint32(raw[20:]))
	n := uint64(len(raw))
	if typeOff > n || typeLen > n-typeOff || strOff > n || strLen > n-strOff {
		return nil, nil
	}
	types = append(types, btfRecord{}) // ID 0 is void
	for data := raw[typeOff : typeOff+typeLen]; len(data) > 0; {
		if len(data) < 12 {
			return nil, nil
		}
		info := le.Uint32(data[4:])
		r := btfRecord{data: data, kind: int(info >> 24 & 0x1f), vlen: int(info & 0xffff)}
		if r.kind == 0 || r.kind >= len(btfKindSize) {
			return nil, nil
		}
		size := 12 + btfKindSize[r.kind].fixed + btfKindSize[r.kind].each*r.vlen
		if size > len(data) {
			return nil, nil
		}
		types = append(types, r)
		data = data[size:]
	}
	return types, raw[strOff : strOff+strLen]
}

func (r btfRecord) name(strings []byte) string {
	off := binary.LittleEndian.Uint32(r.data)
	if uint64(off) >= uint64(len(strings)) {
		return ""
	}
	s, _, _ := bytes.Cut(strings[off:], []byte{0})
	return string(s)
}

func (r btfRecord) ref() uint32 { return binary.LittleEndian.Uint32(r.data[8:]) }

// looseKsyms makes every variable of .ksyms one of type void, and returns the
// names of those that had another.
func looseKsyms(f *elf.File, raw []byte) map[string]bool {
	sec := f.Section(".BTF")
	if sec == nil || sec.Type == elf.SHT_NOBITS || sec.Offset+sec.FileSize > uint64(len(raw)) {
		return nil
	}
	types, strings := btfRecords(raw[sec.Offset : sec.Offset+sec.FileSize])
	typed := make(map[string]bool)
	for _, ds := range types {
		if ds.kind != btfDatasec || ds.name(strings) != ".ksyms" {
			continue
		}
		for i := range ds.vlen {
			id := binary.LittleEndian.Uint32(ds.data[12+12*i:])
			if uint64(id) >= uint64(len(types)) || types[id].kind != btfVar {
				continue
			}
			v := types[id]
			target := v.ref()
			for hops := 0; hops < 8 && uint64(target) < uint64(len(types)); hops++ {
				if k := types[target].kind; k != btfConst && k != btfVolatile && k != btfRestrict {
					break
				}
				target = types[target].ref()
			}
			if target != 0 {
				typed[v.name(strings)] = true
			}
			binary.LittleEndian.PutUint32(v.data[8:], 0)
		}
	}
	return typed
}

func markTyped(spec *ebpf.CollectionSpec, typed map[string]bool) {
	if len(typed) == 0 {
		return
	}
	for _, p := range spec.Programs {
		for i := range p.Instructions {
			if ins := &p.Instructions[i]; readSymbolMeta(ins).ksym && typed[ins.Reference()] {
				ins.Metadata.Set(typedKsymKey{}, true)
			}
		}
	}
}
