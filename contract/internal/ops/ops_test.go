package ops

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// some is a run with every kind of op.
func some() Run {
	alloc := Op{Code: Alloc}
	alloc.SetOpts(Options{NetnsID: -1, Proto: 6, ZoneID: 7, ZoneDir: 1}, 16)
	alloc.SetTuple(netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:80"))
	look := alloc
	look.Code, look.Slot, look.OptsSize, look.TupleSize, look.Flags = Lookup, 1, 3, 40, NullTuple
	nat := Op{Code: SetNATInfo, Port: -1, Arg: 1}
	nat.SetAddr(netip.MustParseAddr("2001:db8::5"))
	return Run{TC, []Op{
		alloc, nat, {Code: SetTimeout, Arg: 1}, {Code: SetStatus, Arg: 2}, {Code: SetMark, Arg: 3}, {Code: Insert},
		{Code: ChangeTimeout}, {Code: ChangeStatus, Arg: 8}, look, {Code: Read, Slot: 2}, {Code: Release},
	}}
}

// TestLayout wants the types to lie in memory as those of ops.c.
func TestLayout(t *testing.T) {
	spec, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"ops": binary.Size(Op{}), "results": binary.Size(Result{})} {
		if m := spec.Maps[name]; m == nil || int(m.ValueSize) != size || m.MaxEntries != MaxOps {
			t.Errorf("map %s: %v, the Go type has %d bytes", name, m, size)
		}
	}
}

func TestText(t *testing.T) {
	x := some()
	x.Hook = XDP
	want := []Run{some(), x}
	text := FormatRuns(want)
	got, err := ParseRuns(text)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back:\n%s\nwritten:\n%s", FormatRuns(got), text)
	}
	for _, part := range []string{"set_nat_info dst 20010db8", "port -1", "alloc 10.0.0.1:1 > 10.0.0.2:80 opts 16: ffffffff", "lookup NULL", "change_status 0x8"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the text lacks %q:\n%s", part, text)
		}
	}
}

func TestTextErrors(t *testing.T) {
	for text, want := range map[string]string{
		"run egress\n":      `line 1: "egress" is no hook`,
		"00\n":              "line 1: an op before the first run",
		"run tc\n\n00 # x":  "line 3: 1 bytes, an op has 116",
		"run tc\nhello\n":   "line 2: encoding/hex: invalid byte",
		"run tc\nab12345\n": "line 2: encoding/hex: odd length",
	} {
		if _, err := ParseRuns([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// FuzzParseRuns wants what was read to be written and read again.
func FuzzParseRuns(f *testing.F) {
	f.Add(FormatRuns([]Run{some()}))
	f.Add([]byte("run xdp\n# nothing\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		runs, err := ParseRuns(data)
		if err != nil {
			return
		}
		again, err := ParseRuns(FormatRuns(runs))
		if err != nil || !reflect.DeepEqual(again, runs) {
			t.Errorf("%v\n%s\n%s", err, FormatRuns(runs), FormatRuns(again))
		}
	})
}

// TestDiff wants every difference to be seen.
func TestDiff(t *testing.T) {
	runs := []Run{{TC, []Op{{Code: Read}}}}
	base := Result{Before: 1000, After: 1000, Ret: 1, Done: 1, Same: 1, View: View{Status: 8, Timeout: 3500}}
	for name, change := range map[string]func(*Result){
		"ret": func(r *Result) { r.Ret = 0 }, "done": func(r *Result) { r.Done = 0 }, "same": func(r *Result) { r.Same = 2 },
		"opts": func(r *Result) { r.Opts[31] = 1 }, "status": func(r *Result) { r.View.Status |= 2 }, "mark": func(r *Result) { r.View.Mark = 1 },
		"use": func(r *Result) { r.View.Use = 1 }, "zone": func(r *Result) { r.View.ZoneDir = 1 }, "timeout": func(r *Result) { r.View.Timeout++ },
		"reply tuple": func(r *Result) { r.View.Tuple[1].DstPort[1] = 1 }, "original tuple": func(r *Result) { r.View.Tuple[0].Dir = 1 },
	} {
		other := base
		change(&other)
		a, b := &Outcome{Results: [][]Result{{base}}}, &Outcome{Results: [][]Result{{other}}}
		if d := Diff(runs, a, b); !strings.Contains(d, "  "+name+": ") {
			t.Errorf("%s: %q", name, d)
		}
	}
	// What is left counts, not when it was looked at.
	later := base
	later.Before, later.After, later.View.Timeout = 5000, 5000, 7500
	if d := Diff(runs, &Outcome{Results: [][]Result{{base}}}, &Outcome{Results: [][]Result{{later}}}); d != "" {
		t.Error(d)
	}
	// A jiffy passed.
	late := base
	late.After, late.View.Timeout = 1001, 3501
	if d := Diff(runs, &Outcome{Results: [][]Result{{base}}}, &Outcome{Results: [][]Result{{late}}}); d != "" {
		t.Error(d)
	}
	// The longest time there is, and a jiffy passed.
	long, longer := base, base
	long.View.Timeout = 1000 + 1<<31 - 1
	longer.After, longer.View.Timeout = 1001, 1000+1<<31
	if d := Diff(runs, &Outcome{Results: [][]Result{{long}}}, &Outcome{Results: [][]Result{{longer}}}); d != "" {
		t.Error(d)
	}
	if d := DiffConns([]Conn{{Mark: 1}}, []Conn{{Mark: 2}}, 0); d == "" {
		t.Error("two marks are the same")
	}
	if d := DiffConns([]Conn{{Mark: 1}}, nil, 0); d == "" {
		t.Error("one and none are the same")
	}
}

func BenchmarkPerform(b *testing.B) {
	vm, err := NewVM(VMOptions{SkipVerifier: true})
	if err != nil {
		b.Fatal(err)
	}
	r := some()
	for b.Loop() {
		if _, err := vm.Perform(r); err != nil {
			b.Fatal(err)
		}
		if err := vm.Reset(); err != nil {
			b.Fatal(err)
		}
	}
}
