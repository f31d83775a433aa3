package profiles_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bpfct/bpfct/profiles"
)

var update = flag.Bool("update", false, "write the lists into docs/maps-and-helpers.md")

// reasons says why functions are not run, by a part of their names; the first that
// fits counts.
var reasons = []struct{ part, why string }{
	{"arena", "an arena shares pages with a process"},
	{"cgroup", "there are no cgroups"},
	{"cgrp", "there are no cgroups"},
	{"css", "there are no cgroups"},
	{"send_signal", "there are no processes"},
	{"task", "there are no processes"},
	{"find_vma", "there are no processes"},
	{"copy_from_user", "there are no processes"},
	{"key", "there is no keyring"},
	{"crypto", "no kernel cryptography"},
	{"perf_event_read", "no performance counters"},
	{"dmabuf", "no kernel memory of others to walk"},
	{"kmem_cache", "no kernel memory of others to walk"},
	{"user_ringbuf", "its producer is a process"},
	{"snprintf_btf", "prints any kernel object"},
	{"kfunc_call", "the kernel's own test functions"},
	{"modify_return_test", "the kernel's own test functions"},
	{"assign_tcp_reqsk", "makes sockets out of SYN cookies"},
}

// TestDocs keeps docs/maps-and-helpers.md equal to what is run.
func TestDocs(t *testing.T) {
	const file, begin, end = "../docs/maps-and-helpers.md", "<!-- generated: go test ./profiles -run Docs -update -->\n", "<!-- end -->"
	functions, err := profiles.Functions("6.18")
	if err != nil {
		t.Fatal(err)
	}
	var runs, refused = map[string][]string{}, map[string][]string{}
	total := 0
	for _, f := range functions {
		if !f.TC && !f.XDP {
			continue
		}
		name := "`" + f.Name + "`"
		switch {
		case f.TC && !f.XDP:
			name += " (tc)"
		case f.XDP && !f.TC:
			name += " (xdp)"
		}
		if f.Runs {
			total++
			runs[f.Kind] = append(runs[f.Kind], name)
			continue
		}
		i := slices.IndexFunc(reasons, func(r struct{ part, why string }) bool { return strings.Contains(f.Name, r.part) })
		if i < 0 {
			t.Errorf("%s is not run, and no reason is given", f.Name)
			continue
		}
		refused[reasons[i].why] = append(refused[reasons[i].why], name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d run.\n", total)
	for _, kind := range []struct{ kind, title string }{{"helper", "Helpers"}, {"kfunc", "Kernel functions"}} {
		slices.Sort(runs[kind.kind])
		fmt.Fprintf(&b, "\n### %s that run (%d)\n\n%s.\n", kind.title, len(runs[kind.kind]), strings.Join(runs[kind.kind], ", "))
	}
	b.WriteString("\n### Refused\n\n| | why |\n|---|---|\n")
	var why []string
	for w := range refused {
		why = append(why, w)
	}
	slices.Sort(why)
	for _, w := range why {
		slices.Sort(refused[w])
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(refused[w], ", "), w)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %q", file, begin)
	}
	want := head + begin + b.String() + "\n" + end + tail
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what is run: go test ./profiles -run Docs -update", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
