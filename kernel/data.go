package kernel

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

//go:embed profiles
var data embed.FS

// header is the content of a profile.json.
type header struct {
	Name        string            `json:"name"`
	Title       string            `json:"title"`
	Version     string            `json:"version"`
	HZ          int               `json:"hz"`
	Base        string            `json:"base"`
	Limits      *Limits           `json:"limits"`
	Measured    ProgramSet        `json:"measured"`
	Conntrack   *Conntrack        `json:"conntrack"`
	Destructors map[string]string `json:"destructors"`
	// Structs are laid out otherwise than in the BTF of the base.
	Structs []structPatch `json:"structs"`
}

func readJSON(fsys fs.FS, name string, into any) error {
	raw, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func readProfile(fsys fs.FS, dir string) (*Profile, error) {
	var h header
	if err := readJSON(fsys, dir+"/profile.json", &h); err != nil {
		return nil, err
	}
	if h.Name == "" {
		return nil, errors.New("has no name")
	}
	p := &Profile{
		Name: h.Name, Title: h.Title, Version: h.Version, HZ: h.HZ,
		Measured: h.Measured, Destructors: h.Destructors, dir: dir, patch: h.Structs,
	}
	if h.Base != "" {
		p.base = &Profile{Name: h.Base} // replaced by finish
	}
	if h.Limits != nil {
		p.Limits = *h.Limits
	}
	if h.Conntrack != nil {
		p.Conntrack = *h.Conntrack
	}
	return p, nil
}

// finish binds p to its base and prepares what is read later.
func (p *Profile) finish(fsys fs.FS, byName map[string]*Profile) error {
	if p.base != nil {
		base, ok := byName[p.base.Name]
		if !ok {
			return fmt.Errorf("stands on unknown profile %q", p.base.Name)
		}
		if base.base != nil {
			return fmt.Errorf("stands on %q, which itself stands on another", base.Name)
		}
		p.base = base
		if p.Version == "" {
			p.Version = base.Version
		}
		if p.HZ == 0 {
			p.HZ = base.HZ
		}
		if p.Limits == (Limits{}) {
			p.Limits = base.Limits
		}
		if p.Measured == 0 {
			p.Measured = base.Measured
		}
		d := maps.Clone(base.Destructors)
		if d == nil {
			d = make(map[string]string)
		}
		maps.Copy(d, p.Destructors)
		p.Destructors = d
	}
	code, err := versionCode(p.Version)
	if err != nil {
		return err
	}
	p.VersionCode = code

	p.raw = sync.OnceValues(func() ([][]byte, error) { return p.readBTF(fsys) })
	p.specs = sync.OnceValues(p.loadSpecs)
	p.table = sync.OnceValues(func() (*table, error) { return p.readTable(fsys) })
	p.constants = sync.OnceValues(func() (map[string]int64, error) { return p.readConstants(fsys) })
	p.config = sync.OnceValues(func() (map[string]string, error) { return p.readConfig(fsys) })
	return nil
}

func versionCode(version string) (uint32, error) {
	var major, minor, patch uint32
	n, _ := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch)
	if n < 2 || major > 255 || minor > 255 {
		return 0, fmt.Errorf("malformed version %q", version)
	}
	return major<<16 | minor<<8 | min(patch, 255), nil
}

