package link

import (
	"debug/elf"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// cilium/ebpf refuses a weak variable of .kconfig, which libbpf sets to 0 where
// the kernel does not have the option. strengthen makes such symbols global in
// the file's bytes before they are read, and markWeak notes them on the
// instructions.

type weakKconfigKey struct{}

// strengthen returns the names of the symbols that it made global.
func strengthen(f *elf.File, raw []byte) []string {
	tab := f.SectionByType(elf.SHT_SYMTAB)
	if tab == nil || f.Section(".BTF") == nil {
		return nil
	}
	symbols, err := f.Symbols()
	if err != nil {
		return nil
	}
	var names map[string]bool
	var out []string
	for i, s := range symbols {
		if s.Section != elf.SHN_UNDEF || elf.ST_BIND(s.Info) != elf.STB_WEAK {
			continue
		}
		if names == nil {
			if names = kconfigNames(f); names == nil {
				return nil
			}
		}
		if !names[s.Name] {
			continue
		}
		// The reader leaves out the first, empty symbol; st_info is byte 4.
		at := tab.Offset + uint64(i+1)*elf.Sym64Size + 4
		if at >= uint64(len(raw)) {
			return out
		}
		raw[at] = elf.ST_INFO(elf.STB_GLOBAL, elf.ST_TYPE(s.Info))
		out = append(out, s.Name)
	}
	return out
}

// kconfigNames is never nil when the object has a .kconfig section.
func kconfigNames(f *elf.File) map[string]bool {
	sec := f.Section(".BTF")
	spec, err := btf.LoadSpecFromReader(sec.ReaderAt)
	if err != nil {
		return nil
	}
	var ds *btf.Datasec
	if err := spec.TypeByName(kconfigMap, &ds); err != nil {
		return nil
	}
	names := make(map[string]bool)
	for _, v := range ds.Vars {
		names[v.Type.TypeName()] = true
	}
	return names
}

func markWeak(spec *ebpf.CollectionSpec, names []string) {
	if len(names) == 0 {
		return
	}
	set := make(map[string]bool)
	for _, n := range names {
		set[n] = true
	}
	for _, p := range spec.Programs {
		for i := range p.Instructions {
			if ins := &p.Instructions[i]; readSymbolMeta(ins).kconfig {
				ins.Metadata.Set(weakKconfigKey{}, &set)
			}
		}
	}
}
