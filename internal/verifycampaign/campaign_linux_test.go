package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/internal/verdict"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/live"
)

// root is the module, which objects in testdata/cases.jsonl are named from.
const root = "../.."

func newCampaign(t *testing.T) *campaign {
	t.Helper()
	testkernel.Require(t)
	host, err := live.NewHost(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return &campaign{
		rounds: 1, edits: 2, longest: 1000, ns: host.Namespace(""), log: io.Discard,
		counts: make(map[verdict.Agreement]int),
	}
}

// TestMutants compares a few mutants of this project's own programs.
func TestMutants(t *testing.T) {
	c := newCampaign(t)
	c.rounds, c.seed, c.shrink = 2, 1, true
	if testing.Short() {
		c.rounds = 1
	}
	c.found = func(v any) error {
		data, err := json.Marshal(v)
		t.Errorf("%s", data)
		return err
	}
	for _, pattern := range []string{"contract/testdata/*.o", "examples/*/*.o", "verifier/testdata/*.o"} {
		objects, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(objects) == 0 {
			t.Fatalf("%s: no objects: %v", pattern, err)
		}
		for _, o := range objects {
			if err := c.object(o); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d mutants, %d accepted by the kernel", c.counts[verdict.Agree], c.accepted)
	if c.accepted == 0 || c.counts[verdict.Agree] < 100 {
		t.Error("too few mutants were compared")
	}
}

// TestCases replays what differed once.
func TestCases(t *testing.T) {
	c := newCampaign(t)
	f, err := os.Open("testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var m mutant
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		spec, err := link.LoadFile(filepath.Join(root, m.Object))
		if err != nil {
			t.Fatal(err)
		}
		own, said, err := c.ask(spec, []mutant{m})
		if err != nil {
			t.Fatal(err)
		}
		if a := verdict.Compare(own[0], said[0]); a != verdict.Agree {
			t.Errorf("%s %s %v: %s\nkernel: %+v\nbpfct:  %+v", m.Object, m.Program, m.Edits, a, said[0], own[0])
		}
	}
}
