package profiles_test

import (
	"testing"

	"github.com/bpfct/bpfct/profiles"
)

// conntrack are the kfuncs that everything here is about: every profile runs them.
var conntrack = []string{
	"bpf_skb_ct_alloc", "bpf_xdp_ct_alloc", "bpf_skb_ct_lookup", "bpf_xdp_ct_lookup", "bpf_ct_insert_entry", "bpf_ct_release",
	"bpf_ct_set_timeout", "bpf_ct_change_timeout", "bpf_ct_set_status", "bpf_ct_change_status", "bpf_ct_set_nat_info",
}

func TestEveryProfileRunsConntrack(t *testing.T) {
	all, err := profiles.All()
	if err != nil || len(all) < 2 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, p := range all {
		functions, err := profiles.Functions(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		runs, helpers, kfuncs := 0, 0, 0
		byName := map[string]profiles.Function{}
		for i, f := range functions {
			byName[f.Name] = f
			if f.Runs {
				runs++
			}
			if f.Kind == "helper" {
				helpers++
			} else {
				kfuncs++
			}
			if i > 0 && functions[i-1].Kind == f.Kind && functions[i-1].Kind != "helper" && functions[i-1].Name > f.Name {
				t.Errorf("%s: %s stands before %s", p.Name, functions[i-1].Name, f.Name)
			}
		}
		if runs != p.Runs || helpers != p.Helpers || kfuncs != p.Kfuncs {
			t.Errorf("%s: %d run, %d helpers, %d kfuncs; the summary says %+v", p.Name, runs, helpers, kfuncs, p)
		}
		for _, name := range conntrack {
			if f := byName[name]; !f.Runs || !f.TC {
				t.Errorf("%s: %s: %+v", p.Name, name, f)
			}
		}
	}
	if _, err := profiles.Functions("2.4"); err == nil {
		t.Error("a profile that nobody knows")
	}
}
