package link

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Programs put what shares a lock into sections of its own, ".bss.A". cilium/ebpf
// knows ".data*" and ".rodata*" but of .bss only the one. renameBSS gives such
// sections a name of the same length in the file's bytes before they are read,
// and restoreBSS gives them their own name back.

const (
	bssPrefix  = ".bss."
	dataPrefix = ".data"
)

// renameBSS returns the names it gave, and the ones they replace.
func renameBSS(f *elf.File, raw []byte) map[string]string {
	taken := make(map[string]bool)
	for _, s := range f.Sections {
		taken[s.Name] = true
	}
	renamed := make(map[string]string)
	for i, s := range f.Sections {
		suffix, ok := strings.CutPrefix(s.Name, bssPrefix)
		if !ok || s.Type != elf.SHT_NOBITS || taken[dataPrefix+suffix] {
			continue
		}
		name := sectionName(raw, i)
		if !bytes.HasPrefix(name, []byte(bssPrefix)) {
			continue
		}
		copy(name, dataPrefix)
		renamed[dataPrefix+suffix] = s.Name
	}
	if len(renamed) == 0 {
		return nil
	}
	if sec := f.Section(".BTF"); sec != nil && sec.Type != elf.SHT_NOBITS && sec.Offset+sec.FileSize <= uint64(len(raw)) {
		types, names := btfRecords(raw[sec.Offset : sec.Offset+sec.FileSize])
		for _, ds := range types {
			if ds.kind != btfDatasec {
				continue
			}
			if suffix, ok := strings.CutPrefix(ds.name(names), bssPrefix); ok && renamed[dataPrefix+suffix] != "" {
				copy(names[binary.LittleEndian.Uint32(ds.data):], dataPrefix)
			}
		}
	}
	return renamed
}

// sectionName is the name of section i where it stands in the file, nil if
// that is out of bounds.
func sectionName(raw []byte, i int) []byte {
	le := binary.LittleEndian
	if len(raw) < 64 {
		return nil
	}
	table, entry := le.Uint64(raw[40:]), uint64(le.Uint16(raw[58:]))
	strtab := uint64(le.Uint16(raw[62:]))
	header := func(n uint64) []byte {
		at := table + n*entry
		if table > uint64(len(raw)) || at < table || at+64 < at || at+64 > uint64(len(raw)) {
			return nil
		}
		return raw[at : at+64]
	}
	sec, str := header(uint64(i)), header(strtab)
	if sec == nil || str == nil {
		return nil
	}
	at := le.Uint64(str[24:]) + uint64(le.Uint32(sec))
	if at > uint64(len(raw)) {
		return nil
	}
	return raw[at:]
}

func restoreBSS(spec *ebpf.CollectionSpec, renamed map[string]string) {
	for now, name := range renamed {
		m := spec.Maps[now]
		if m == nil {
			continue
		}
		delete(spec.Maps, now)
		m.Name = name
		spec.Maps[name] = m
		if ds, ok := m.Value.(*btf.Datasec); ok {
			ds.Name = name
		}
	}
	if len(renamed) == 0 {
		return
	}
	for _, v := range spec.Variables {
		if name := renamed[v.SectionName]; name != "" {
			v.SectionName = name
		}
	}
	for _, p := range spec.Programs {
		for i, ins := range p.Instructions {
			if name := renamed[ins.Reference()]; name != "" && ins.IsLoadFromMap() {
				p.Instructions[i] = ins.WithReference(name)
			}
		}
	}
}
