package link

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cilium/ebpf"
)

// Limits of what LoadSpec reads. They are far above what clang makes and keep a
// hostile file from asking for all memory.
const (
	maxObject  = 256 << 20 // bytes of the file
	maxSection = 256 << 20 // bytes of a section that takes no room in the file, such as .bss
)

// LoadFile reads an object from a file.
func LoadFile(name string) (*ebpf.CollectionSpec, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return nil, fmt.Errorf("%s is a directory, not a BPF object", name)
	}
	spec, err := LoadSpec(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return spec, nil
}

// LoadSpec reads a BPF object. A file that is not one, is cut short or lies
// about itself is an error.
func LoadSpec(rd io.ReaderAt) (spec *ebpf.CollectionSpec, err error) {
	// The bytes are a copy of our own: strengthen, looseKsyms and
	// renameBSS change them.
	raw, err := io.ReadAll(io.LimitReader(io.NewSectionReader(rd, 0, 1<<62), maxObject+1))
	if err != nil {
		return nil, fmt.Errorf("read BPF object: %w", err)
	}
	if len(raw) > maxObject {
		return nil, fmt.Errorf("BPF object has more than %d bytes", maxObject)
	}
	defer func() {
		if r := recover(); r != nil {
			spec, err = nil, fmt.Errorf("malformed BPF object: %v", r)
		}
	}()
	f, err := examine(raw)
	if err != nil {
		return nil, err
	}
	weak, typed, renamed := strengthen(f, raw), looseKsyms(f, raw), renameBSS(f, raw)
	spec, err = ebpf.LoadCollectionSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("malformed BPF object: %w", err)
	}
	if spec.ByteOrder == binary.BigEndian {
		return nil, ErrBigEndian
	}
	markWeak(spec, weak)
	markTyped(spec, typed)
	restoreBSS(spec, renamed)
	return spec, nil
}

// examine refuses what the ELF reader would trust: sections outside the file,
// and ones that claim more memory than any program has.
func examine(raw []byte) (*elf.File, error) {
	if len(raw) == 0 {
		return nil, errors.New("not a BPF object: the file is empty")
	}
	if !bytes.HasPrefix(raw, []byte(elf.ELFMAG)) {
		return nil, errors.New("not a BPF object: no ELF header")
	}
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("truncated or malformed BPF object: %w", err)
	}
	if f.Class != elf.ELFCLASS64 {
		return nil, fmt.Errorf("not a BPF object: %v", f.Class)
	}
	if f.Machine != elf.EM_BPF && f.Machine != elf.EM_NONE {
		return nil, fmt.Errorf("not a BPF object: compiled for %v", f.Machine)
	}
	if f.ByteOrder == binary.BigEndian {
		return nil, ErrBigEndian
	}
	var total uint64
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_COMPRESSED != 0 {
			return nil, fmt.Errorf("section %s is compressed", s.Name)
		}
		if s.Type == elf.SHT_NOBITS {
			if total += s.Size; s.Size > maxSection || total > maxSection {
				return nil, fmt.Errorf("section %s claims %d bytes, more than %d", s.Name, s.Size, maxSection)
			}
			continue
		}
		if s.Type == elf.SHT_NULL {
			continue
		}
		if end := s.Offset + s.FileSize; end < s.Offset || end > uint64(len(raw)) {
			return nil, fmt.Errorf("truncated BPF object: section %s ends at byte %d of %d", s.Name, end, len(raw))
		}
		if s.Type == elf.SHT_REL && (s.Entsize < 16 || s.Entsize > 1<<16) {
			return nil, fmt.Errorf("section %s has relocations of %d bytes", s.Name, s.Entsize)
		}
	}
	return f, nil
}
