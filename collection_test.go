package bpfct_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/internal/errno"
)

func TestLoadAndAssign(t *testing.T) {
	host := newHost(t, bpfct.HostOptions{})
	var objs struct {
		Programs struct {
			Globals *bpfct.Program `ebpf:"globals"`
			Track   *bpfct.Program `ebpf:"track"`
		}
		Hits  *bpfct.Map      `ebpf:"hits"`
		Count *bpfct.Variable `ebpf:"count"`
		Other int
	}
	if err := host.LoadAndAssign(apiSpec(t), &objs, bpfct.CollectionOptions{}); err != nil {
		t.Fatal(err)
	}
	ret, _, err := objs.Programs.Globals.Test(nil)
	if err != nil || ret != 8 || objs.Programs.Track == nil || objs.Hits.Name() != "hits" {
		t.Errorf("%d, %v, %+v", ret, err, objs)
	}
	var count uint64
	if err := objs.Count.Get(&count); err != nil || count != 1 {
		t.Errorf("count %d, %v", count, err)
	}
	for want, to := range map[string]any{
		"pointer to a struct": objs,
		`field X: the object has no Prog`: &struct {
			X *bpfct.Program `ebpf:"nothing"`
		}{},
		`field X: the object has no Map`: &struct {
			X *bpfct.Map `ebpf:"track"`
		}{},
		"field X: a string cannot be": &struct {
			X string `ebpf:"track"`
		}{},
		"field x: it has a tag but is not": &struct {
			x *bpfct.Map `ebpf:"hits"`
		}{},
	} {
		if err := host.LoadAndAssign(apiSpec(t), to, bpfct.CollectionOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %q", to, err, want)
		}
	}
}

func TestVariables(t *testing.T) {
	spec := apiSpec(t)
	// Set in the spec, before the object is loaded: constants, too.
	if err := spec.Variables["step"].Set(uint32(10)); err != nil {
		t.Fatal(err)
	}
	host := newHost(t, bpfct.HostOptions{})
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	if res := run(t, coll, "globals", nil); res.Return != 17 {
		t.Errorf("returned %d", res.Return)
	}
	start, step := coll.Variables["start"], coll.Variables["step"]
	if err := start.Set(uint32(100)); err != nil {
		t.Fatal(err)
	}
	if res := run(t, coll, "globals", nil); res.Return != 110 {
		t.Errorf("returned %d", res.Return)
	}
	var n uint32
	if err := step.Get(&n); err != nil || n != 10 || !step.ReadOnly() || start.ReadOnly() {
		t.Errorf("step %d, %v", n, err)
	}
	if err := step.Set(uint32(1)); !errors.Is(err, ebpf.ErrReadOnly) {
		t.Errorf("a constant of a loaded program: %v", err)
	}
	if err := coll.Maps[".rodata"].Put(uint32(0), make([]byte, coll.Maps[".rodata"].ValueSize())); !errors.Is(err, errno.EPERM) {
		t.Errorf("its map: %v", err)
	}
	if err := start.Set(uint64(1)); err == nil {
		t.Error("8 bytes fit a variable of 4")
	}
	if start.Section() != ".data" || start.Size() != 4 || start.Name() != "start" || start.Type() == nil {
		t.Errorf("%s %d %s %v", start.Section(), start.Size(), start.Name(), start.Type())
	}
}

func TestProgramArray(t *testing.T) {
	_, coll := load(t, bpfct.HostOptions{})
	jumps := coll.Maps["jumps"]
	call := func(slot, want uint32) {
		t.Helper()
		if res := run(t, coll, "jump", &bpfct.RunOptions{Context: marked(slot)}); res.Return != want {
			t.Errorf("slot %d returned %d, want %d", slot, res.Return, want)
		}
	}
	call(1, 41) // as the object says
	call(2, 13) // empty: the call falls through
	call(99, 13)
	if err := jumps.Put(uint32(2), coll.Programs["other_leaf"]); err != nil {
		t.Fatal(err)
	}
	call(2, 42)
	if err := jumps.Delete(uint32(1)); err != nil {
		t.Fatal(err)
	}
	call(1, 13)
	if err := jumps.Put(uint32(1), coll.Maps["hits"]); err == nil {
		t.Error("a map in a program array")
	}
}

func TestMapInMap(t *testing.T) {
	host, coll := load(t, bpfct.HostOptions{})
	outer := coll.Maps["outer"]
	visit := func(slot, want uint32) {
		t.Helper()
		if res := run(t, coll, "nested", &bpfct.RunOptions{Context: marked(slot)}); res.Return != want {
			t.Errorf("slot %d returned %d, want %d", slot, res.Return, want)
		}
	}
	visit(0, 1)
	visit(0, 2)
	visit(1, 1)
	visit(2, 2) // TC_ACT_SHOT: nothing there
	m, err := host.NewMap(coll.Maps["first"].Spec())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Put(uint32(0), uint64(70)); err != nil {
		t.Fatal(err)
	}
	if err := outer.Put(uint32(2), m); err != nil {
		t.Fatal(err)
	}
	visit(2, 71)
	var n uint64
	if err := coll.Maps["first"].Lookup(uint32(0), &n); err != nil || n != 2 {
		t.Errorf("the inner map has %d, %v", n, err)
	}
	if err := outer.Put(uint32(3), coll.Maps["hits"]); !errors.Is(err, errno.EINVAL) {
		t.Errorf("an inner map of another kind: %v", err)
	}
}

