// Package profiles says of every kernel profile what it offers and how much of it
// bpfct runs: what `bpfct profiles` prints. Start at All and Functions.
package profiles

import (
	"cmp"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/kernel"
)

// Summary describes a profile.
type Summary struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Version string `json:"version"`
	HZ      int    `json:"hz"`
	// Helpers and Kfuncs are how many of them the kernel has, Runs how many of both
	// bpfct runs.
	Helpers int `json:"helpers"`
	Kfuncs  int `json:"kfuncs"`
	Runs    int `json:"runs"`
}

// Function is a helper or kfunc of a profile.
type Function struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	TC    bool   `json:"tc"`  // tc programs may call it
	XDP   bool   `json:"xdp"` // xdp programs may call it
	Runs  bool   `json:"runs"`
	Flags string `json:"flags,omitempty"`
}

// All describes every profile of this build.
func All() ([]Summary, error) {
	var out []Summary
	for _, p := range kernel.Profiles() {
		functions, err := functionsOf(p)
		if err != nil {
			return nil, err
		}
		s := Summary{Name: p.Name, Title: p.Title, Version: p.Version, HZ: p.HZ}
		for _, f := range functions {
			if f.Kind == kernel.Helper.String() {
				s.Helpers++
			} else {
				s.Kfuncs++
			}
			if f.Runs {
				s.Runs++
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// Functions lists the helpers and kfuncs of the profile of that name, "" for the
// newest measured one: helpers by number, then kfuncs by name.
func Functions(name string) ([]Function, error) {
	p := kernel.Default()
	if name != "" {
		var err error
		if p, err = kernel.Lookup(name); err != nil {
			return nil, err
		}
	}
	return functionsOf(p)
}

func functionsOf(p *kernel.Profile) ([]Function, error) {
	runs, err := bpfct.Functions(p)
	if err != nil {
		return nil, err
	}
	protos, err := p.Prototypes()
	if err != nil {
		return nil, err
	}
	protos = slices.SortedStableFunc(slices.Values(protos), func(a, b *kernel.Prototype) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name))
	})
	var out []Function
	for _, f := range protos {
		_, found := slices.BinarySearch(runs, f.Name)
		out = append(out, Function{
			Name: f.Name, Kind: f.Kind.String(), TC: f.Allowed(ebpf.SchedCLS), XDP: f.Allowed(ebpf.XDP),
			Runs: found, Flags: f.Flags.String(),
		})
	}
	return out, nil
}
