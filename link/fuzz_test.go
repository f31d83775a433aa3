package link

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/kernel"
)

func objects(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.bpf.o")
	if err != nil || len(files) < 5 {
		tb.Fatalf("objects are %v, %v", files, err)
	}
	out := make(map[string][]byte)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		out[f] = raw
	}
	return out
}

// check reads and links, and holds the invariants: an error means no result,
// and no error means one that is whole.
func check(tb fataler, prof *kernel.Profile, raw []byte) {
	before := bytes.Clone(raw)
	spec, err := LoadSpec(bytes.NewReader(raw))
	if !bytes.Equal(before, raw) {
		tb.Fatalf("LoadSpec changed the caller's bytes")
	}
	if err != nil {
		if spec != nil {
			tb.Fatalf("LoadSpec gives a collection with the error %v", err)
		}
		if err.Error() == "" {
			tb.Fatalf("LoadSpec gives an error without words")
		}
		return
	}
	for name := range spec.Programs {
		obj, err := Link(spec, prof, Options{Programs: []string{name}})
		if err != nil {
			var place *Error
			if obj != nil || !errors.As(err, &place) {
				tb.Fatalf("Link gives %v and %T", obj, err)
			}
			continue
		}
		whole(tb, obj.Programs[name], obj)
	}
}

type fataler interface{ Fatalf(string, ...any) }

func whole(tb fataler, p *Program, obj *Object) {
	if len(p.Insns) == 0 || len(p.Subprogs) == 0 || p.Subprogs[0].Start != 0 || p.Subprogs[len(p.Subprogs)-1].End != len(p.Insns) {
		tb.Fatalf("program %s has %d instructions and functions %v", p.Name, len(p.Insns), p.Subprogs)
	}
	for i, ins := range p.Insns {
		if at, ok := p.Index(ins.Slot); !ok || at != i {
			tb.Fatalf("slot %d is instruction %d, want %d", ins.Slot, at, i)
		}
		if ins.Target >= len(p.Insns) {
			tb.Fatalf("instruction %d aims at %d", i, ins.Target)
		}
		if ins.Poison == "" && (ins.IsBuiltinCall() || ins.IsKfuncCall()) && (ins.Call == nil || ins.Call.Proto == nil) {
			tb.Fatalf("instruction %d calls nothing: %v", i, ins.Instruction)
		}
		if ins.Ref != nil && obj.Maps[ins.Ref.Name] == nil {
			tb.Fatalf("instruction %d refers to map %s", i, ins.Ref.Name)
		}
	}
}

func FuzzLoadAndLink(f *testing.F) {
	for _, raw := range objects(f) {
		f.Add(raw)
	}
	f.Add([]byte(elf.ELFMAG))
	prof := kernel.Default()
	f.Fuzz(func(t *testing.T, raw []byte) { check(t, prof, raw) })
}

// Every prefix of an object is an error with words.
func TestTruncatedObjects(t *testing.T) {
	for name, raw := range objects(t) {
		for n := 0; n < len(raw); n += 1 + len(raw)/200 {
			spec, err := LoadSpec(bytes.NewReader(raw[:n]))
			if err == nil || spec != nil {
				t.Errorf("%s: the first %d of %d bytes load", name, n, len(raw))
			}
		}
	}
}

// Changes at random places, and lies in the headers of sections.
func TestMutatedObjects(t *testing.T) {
	all := objects(t)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	prof := kernel.Default()
	rapid.Check(t, func(t *rapid.T) {
		raw := bytes.Clone(all[rapid.SampledFrom(names).Draw(t, "object")])
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			at := rapid.IntRange(0, len(raw)-8).Draw(t, "at")
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0:
				raw[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			case 1:
				raw[at] = rapid.Byte().Draw(t, "byte")
			case 2:
				binary.LittleEndian.PutUint32(raw[at&^3:], rapid.SampledFrom([]uint32{0, 1, 0x7fffffff, 0x80000000, 0xffffffff}).Draw(t, "word"))
			case 3: // a field of a section header
				table := binary.LittleEndian.Uint64(raw[40:])
				n := uint64(binary.LittleEndian.Uint16(raw[60:]))
				if n == 0 || table > uint64(len(raw)) {
					continue
				}
				field := table + uint64(rapid.IntRange(0, int(n)-1).Draw(t, "section"))*64 + uint64(rapid.IntRange(0, 7).Draw(t, "field"))*8
				if field+8 <= uint64(len(raw)) && field >= table {
					binary.LittleEndian.PutUint64(raw[field:], rapid.SampledFrom([]uint64{0, 1, 1 << 20, 1 << 31, 1 << 32, 1 << 62, 1<<64 - 1}).Draw(t, "value"))
				}
			}
		}
		check(t, prof, raw)
	})
}

func TestNotObjects(t *testing.T) {
	for text, want := range map[string]string{
		"":                "empty",
		"hello":           "no ELF header",
		"\x7fELF":         "truncated or malformed",
		"#!/bin/sh\n":     "no ELF header",
		"\x7fELF\x02\x01": "truncated or malformed",
	} {
		if _, err := LoadSpec(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := LoadFile("testdata"); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := LoadFile("testdata/absent.o"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	if _, err := LoadFile(exe); err == nil || !strings.Contains(err.Error(), "not a BPF object") {
		t.Errorf("this test as an object: %v", err)
	}
}

// A .bss that claims to be huge asks for no memory.
func TestHugeSection(t *testing.T) {
	raw := bytes.Clone(objects(t)["testdata/ct.bpf.o"])
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	table := binary.LittleEndian.Uint64(raw[40:])
	for i, s := range f.Sections {
		if s.Name == ".bss" {
			binary.LittleEndian.PutUint64(raw[table+uint64(i)*64+32:], 1<<31)
		}
	}
	if _, err := LoadSpec(bytes.NewReader(raw)); err == nil || !strings.Contains(err.Error(), "section .bss claims") {
		t.Errorf("%v", err)
	}
}
