package live_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/live"
)

func TestVerdicts(t *testing.T) {
	h := newHost(t, live.Options{})
	spec := loadSpec(t, "testdata/ct.o")
	coll, err := h.LoadCollection(spec, &live.CollectionOptions{KeepGoing: true, LogLevel: ebpf.LogLevelInstruction | ebpf.LogLevelStats})
	if err != nil {
		t.Fatal(err)
	}
	if len(coll.Verdicts) != 4 || len(coll.Programs) != 3 || coll.SharedBTF {
		t.Errorf("%d verdicts, %d programs, shared %v", len(coll.Verdicts), len(coll.Programs), coll.SharedBTF)
	}
	ok := coll.Verdicts["insert_tc"]
	if !ok.Accepted || ok.Err != nil || ok.Errno != 0 || ok.Processed == 0 || len(ok.Log) < 10 {
		t.Errorf("insert_tc: accepted %v, %v, %d instructions, %d lines", ok.Accepted, ok.Err, ok.Processed, len(ok.Log))
	}
	bad := coll.Verdicts["leak"]
	if bad.Accepted || bad.Errno != errno.EINVAL || bad.VerifierError() == nil || bad.Processed == 0 || !errors.Is(bad.Err, unix.EINVAL) {
		t.Errorf("leak: accepted %v, errno %v, %d instructions, %v", bad.Accepted, bad.Errno, bad.Processed, bad.Err)
	}
	if got := bad.Reason(); got != "BPF_EXIT instruction in main prog would lead to reference leak" {
		t.Errorf("leak: %q", got)
	}
	for name, v := range coll.Verdicts {
		if log := strings.Join(v.Log, "\n"); strings.Contains(log, "verification time") || !strings.Contains(log, "processed ") {
			t.Errorf("%s's log ends %q", name, v.Log[max(0, len(v.Log)-3):])
		}
	}

	if _, err := h.LoadCollection(spec, nil); err == nil || !strings.Contains(err.Error(), "program leak") {
		t.Errorf("without KeepGoing: %v", err)
	}
	only, err := h.LoadCollection(spec, &live.CollectionOptions{Programs: []string{"lookup_tc"}})
	if err != nil || len(only.Programs) != 1 || len(only.Maps) != len(coll.Maps) {
		t.Errorf("one program: %+v, %v", only, err)
	}
	if v := only.Verdicts["lookup_tc"]; !v.Accepted || v.Log != nil {
		t.Errorf("one program: %+v", v)
	}
	if _, err := h.LoadCollection(spec, &live.CollectionOptions{Programs: []string{"none"}}); err == nil {
		t.Error("program none was loaded")
	}
}

// What cilium/ebpf alone cannot load: lists, trees and kptrs beside globals.
func TestSharedBTF(t *testing.T) {
	h := newHost(t, live.Options{})
	spec := loadSpec(t, "testdata/graph.o")
	set(t, spec, "seed", uint64(100))
	coll, err := h.LoadCollection(spec, &live.CollectionOptions{KeepGoing: true})
	if err != nil {
		t.Fatal(err)
	}
	if !coll.SharedBTF {
		t.Error("not loaded with shared types")
	}
	for _, tt := range []struct {
		program, variable string
		want              uint64
	}{{"list", "from_list", 100}, {"tree", "from_tree", 101}, {"kptr", "from_slot", 102}} {
		v := coll.Verdicts[tt.program]
		if !v.Accepted {
			t.Errorf("%s: %+v", tt.program, v.Err)
			continue
		}
		res, err := h.Run(coll.Programs[tt.program], live.RunOptions{})
		if err != nil || res.Ret != 0 {
			t.Errorf("%s: %+v, %v", tt.program, res, err)
			continue
		}
		raw, err := coll.Variable(tt.variable)
		if err != nil || binary.NativeEndian.Uint64(raw) != tt.want {
			t.Errorf("%s is %v, %v; want %d", tt.variable, raw, err, tt.want)
		}
		var typed uint64
		if err := coll.Variables[tt.variable].Get(&typed); err != nil || typed != tt.want {
			t.Errorf("%s is %d, %v; want %d", tt.variable, typed, err, tt.want)
		}
	}
	var plain uint64
	if err := coll.Variables["plain"].Get(&plain); err != nil || plain != 5 {
		t.Errorf("plain is %d, %v", plain, err)
	}
	if err := coll.SetVariable("seed", make([]byte, 8)); !errors.Is(err, unix.EPERM) {
		t.Errorf("write a constant: %v", err)
	}
	v := coll.Verdicts["leak_object"]
	if v.Accepted || v.Errno != errno.EINVAL || v.VerifierError() == nil || v.Processed == 0 {
		t.Errorf("leak_object: %+v", v)
	}
	if v.Err != nil && !strings.HasPrefix(v.Err.Error(), "program leak_object: load program: invalid argument: ") {
		t.Errorf("leak_object's error reads %q", v.Err)
	}
	for program, what := range map[string]string{"version": ".kconfig", "symbol": "nf_conntrack_hash"} {
		if v := coll.Verdicts[program]; v.Accepted || !errors.Is(v.Err, live.ErrNotSupported) || !strings.Contains(v.Err.Error(), what) || v.VerifierError() != nil {
			t.Errorf("%s: %+v", program, v)
		}
	}
	if info, err := coll.Maps[".data.A"].Info(); err != nil || info.Name != ".data.A" {
		t.Errorf("the kernel calls .data.A %+v, %v", info, err)
	}
	private, err := h.LoadCollection(spec, &live.CollectionOptions{KeepGoing: true, PrivateBTF: true})
	if err == nil && private.Verdicts["list"].Accepted && private.Verdicts["tree"].Accepted && private.Verdicts["kptr"].Accepted {
		t.Error("cilium/ebpf loads this object by itself now: the detour can go")
	}
}