func TestCollectionOptions(t *testing.T) {
	host, first := load(t, bpfct.HostOptions{})
	// Programs names what is loaded, with the maps that it uses.
	coll, err := host.LoadCollection(apiSpec(t), bpfct.CollectionOptions{Programs: []string{"tally"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(coll.Programs) != 1 || coll.Maps["hits"] == nil || coll.Maps["queue"] != nil {
		t.Errorf("loaded %v and %v", coll.Programs, coll.Maps)
	}
	// MapReplacements share a map.
	shared, err := host.LoadCollection(apiSpec(t), bpfct.CollectionOptions{MapReplacements: map[string]*bpfct.Map{"hits": first.Maps["hits"]}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, shared, "tally", &bpfct.RunOptions{Data: udp(`10.0.0.1:1 > 10.0.0.2:2 udp "x"`)})
	if it := first.Maps["hits"].Iterate(); !it.Next(new([]byte), new([]byte)) {
		t.Error("the shared map is empty")
	}
	shared.Close() // leaves what it does not own
	if err := first.Maps["hits"].Put(make([]byte, 8), uint64(1)); err != nil {
		t.Error(err)
	}
	for want, opts := range map[string]bpfct.CollectionOptions{
		"nothing":                       {Programs: []string{"nothing"}},
		"map nothing is to be replaced": {MapReplacements: map[string]*bpfct.Map{"nothing": first.Maps["hits"]}},
		"map hits: its replacement does not fit: key": {MapReplacements: map[string]*bpfct.Map{"hits": first.Maps["percpu"]}},
	} {
		_, err := host.LoadCollection(apiSpec(t), opts)
		if err == nil || !strings.Contains(err.Error(), want) && !errors.Is(err, ebpf.ErrMapIncompatible) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestHostOptions(t *testing.T) {
	for want, opts := range map[string]bpfct.HostOptions{
		`unknown kernel profile "2.4"`: {Profile: "2.4"},
		"-1 CPUs":                      {CPUs: -1},
		"5000 CPUs":                    {CPUs: 5000},
	} {
		if _, err := bpfct.NewHost(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	host := newHost(t, bpfct.HostOptions{CPUs: 4, Profile: "documented"})
	if host.CPUs() != 4 || host.Profile().Name != "documented" || host.Clock().HZ() != host.Profile().HZ {
		t.Errorf("%d CPUs, %s, HZ %d", host.CPUs(), host.Profile().Name, host.Clock().HZ())
	}
	if err := host.Netns().SetID(-1, host.NewNetns("peer")); err == nil {
		t.Error("a namespace with id -1")
	}
}

// TestHostsShareNothing runs the same on two hosts, of which one does more.
func TestHostsShareNothing(t *testing.T) {
	hostA, a := load(t, bpfct.HostOptions{})
	hostB, b := load(t, bpfct.HostOptions{})
	for range 3 {
		run(t, a, "globals", nil)
		run(t, a, "track", &bpfct.RunOptions{Data: udp(`10.0.0.1:1 > 10.0.0.2:2 udp "x"`)})
	}
	if res := run(t, b, "globals", nil); res.Return != 8 {
		t.Errorf("globals returned %d on the other host", res.Return)
	}
	if n := hostB.Netns().Conntrack().Count(); n != 0 {
		t.Errorf("%d connections on the other host", n)
	}
	hostA.Clock().Advance(1e9)
	if hostA.Clock().Uptime() == hostB.Clock().Uptime() {
		t.Error("one clock for both")
	}
	// A map or program of one is of no use on the other.
	if err := b.Maps["jumps"].Put(uint32(2), a.Programs["leaf"]); err == nil {
		t.Error("a program of another host in a program array")
	}
	if err := b.Maps["outer"].Put(uint32(2), a.Maps["first"]); err == nil {
		t.Error("a map of another host in a map of maps")
	}
	if _, err := hostB.LoadCollection(apiSpec(t), bpfct.CollectionOptions{MapReplacements: map[string]*bpfct.Map{"hits": a.Maps["hits"]}}); err == nil {
		t.Error("a map of another host as a replacement")
	}
	other := hostB.NewNetns("x")
	if _, err := a.Programs["globals"].Run(&bpfct.RunOptions{Netns: other}); err == nil {
		t.Error("a run in a namespace of another host")
	}
}
