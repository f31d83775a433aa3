package ops

import (
	"fmt"
	"strings"

	"github.com/bpfct/bpfct/conntrack"
)

// Diff says how the outcomes a and b of runs differ, "" for not at all. Time stamps
// are compared as what is left; they may differ by the jiffies that passed on
// either side, none as a rule.
func Diff(runs []Run, a, b *Outcome) string {
	slack := span(a) + span(b)
	for i, r := range runs {
		for j := range r.Ops {
			if j >= len(a.Results[i]) || j >= len(b.Results[i]) {
				return fmt.Sprintf("run %d: %d and %d results", i, len(a.Results[i]), len(b.Results[i]))
			}
			if d := diffResult(&a.Results[i][j], &b.Results[i][j], slack); d != "" {
				return fmt.Sprintf("run %d (%s), op %d: %v\n%s", i, r.Hook, j, &r.Ops[j], d)
			}
		}
	}
	// A kernel has at least 100 jiffies a second.
	return DiffConns(a.Conns, b.Conns, int(slack/100))
}

// span is how many jiffies passed during the runs.
func span(o *Outcome) uint64 {
	var first, last uint64
	for _, run := range o.Results {
		for i := range run {
			if first == 0 {
				first = run[i].Before
			}
			last = run[i].After
		}
	}
	return last - first
}

func diffResult(a, b *Result, slack uint64) string {
	var out strings.Builder
	add := func(name string, a, b any) {
		if a != b {
			fmt.Fprintf(&out, "  %s: %v, %v\n", name, a, b)
		}
	}
	add("done", a.Done, b.Done)
	add("ret", a.Ret, b.Ret)
	add("same", a.Same, b.Same)
	add("opts", fmt.Sprintf("%x", a.Opts), fmt.Sprintf("%x", b.Opts))
	va, vb := a.View, b.View
	add("status", conntrack.Status(va.Status), conntrack.Status(vb.Status))
	add("mark", va.Mark, vb.Mark)
	add("use", va.Use, vb.Use)
	add("zone", fmt.Sprint(va.ZoneID, va.ZoneFlags, va.ZoneDir), fmt.Sprint(vb.ZoneID, vb.ZoneFlags, vb.ZoneDir))
	for d, name := range []string{"original", "reply"} {
		add(name+" tuple", fmt.Sprintf("%+v", va.Tuple[d]), fmt.Sprintf("%+v", vb.Tuple[d]))
	}
	la, lb := Left(a), Left(b)
	// The longest time is the largest number: a jiffy more makes it the smallest.
	if d := int64(int32(uint32(la) - uint32(lb))); d > int64(slack) || d < -int64(slack) {
		add("timeout", la, lb)
	}
	return out.String()
}

// Left is the view's timeout as a number of jiffies: of a confirmed connection what
// was left when the op began.
func Left(r *Result) int32 {
	if conntrack.Status(r.View.Status)&conntrack.IPSConfirmed == 0 {
		return int32(r.View.Timeout)
	}
	return int32(r.View.Timeout - uint32(r.Before))
}

// DiffConns says how the dumps a and b differ, "" for not at all. The seconds that are
// left may differ by late, and by one more for rounding.
func DiffConns(a, b []Conn, late int) string {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return "entry: nothing, " + b[i].String()
		case i >= len(b):
			return "entry: " + a[i].String() + ", nothing"
		}
		x, y := a[i], b[i]
		if d := x.Seconds - y.Seconds; d < -1-late || d > 1+late {
			return fmt.Sprintf("entry %v: %d and %d seconds left", &x, x.Seconds, y.Seconds)
		}
		x.Seconds, y.Seconds = 0, 0
		if x != y {
			return fmt.Sprintf("entry:\n  %v\n  %v", &x, &y)
		}
	}
	return ""
}