func TestMapsAndVariables(t *testing.T) {
	h := newHost(t, live.Options{})
	spec := loadSpec(t, "testdata/maps.o")
	spec.Maps["hash"].Pinning = ebpf.PinByName // must not be obeyed
	coll, err := h.LoadCollection(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		res, err := h.Run(coll.Programs["count"], live.RunOptions{Ctx: (&live.SkBuff{Priority: 6}).Bytes(), CPU: 1, Flags: live.FlagRunOnCPU})
		if err != nil {
			t.Fatal(err)
		}
		skb, err := live.ParseSkBuff(res.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		if res.Ret != 42 || skb.Priority != 6 || skb.Mark < 100 || skb.CB[0] != 2 || len(res.Data) != 64 {
			t.Errorf("returned %d, context %+v, %d bytes", res.Ret, skb, len(res.Data))
		}
	}
	for program, ok := range map[string]func(uint32) bool{
		"version": func(n uint32) bool { return n >= 5<<16 },
		"symbol":  func(n uint32) bool { return n <= 1 },
	} {
		if res, err := h.Run(coll.Programs[program], live.RunOptions{}); err != nil || !ok(res.Ret) {
			t.Errorf("%s: %+v, %v", program, res, err)
		}
	}
	u32 := func(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
	u64 := func(n uint64) []byte { return binary.NativeEndian.AppendUint64(nil, n) }
	items, err := live.DumpMap(coll.Maps["hash"])
	if d := cmp.Diff([]live.MapItem{{Key: u32(100), Value: u64(3)}, {Key: u32(101), Value: u64(3)}}, items); d != "" || err != nil {
		t.Errorf("hash: %v (-want +got):\n%s", err, d)
	}
	items, err = live.DumpMap(coll.Maps["per_cpu"])
	if err != nil || len(items) != 2 || len(items[1].PerCPU) < 2 || !cmp.Equal(items[1].PerCPU[1], u64(4)) || !cmp.Equal(items[1].PerCPU[0], u64(0)) {
		t.Errorf("per_cpu: %v, %v", items, err)
	}
	items, err = live.DumpMap(coll.Maps["outer"])
	if err != nil || len(items) != 1 || !cmp.Equal(items[0].Key, u32(3)) {
		t.Errorf("outer: %v, %v", items, err)
	}
	items, err = live.DumpMap(coll.Maps["jumps"])
	if err != nil || len(items) != 1 || !cmp.Equal(items[0].Key, u32(1)) {
		t.Errorf("jumps: %v, %v", items, err)
	}
	if _, err := live.DumpMap(coll.Maps["queue"]); !errors.Is(err, live.ErrNotSupported) {
		t.Errorf("queue: %v", err)
	}
	for name, want := range map[string][]byte{"runs": u32(102), "factor": u32(3), "zeroes": append(u64(0), u64(3)...)} {
		if got, err := coll.Variable(name); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s is %v, %v; want %v", name, got, err, want)
		}
	}
	if err := coll.SetVariable("runs", u32(7)); err != nil {
		t.Error(err)
	}
	if got, err := coll.Variable("runs"); err != nil || !cmp.Equal(got, u32(7)) {
		t.Errorf("runs is %v, %v after it was set", got, err)
	}
	if err := coll.SetVariable("runs", nil); err == nil {
		t.Error("a variable took nothing")
	}
	if _, err := coll.Variable("none"); err == nil {
		t.Error("there is a variable none")
	}
}

func TestMapReplacement(t *testing.T) {
	h := newHost(t, live.Options{})
	spec := loadSpec(t, "testdata/maps.o")
	m, err := h.NewMap(spec.Maps["hash"])
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	coll, err := h.LoadCollection(spec, &live.CollectionOptions{MapReplacements: map[string]*ebpf.Map{"hash": m}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Run(coll.Programs["count"], live.RunOptions{}); err != nil {
		t.Fatal(err)
	}
	if items, err := live.DumpMap(m); err != nil || len(items) != 1 {
		t.Errorf("the given map has %v, %v", items, err)
	}
}
