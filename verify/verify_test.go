package verify_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/verify"
)

const examples = "../verifier/explain/testdata/"

func load(t *testing.T, file string) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := link.LoadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// object is a collection made here: one tc program that returns 0.
func object() *ebpf.CollectionSpec {
	return &ebpf.CollectionSpec{
		Maps: make(map[string]*ebpf.MapSpec),
		Programs: map[string]*ebpf.ProgramSpec{"p": {
			Name: "p", Type: ebpf.SchedCLS, License: "GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0).WithSymbol("p"), asm.Return()},
		}},
	}
}

func TestRejected(t *testing.T) {
	r, err := verify.Collection(load(t, examples+"may-be-null.o"), verify.Options{Object: "x.o"})
	if err != nil {
		t.Fatal(err)
	}
	p := r.Programs[0]
	if p.Verdict != verify.Rejected || p.Errno != "EACCES" || p.Error != "R0 invalid mem access 'ptr_or_null_'" {
		t.Errorf("verdict %s, errno %s, error %q", p.Verdict, p.Errno, p.Error)
	}
	if p.Source == nil || !strings.Contains(p.Source.Text, "ct->mark") || p.Insn == nil || *p.Insn == 0 || p.Insns == 0 || len(p.Stack) != 1 {
		t.Errorf("place: %+v, instruction %v, %d processed, stack %v", p.Source, p.Insn, p.Insns, p.Stack)
	}
	if p.Explanation == nil || p.Explanation.Class != "may-be-null" || len(p.LogTail) == 0 {
		t.Errorf("explanation %+v, log tail %q", p.Explanation, p.LogTail)
	}
	if got, want := r.Sum(), "x.o: 1 program: 1 rejected (kernel 6.18)"; got != want {
		t.Errorf("sum %q, want %q", got, want)
	}
}

func TestAccepted(t *testing.T) {
	r, err := verify.Collection(object(), verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(r.Programs[0])
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"object":"","program":"p","type":"sched_cls","verdict":"accepted","insns":2,"states":0,"stack":[0]}`
	if string(data) != want {
		t.Errorf("%s\nwant %s", data, want)
	}
}

// What fails before any program is looked at makes all programs unloadable.
func TestUnloadable(t *testing.T) {
	for _, c := range []struct {
		name  string
		spec  ebpf.MapSpec
		errno string
		text  string
	}{
		{"value size 0", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, MaxEntries: 1}, "EINVAL", "map m: "},
		{"no entries", ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4}, "EINVAL", "map m: "},
		{"key of an array", ebpf.MapSpec{Type: ebpf.Array, KeySize: 8, ValueSize: 4, MaxEntries: 1}, "EINVAL", "map m: "},
		{"inner map", ebpf.MapSpec{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1}, "EBADF", "without a spec of its inner maps"},
		{"a small ring is rounded up", ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 8}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := object()
			c.spec.Name = "m"
			spec.Maps["m"] = &c.spec
			r, err := verify.Collection(spec, verify.Options{})
			if err != nil {
				t.Fatal(err)
			}
			p := r.Programs[0]
			if c.text == "" {
				if p.Verdict != verify.Accepted {
					t.Errorf("%s: %s", p.Verdict, p.Error)
				}
				return
			}
			if p.Verdict != verify.Unloadable || p.Errno != c.errno || !strings.Contains(p.Error, c.text) {
				t.Errorf("%s %s: %s", p.Verdict, p.Errno, p.Error)
			}
		})
	}
}

func TestQuestionsWithoutAnswer(t *testing.T) {
	kprobe := object()
	kprobe.Programs["p"].Type = ebpf.Kprobe
	for _, c := range []struct {
		spec *ebpf.CollectionSpec
		opts verify.Options
		want string
	}{
		{object(), verify.Options{Programs: []string{"q"}}, `no program "q"; it has [p]`},
		{object(), verify.Options{Profile: "1.0"}, `unknown kernel profile "1.0"`},
		{kprobe, verify.Options{Programs: []string{"p"}}, "of type kprobe"},
	} {
		if _, err := verify.Collection(c.spec, c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	r, err := verify.Collection(kprobe, verify.Options{})
	if err != nil || len(r.Programs) != 0 || len(r.Skipped) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestText(t *testing.T) {
	r, err := verify.Collection(load(t, examples+"call-under-lock.o"), verify.Options{Log: verifier.LogAll})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		opts      verify.TextOptions
		has, lack []string
	}{
		{verify.TextOptions{Log: verify.LogNone, Explain: true}, []string{"rejected[call-under-lock]", "the lock is taken here"}, []string{"\x1b", "11: (85)"}},
		{verify.TextOptions{Log: verify.LogError}, []string{"rejected: note_time: EINVAL: function calls are not allowed while holding a lock", "    | function calls"}, []string{"the lock is taken here"}},
		{verify.TextOptions{Log: verify.LogVerbose, Stats: true}, []string{"call bpf_ktime_get_ns#5\n", "insns, "}, nil},
		{verify.TextOptions{Log: verify.LogNone, Explain: true, Color: true}, []string{"\x1b["}, nil},
	} {
		var b strings.Builder
		if err := r.WriteText(&b, c.opts); err != nil {
			t.Fatal(err)
		}
		for _, s := range c.has {
			if !strings.Contains(b.String(), s) {
				t.Errorf("%+v: %q is missing:\n%s", c.opts, s, b.String())
			}
		}
		for _, s := range c.lack {
			if strings.Contains(b.String(), s) {
				t.Errorf("%+v: %q is there:\n%s", c.opts, s, b.String())
			}
		}
	}
}
