package kernel

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"
)

// Profile is one kernel version. It is immutable and safe for concurrent use;
// its BTF and its tables are read when first needed.
type Profile struct {
	// Name is what [Lookup] takes.
	Name string
	// Title says in one line what the profile stands for.
	Title string
	// Version is the release that was measured: "6.18.44".
	Version string
	// VersionCode is LINUX_KERNEL_VERSION as the program sees it.
	VersionCode uint32
	// HZ is the number of jiffies in a second.
	HZ int
	// Limits are the sizes that the kernel does not let a program exceed.
	Limits Limits
	// Conntrack is what differs between versions in the conntrack kfuncs.
	Conntrack Conntrack
	// Measured are the program types that the kernel was asked about. Of others
	// (ext, and those that it was built without) [Prototype.Programs] says no.
	Measured ProgramSet
	// Destructors has, for each kernel type that a map may hold as a kptr, the
	// function that gives it up when the map goes.
	Destructors map[string]string

	dir   string
	base  *Profile
	patch []structPatch

	raw       func() ([][]byte, error)
	specs     func() ([]*btf.Spec, error)
	table     func() (*table, error)
	constants func() (map[string]int64, error)
	config    func() (map[string]string, error)
	fields    sync.Map // fieldKey to fieldResult
}

// Limits are sizes that the kernel does not let a program or a map exceed. A
// test asks the kernel for each.
type Limits struct {
	Instructions    int `json:"instructions"`      // of one program, as a privileged user
	Processed       int `json:"processed"`         // instructions that the verifier looks at
	Stack           int `json:"stack"`             // bytes of the frames of a call chain
	TailCallStack   int `json:"tail_call_stack"`   // bytes of stack above which a function may not call another that tail calls
	Frames          int `json:"frames"`            // of a call chain
	Subprograms     int `json:"subprograms"`       // of a program
	TailCalls       int `json:"tail_calls"`        // in a row
	Maps            int `json:"maps"`              // used by one program
	Kfuncs          int `json:"kfuncs"`            // different ones called by one program
	LoopIterations  int `json:"loop_iterations"`   // of bpf_loop
	MapFields       int `json:"map_fields"`        // special fields in a map's value
	HashElement     int `json:"hash_element"`      // bytes of a hash map's struct htab_elem, key and value: together less than this
	LPMKey          int `json:"lpm_key"`           // bytes of the data in the key of an LPM trie
	PerCPUValue     int `json:"percpu_value"`      // bytes of a per-CPU map's value
	TracePrintkArgs int `json:"trace_printk_args"` // values of bpf_trace_printk
	VPrintkData     int `json:"vprintk_data"`      // bytes of the values of bpf_trace_vprintk, bpf_snprintf, bpf_seq_printf
}

// Conntrack is what differs between versions in the conntrack kfuncs.
type Conntrack struct {
	// OptsSizes are the accepted values of opts__sz, and for each the bytes
	// that must be 0: from, to (excluded).
	OptsSizes []OptsSize `json:"opts_sizes"`
	// Zones reports whether opts has a zone.
	Zones bool `json:"zones"`
	// KptrXchg reports whether a reference may go into a map.
	KptrXchg bool `json:"kptr_xchg"`
}

// OptsSize is an accepted size of struct bpf_ct_opts.
type OptsSize struct {
	Size         uint32 `json:"size"`
	ReservedFrom uint32 `json:"reserved_from"`
	ReservedTo   uint32 `json:"reserved_to"`
}

var profiles = sync.OnceValues(func() ([]*Profile, error) { return readProfiles(data) })

// Profiles lists what this build knows, newest kernel first, "documented" last.
func Profiles() []*Profile {
	all, err := profiles()
	if err != nil {
		// The profiles are part of the binary: a test reads every one of them.
		return nil
	}
	return slices.Clone(all)
}

// Lookup finds a profile by name. The error lists the names there are.
func Lookup(name string) (*Profile, error) {
	all, err := profiles()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range all {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return nil, fmt.Errorf("unknown kernel profile %q: known are %s", name, strings.Join(names, ", "))
}

// Default is the newest measured kernel.
func Default() *Profile {
	if all := Profiles(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// String is the profile's name.
func (p *Profile) String() string { return p.Name }

// VersionString is what `uname -r` would say.
func (p *Profile) VersionString() string { return p.Version }

// readProfiles reads every directory of fsys that has a profile.json. Order:
// measured kernels from new to old, then those that stand on another.
func readProfiles(fsys fs.FS) ([]*Profile, error) {
	dirs, err := fs.Glob(fsys, "profiles/*/profile.json")
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*Profile)
	var all []*Profile
	for _, file := range dirs {
		p, err := readProfile(fsys, path.Dir(file))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		byName[p.Name] = p
		all = append(all, p)
	}
	for _, p := range all {
		if err := p.finish(fsys, byName); err != nil {
			return nil, fmt.Errorf("profile %s: %w", p.Name, err)
		}
	}
	slices.SortStableFunc(all, func(a, b *Profile) int {
		if (a.base == nil) != (b.base == nil) {
			if a.base == nil {
				return -1
			}
			return 1
		}
		return cmp.Or(-cmp.Compare(a.VersionCode, b.VersionCode), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}
