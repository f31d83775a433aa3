package verifier_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/verifier"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/graph.c testdata/dynptr.c testdata/sections.c testdata/kptrs.c testdata/kfuncs.c

// Programs in C, most of them wrong, each in its own way: verdict, errno and the
// whole log are the kernel's.
func TestObjects(t *testing.T) {
	testkernel.Require(t)
	host, err := live.NewHost(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	pattern := "testdata/*.o"
	if other := os.Getenv("BPFCT_OBJECTS"); other != "" {
		pattern = other // for a campaign
	}
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no objects: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".o"), func(t *testing.T) { compareObject(t, host, file) })
	}
}

// localTypes are addresses, and the IDs of the types: a loader numbers those anew that it
// loads.
var localTypes = regexp.MustCompile(`(\(18\) r\d = )0x[0-9a-f]+ *(; R1=P?\d+)?`)

// comparable is a log without what the loader adds.
func comparable(log string) string {
	log = localTypes.ReplaceAllString(plain(log), "${1}ID ")
	var lines []string
	for line := range strings.Lines(log) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.Join(lines, "\n")
}

// compareObject compares what is said of each program of an object.
func compareObject(t *testing.T, host *live.Host, file string) {
	spec, err := ebpf.LoadCollectionSpec(file)
	if err != nil {
		t.Fatal(err)
	}
	coll, err := host.Namespace("").LoadCollection(spec, &live.CollectionOptions{
		KeepGoing: true, LogLevel: ebpf.LogLevelInstruction, LogSize: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	obj, err := link.Link(spec, kernel.Default(), link.Options{})
	if err != nil {
		t.Fatal(err)
	}
	accepted, rejected := 0, 0
	for name, want := range coll.Verdicts {
		t.Run(name, func(t *testing.T) {
			if want.Accepted {
				accepted++
			} else {
				rejected++
			}
			got, err := verifier.Verify(obj, name, verifier.Options{Log: verifier.LogAll})
			if err != nil {
				t.Fatal(err)
			}
			var no uint32
			line := "accepted"
			if got.Err != nil {
				no, line = uint32(got.Err.Errno), got.Err.Message
			}
			a, b := comparable(got.Log), comparable(strings.Join(want.Log, "\n")+"\n")
			if no != uint32(want.Errno) || a != b {
				t.Errorf("errno %d, kernel %d (%v)\n%s\n%s", no, want.Errno, want.Err, line, firstDiff(a, b))
			}
		})
	}
	t.Logf("%d accepted, %d rejected", accepted, rejected)
}
