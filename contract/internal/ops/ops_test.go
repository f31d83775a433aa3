package ops

import (
	"net/netip"
	"testing"
	"time"
)

func simple() Run {
	var o Op
	o.Code = Alloc
	o.SetOpts(Options{NetnsID: -1, Proto: 6}, 16)
	o.SetTuple(netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:80"))
	l := o
	l.Code, l.Slot = Lookup, 1
	nat := Op{Code: SetNATInfo, Port: 0}
	nat.SetAddr(netip.MustParseAddr("5.5.5.5"))
	return Run{TC, []Op{o, nat, {Code: Insert}, l, {Code: Read}, {Code: Release, Slot: 1}, {Code: Read}}}
}

func TestX(t *testing.T) {
	vm, err := NewVM("")
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKernel()
	if err != nil {
		t.Fatal(err)
	}
	runs := []Run{simple()}
	a, err := Play(k, runs)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Play(vm, runs)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(Diff(runs, a, b))
	for i, s := range []Side{vm, k} {
		var d [3]time.Duration
		for range 100 {
			t0 := time.Now()
			s.Reset()
			t1 := time.Now()
			s.Perform(runs[0])
			t2 := time.Now()
			s.Dump()
			t3 := time.Now()
			d[0] += t1.Sub(t0)
			d[1] += t2.Sub(t1)
			d[2] += t3.Sub(t2)
		}
		t.Log(i, d[0]/100, d[1]/100, d[2]/100)
	}
}
