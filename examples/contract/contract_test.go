package contract

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/trial"
)

// want is what the variables are after each of the two programs of an object, tc
// then XDP; one value is of both.
var want = map[string]map[string][]string{
	"alloc":          {"error": {"0"}, "timeout": {"2500"}, "status": {"0"}},
	"lookup":         {"missing": {"-2"}, "dir": {"1"}},
	"insert":         {"use": {"2"}, "status": {"8"}, "twice": {"false"}},
	"release":        {"held_once": {"2"}, "held_twice": {"3"}, "held_again": {"2"}},
	"set_timeout":    {"before": {"2500"}, "after": {"15001"}},
	"change_timeout": {"changed": {"0"}, "fixed": {"-1"}},
	"set_status":     {"set": {"0"}, "confirmed": {"-16"}, "status": {"6"}},
	"change_status":  {"changed": {"0"}, "cleared": {"-16"}, "status": {"14"}},
	"set_nat_info": {"source": {"0"}, "destination": {"0"}, "status": {"440"}, "reply": {
		`{"src":3325256713,"dst":3221225985,"sport":8080,"dport":1000}`,
		`{"src":3325256713,"dst":3221225985,"sport":8080,"dport":2000}`,
	}},
}

func plan(t *testing.T, file string) *trial.Plan {
	t.Helper()
	spec, err := bpfct.LoadCollectionSpec(file)
	if err != nil {
		t.Fatal(err)
	}
	return &trial.Plan{Spec: spec}
}

func check(t *testing.T, r *trial.Report, variables map[string][]string) {
	t.Helper()
	if len(r.Programs) != 2 {
		t.Fatalf("%d programs", len(r.Programs))
	}
	for i, p := range r.Programs {
		if run := p.Runs[0]; run.Err != nil || trial.Dropped(p.Type, run.Retval) {
			t.Errorf("%s: %s, %v", p.Program, trial.Verdict(p.Type, run.Retval), run.Err)
		}
		if len(p.Variables) != len(variables) {
			t.Errorf("%s has %d variables, %d are tested", p.Program, len(p.Variables), len(variables))
		}
		for name, values := range variables {
			v, ok := p.Variables.Get(name)
			if !ok {
				t.Errorf("%s: no variable %s", p.Program, name)
				continue
			}
			if got, want := trial.Text(v.Value()), values[min(i, len(values)-1)]; got != want {
				t.Errorf("%s: %s = %s, want %s", p.Program, name, got, want)
			}
		}
	}
	if len(r.Entries) != 2 {
		t.Errorf("entries: %v", r.Entries)
	}
}

// TestExamples runs every object here on bpfct and on the kernel.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("*.o")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(want) {
		t.Errorf("%d objects, %d are tested", len(files), len(want))
	}
	for name, variables := range want {
		if !slices.Contains(files, name+".o") {
			t.Errorf("there is no %s.o", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			p := plan(t, name+".o")
			host, err := p.NewHost(bpfct.HostOptions{})
			if err != nil {
				t.Fatal(err)
			}
			ours, err := p.Run(host)
			if err != nil {
				t.Fatal(err)
			}
			check(t, ours, variables)
			t.Run("kernel", func(t *testing.T) {
				testkernel.Require(t)
				kernel, err := plan(t, name+".o").RunKernel()
				if err != nil {
					t.Fatal(err)
				}
				check(t, kernel, variables)
				for _, d := range trial.Compare(ours, kernel, trial.CompareOptions{}) {
					t.Error(d)
				}
			})
		})
	}
}