// readBTF unpacks the BTF of the kernel and of its modules, the kernel's first.
func (p *Profile) readBTF(fsys fs.FS) ([][]byte, error) {
	if p.base != nil {
		return p.base.raw()
	}
	files, err := fs.Glob(fsys, p.dir+"/*btf.zst")
	if err != nil {
		return nil, err
	}
	// "btf.zst" is the kernel's, "nf_conntrack.btf.zst" a module's.
	slices.SortFunc(files, func(a, b string) int {
		if k := strings.Compare(rank(p.dir, a), rank(p.dir, b)); k != 0 {
			return k
		}
		return strings.Compare(a, b)
	})
	if len(files) == 0 || files[0] != p.dir+"/btf.zst" {
		return nil, fmt.Errorf("profile %s has no btf.zst", p.Name)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	var out [][]byte
	for _, f := range files {
		packed, err := fs.ReadFile(fsys, f)
		if err != nil {
			return nil, err
		}
		raw, err := dec.DecodeAll(packed, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		out = append(out, raw)
	}
	return out, nil
}

func rank(dir, file string) string {
	if file == dir+"/btf.zst" {
		return "0"
	}
	return "1"
}

// table is the prototypes of one profile, indexed.
type table struct {
	all    []*Prototype // helpers by ID, then kfuncs by name
	byID   map[int32]*Prototype
	helper map[string]*Prototype
	kfunc  map[string]*Prototype
}

func (p *Profile) readTable(fsys fs.FS) (*table, error) {
	if p.base != nil {
		t, err := p.base.table()
		if err != nil {
			return nil, err
		}
		return t.resize(p.patch), nil
	}
	var helpers, kfuncs []*Prototype
	if err := readJSON(fsys, p.dir+"/helpers.json", &helpers); err != nil {
		return nil, err
	}
	if err := readJSON(fsys, p.dir+"/kfuncs.json", &kfuncs); err != nil {
		return nil, err
	}
	t := &table{
		byID:   make(map[int32]*Prototype, len(helpers)),
		helper: make(map[string]*Prototype, len(helpers)),
		kfunc:  make(map[string]*Prototype, len(kfuncs)),
	}
	add := func(proto *Prototype, kind Kind, index map[string]*Prototype) error {
		proto.Kind = kind
		for _, v := range proto.Variants {
			v.Kind, v.Name, v.ID, v.Since, v.Callback = kind, proto.Name, proto.ID, proto.Since, proto.Callback
		}
		if index[proto.Name] != nil {
			return fmt.Errorf("profile %s: %s %s is there twice", p.Name, kind, proto.Name)
		}
		index[proto.Name] = proto
		t.all = append(t.all, proto)
		return nil
	}
	slices.SortFunc(helpers, func(a, b *Prototype) int { return int(a.ID) - int(b.ID) })
	slices.SortFunc(kfuncs, func(a, b *Prototype) int { return strings.Compare(a.Name, b.Name) })
	for _, h := range helpers {
		if err := add(h, Helper, t.helper); err != nil {
			return nil, err
		}
		t.byID[h.ID] = h
	}
	for _, k := range kfuncs {
		if err := add(k, Kfunc, t.kfunc); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// resize gives the arguments of structs that are laid out anew their new size.
// Prototypes that do not change are shared with t.
func (t *table) resize(patches []structPatch) *table {
	sizes := make(map[string]uint32)
	for _, s := range patches {
		sizes[s.Name] = s.Size
	}
	out := &table{byID: t.byID, helper: t.helper, kfunc: maps.Clone(t.kfunc)}
	for _, proto := range t.all {
		stale := func(a Arg) bool { return sizes[a.BTF] != 0 && a.Size != 0 }
		if proto.Kind == Kfunc && slices.ContainsFunc(proto.Args, stale) {
			changed := *proto
			changed.Args = slices.Clone(proto.Args)
			for i, a := range changed.Args {
				if stale(a) {
					changed.Args[i].Size = sizes[a.BTF]
				}
			}
			proto = &changed
			out.kfunc[proto.Name] = proto
		}
		out.all = append(out.all, proto)
	}
	return out
}

func (p *Profile) readConstants(fsys fs.FS) (map[string]int64, error) {
	if p.base != nil {
		return p.base.constants()
	}
	m := make(map[string]int64)
	if err := readJSON(fsys, p.dir+"/constants.json", &m); err != nil {
		return nil, err
	}
	return m, nil
}

// Prototypes lists every function of the profile: helpers by number, then
// kfuncs by name.
func (p *Profile) Prototypes() ([]*Prototype, error) {
	t, err := p.table()
	if err != nil {
		return nil, err
	}
	return slices.Clone(t.all), nil
}

// Helper finds a helper by its number in enum bpf_func_id.
func (p *Profile) Helper(id int32) (*Prototype, bool) {
	t, err := p.table()
	if err != nil {
		return nil, false
	}
	proto, ok := t.byID[id]
	return proto, ok
}

// HelperByName finds a helper by its full name: "bpf_map_lookup_elem".
func (p *Profile) HelperByName(name string) (*Prototype, bool) {
	t, err := p.table()
	if err != nil {
		return nil, false
	}
	proto, ok := t.helper[name]
	return proto, ok
}

// Kfunc finds a kfunc by name.
func (p *Profile) Kfunc(name string) (*Prototype, bool) {
	t, err := p.table()
	if err != nil {
		return nil, false
	}
	proto, ok := t.kfunc[name]
	return proto, ok
}

// Constant is the value of an enumerator of the kernel: "BPF_F_CURRENT_NETNS",
// "IPS_CONFIRMED". The profile has those that programs and their runtime use:
// not every one of the kernel's BTF.
func (p *Profile) Constant(name string) (int64, bool) {
	m, err := p.constants()
	if err != nil {
		return 0, false
	}
	v, ok := m[name]
	return v, ok
}

// Config is an option of the kernel's configuration as its .config has it:
// "y", "250", `"(none)"`. An option that is not set is not there.
func (p *Profile) Config(name string) (string, bool) {
	m, err := p.config()
	if err != nil {
		return "", false
	}
	v, ok := m[name]
	return v, ok
}

func (p *Profile) readConfig(fsys fs.FS) (map[string]string, error) {
	if p.base != nil {
		return p.base.config()
	}
	raw, err := fs.ReadFile(fsys, p.dir+"/config.txt")
	if err != nil {
		return nil, err
	}
	m := make(map[string]string)
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			m[name] = value
		}
	}
	return m, nil
}
