//go:build linux

package main

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/kernel/internal/probe"
)

var full = flag.Bool("full", false, "ask the kernel about every program type, not only those of the network's path (half a minute)")

const helperDefs = "/usr/include/bpf/bpf_helper_defs.h"

// The embedded table must be what the running kernel says: arguments, results
// and flags of every function, and who may call it.
func TestTableEqualsTheKernel(t *testing.T) {
	testkernel.Require(t)
	prof, err := kernel.Lookup("6.18")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	consts, ids, funcs, err := scan(spec)
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) == 0 || len(funcs) == 0 {
		t.Fatal("the BTF has no helpers or no kfuncs")
	}
	for name, want := range consts {
		if got, ok := prof.Constant(name); !ok || got != want {
			t.Fatalf("the running kernel is not the one of profile %s: %s is %d there and %d here", prof, name, got, want)
		}
	}
	if _, err := os.Stat(helperDefs); err != nil {
		testkernel.Skip(t, err.Error())
	}
	helpers, err := readHelpers(helperDefs, ids)
	if err != nil {
		t.Fatal(err)
	}
	kfuncs, err := describeKfuncs(funcs)
	if err != nil {
		t.Fatal(err)
	}
	var contexts []probe.Context
	for _, c := range usable() {
		if *full || slices.Contains([]ebpf.ProgramType{ebpf.SchedCLS, ebpf.XDP, ebpf.SocketFilter}, c.Type) {
			contexts = append(contexts, c)
		}
	}
	if err := measure(spec, helpers, kfuncs, contexts); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, now := range append(helpers, kfuncs...) {
		var then *kernel.Prototype
		var ok bool
		if now.Kind == kernel.Kfunc {
			then, ok = prof.Kfunc(now.Name)
		} else {
			then, ok = prof.Helper(now.ID)
		}
		if !ok || then.Name != now.Name {
			t.Errorf("%s %d is not in the table", now.Name, now.ID)
			continue
		}
		for _, c := range contexts {
			a, b := then.For(c.Type), now.For(c.Type)
			if (a == nil) != (b == nil) {
				t.Errorf("%s: may %v call it? table %v, kernel %v", now.Name, c, a != nil, b != nil)
				continue
			}
			compared++
			if a == nil {
				continue
			}
			if d := cmp.Diff(a.Args, b.Args); d != "" {
				t.Errorf("%s from %v: arguments (-table +kernel)\n%s", now.Name, c, d)
			}
			if a.Return != b.Return || a.Flags != b.Flags {
				t.Errorf("%s from %v: table has %+v, %v; kernel %+v, %v", now.Name, c, a.Return, a.Flags, b.Return, b.Flags)
			}
		}
	}
	t.Logf("%d functions, %d answers compared", len(helpers)+len(kfuncs), compared)
}

// A program sees the sets that the kernel was asked about, no others.
func TestMeasuredTypes(t *testing.T) {
	testkernel.Require(t)
	prof, err := kernel.Lookup("6.18")
	if err != nil {
		t.Fatal(err)
	}
	var want kernel.ProgramSet
	for _, c := range usable() {
		want |= kernel.Programs(c.Type)
	}
	if prof.Measured != want {
		t.Errorf("profile says %v were measured, this kernel loads %v", prof.Measured, want)
	}
}
