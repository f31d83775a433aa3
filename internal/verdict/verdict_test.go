package verdict

import "testing"

func TestCompare(t *testing.T) {
	accepted, unloadable := Verdict{Kind: Accepted}, Verdict{Kind: Unloadable}
	rejected := func(line string) Verdict { return Verdict{Kind: Rejected, Line: line} }
	for _, c := range []struct {
		own, kernel Verdict
		want        Agreement
	}{
		{accepted, accepted, Agree},
		{accepted, rejected("x"), Unsound},
		{rejected("x"), accepted, TooStrict},
		{rejected("R1 off=1"), rejected("R1 off=1"), Agree},
		{rejected("R1 off=1"), rejected("R1 off=2"), OtherLine},
		{unloadable, accepted, OneSided},
		{rejected("x"), unloadable, OneSided},
		{unloadable, unloadable, BothRefuse},
		{Verdict{Kind: Crashed}, rejected("x"), Crash},
	} {
		if got := Compare(c.own, c.kernel); got != c.want {
			t.Errorf("Compare(%+v, %+v) = %q, want %q", c.own, c.kernel, got, c.want)
		}
	}
}
