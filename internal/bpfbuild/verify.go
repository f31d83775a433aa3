package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

const generatePrefix = "//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild "

// madeBy is a generate line that makes an object.
type madeBy struct {
	job    *job
	source string
	place  string // file:line of the generate line
}

// verifyTree compares every committed object below root with a fresh one,
// writes what differs to w, and returns how many differ.
func verifyTree(w io.Writer, t *tools, root string) (int, error) {
	lines, objects, err := scan(root)
	if err != nil {
		return 0, err
	}
	tmp, err := os.MkdirTemp("", "bpfbuild")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(tmp)

	bad := 0
	complain := func(object, format string, args ...any) {
		bad++
		fmt.Fprintf(w, "%s: %s\n", object, fmt.Sprintf(format, args...))
	}
	for _, object := range objects {
		if _, ok := lines[object]; !ok {
			complain(object, "no //go:generate line makes it")
		}
	}
	made := make([]string, 0, len(lines))
	for object := range lines {
		made = append(made, object)
	}
	sort.Strings(made)
	for i, object := range made {
		m := lines[object]
		old, err := os.ReadFile(object)
		if err != nil {
			complain(object, "%s says to make it, but: %v", m.place, err)
			continue
		}
		fresh := filepath.Join(tmp, fmt.Sprintf("%d.o", i))
		if err := t.compile(m.job, m.source, fresh); err != nil {
			complain(object, "%v", err)
			continue
		}
		now, err := os.ReadFile(fresh)
		if err != nil {
			return bad, err
		}
		if diff := compareObjects(old, now); diff != "" {
			complain(object, "%s", diff)
		}
	}
	fmt.Fprintf(w, "%d objects compared, %d bad\n", len(made), bad)
	return bad, nil
}

// scan finds the generate lines of bpfbuild and the committed objects.
func scan(root string) (map[string]madeBy, []string, error) {
	lines := make(map[string]madeBy)
	var objects []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "fuzz") {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".o":
			objects = append(objects, path)
		case ".go":
			return scanGo(path, lines)
		}
		return nil
	})
	return lines, objects, err
}

func scanGo(path string, lines map[string]madeBy) error {
	data, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(data, []byte(generatePrefix)) {
		return err
	}
	sc := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; sc.Scan(); n++ {
		rest, ok := strings.CutPrefix(sc.Text(), generatePrefix)
		if !ok {
			continue
		}
		place := fmt.Sprintf("%s:%d", path, n)
		j, err := parseJob(flag.NewFlagSet(place, flag.ContinueOnError), strings.Fields(rest))
		if err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
		for _, src := range j.sources {
			dir := filepath.Dir(path)
			lines[filepath.Join(dir, j.objectOf(src))] = madeBy{job: j, source: filepath.Join(dir, src), place: place}
		}
	}
	return sc.Err()
}

// compareObjects says how two objects differ in what they mean, "" for not at all.
func compareObjects(old, now []byte) string {
	if bytes.Equal(old, now) {
		return ""
	}
	a, errA := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(old))
	b, errB := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(now))
	if errA != nil || errB != nil {
		if fmt.Sprint(errA) == fmt.Sprint(errB) {
			return "bytes differ, and neither object can be read: " + errA.Error()
		}
		return fmt.Sprintf("committed: %v; fresh: %v", errA, errB)
	}
	return compareSpecs(a, b)
}

func compareSpecs(a, b *ebpf.CollectionSpec) string {
	if a.ByteOrder != b.ByteOrder {
		return "byte order differs"
	}
	if d := compareKeys("program", a.Programs, b.Programs); d != "" {
		return d
	}
	if d := compareKeys("map", a.Maps, b.Maps); d != "" {
		return d
	}
	if d := compareKeys("variable", a.Variables, b.Variables); d != "" {
		return d
	}
	for name, p := range a.Programs {
		if d := comparePrograms(p, b.Programs[name]); d != "" {
			return fmt.Sprintf("program %s: %s", name, d)
		}
	}
	for name, m := range a.Maps {
		if x, y := mapText(m), mapText(b.Maps[name]); x != y {
			return fmt.Sprintf("map %s: committed %s, fresh %s", name, x, y)
		}
	}
	return ""
}

func compareKeys[V any](what string, a, b map[string]V) string {
	for name := range a {
		if _, ok := b[name]; !ok {
			return fmt.Sprintf("%s %s is not in the fresh object", what, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			return fmt.Sprintf("%s %s is only in the fresh object", what, name)
		}
	}
	return ""
}

func comparePrograms(a, b *ebpf.ProgramSpec) string {
	if a.Type != b.Type || a.SectionName != b.SectionName || a.License != b.License || a.Flags != b.Flags {
		return "type, section, licence or flags differ"
	}
	if len(a.Instructions) != len(b.Instructions) {
		return fmt.Sprintf("%d instructions committed, %d fresh", len(a.Instructions), len(b.Instructions))
	}
	for i := range a.Instructions {
		if x, y := insText(&a.Instructions[i]), insText(&b.Instructions[i]); x != y {
			return fmt.Sprintf("instruction %d: committed %s, fresh %s", i, x, y)
		}
	}
	return ""
}

// insText is an instruction with its symbol and what it refers to.
func insText(ins *asm.Instruction) string {
	return fmt.Sprintf("%s %q->%q op=%#x dst=%d src=%d off=%d const=%d",
		ins.OpCode, ins.Symbol(), ins.Reference(), uint16(ins.OpCode), ins.Dst, ins.Src, ins.Offset, ins.Constant)
}

func mapText(m *ebpf.MapSpec) string {
	var contents strings.Builder
	for _, kv := range m.Contents {
		fmt.Fprintf(&contents, " %v=%x", kv.Key, kv.Value)
	}
	inner := ""
	if m.InnerMap != nil {
		inner = " of " + mapText(m.InnerMap)
	}
	return fmt.Sprintf("%s key=%d value=%d entries=%d flags=%#x pin=%v%s%s",
		m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags, m.Pinning, contents.String(), inner)
}
