package contract

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/vm"
)

func (w *Word) object() string {
	if w.Object != "" {
		return "testdata/" + w.Object + ".o"
	}
	return "testdata/words.o"
}

// machine is what bpfct makes of the program where nothing verifies it first.
func (w *Word) machine(t *testing.T) string {
	t.Helper()
	spec, err := bpfct.LoadCollectionSpec(w.object())
	if err != nil {
		t.Fatal(err)
	}
	host, err := bpfct.NewHost(bpfct.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{Programs: []string{w.Program}, SkipVerifier: true})
	if err != nil {
		t.Log(err)
		return Refused
	}
	defer coll.Close()
	_, err = coll.Programs[w.Program].Run(nil)
	var fault *vm.Fault
	switch {
	case err == nil:
		return Runs
	case errors.As(err, &fault):
		t.Log(err)
		return fault.Kind.String()
	}
	t.Fatal(err)
	return ""
}

// verified wants bpfct's verifier to say what the kernel's does.
func (w *Word) verified(t *testing.T) {
	t.Helper()
	spec, err := bpfct.LoadCollectionSpec(w.object())
	if err != nil {
		t.Fatal(err)
	}
	host, err := bpfct.NewHost(bpfct.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{Programs: []string{w.Program}})
	if coll != nil {
		coll.Close()
	}
	if (err == nil) != (len(w.Kernel) == 0) {
		t.Fatalf("verified: %v", err)
	}
	if err == nil || w.Machine == Refused {
		return // not the verifier's to say
	}
	log := strings.Split(fmt.Sprintf("%+v", err), "\n")
	for _, want := range w.Kernel {
		if !slices.ContainsFunc(log, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), want) }) {
			t.Errorf("bpfct's verifier does not say %q but %q", want, log[max(0, len(log)-4):])
		}
	}
}

// TestFacts_Words holds each rule against the machine by itself, the verifier and the
// kernel.
func TestFacts_Words(t *testing.T) {
	for i := range Words {
		w := &Words[i]
		t.Run(w.Program, func(t *testing.T) {
			if got := w.machine(t); got != w.Machine {
				t.Errorf("bpfct: %s, want %s", got, w.Machine)
			}
			w.verified(t)
		})
	}
	t.Run("kernel", func(t *testing.T) {
		testkernel.Require(t)
		host, err := live.NewHost(live.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer host.Close()
		for i := range Words {
			w := &Words[i]
			t.Run(w.Program, func(t *testing.T) { w.kernel(t, host) })
		}
	})
}

// kernel wants the verifier to say what the table says.
func (w *Word) kernel(t *testing.T, host *live.Host) {
	spec, err := bpfct.LoadCollectionSpec(w.object())
	if err != nil {
		t.Fatal(err)
	}
	var log []string
	accepted := false
	coll, err := host.Netns.LoadCollection(spec, &live.CollectionOptions{KeepGoing: true, Programs: []string{w.Program}})
	if err != nil {
		log = []string{err.Error()} // refused with its types, before any program
	} else {
		v := coll.Verdicts[w.Program]
		log, accepted = v.Log, v.Accepted
		defer coll.Close()
	}
	if accepted != (len(w.Kernel) == 0) {
		t.Fatalf("accepted %v: %q", accepted, log)
	}
	for n, want := range w.Kernel {
		found := false
		for _, line := range log {
			found = found || strings.HasPrefix(line, want) || coll == nil && strings.Contains(line, want)
		}
		if !found {
			t.Errorf("the kernel does not say %q (line %d) but %q", want, n, log[max(0, len(log)-4):])
		}
	}
}
