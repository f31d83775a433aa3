package kernellog

import (
	"strings"
	"testing"
)

func TestFirstLine(t *testing.T) {
	const log = `func#0 @0
Live regs before insn:
0: R1=ctx() R10=fp0
; int f(void) @ a.c:3
0: (b7) r0 = 0                        ; R0_w=0
from 3 to 5: R0=0
R1 type=scalar expected=fp
arg#3 arg#4 memory, len pair leads to invalid memory access
processed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`
	lines := strings.Split(log, "\n")
	if got, want := FirstLine(lines), "R1 type=scalar expected=fp"; got != want {
		t.Errorf("first line %q, want %q", got, want)
	}
	if got := Tail(lines, 2); len(got) != 2 || got[1] != "arg#3 arg#4 memory, len pair leads to invalid memory access" {
		t.Errorf("tail %q", got)
	}
	if got := FirstLine(lines[:6]); got != "" {
		t.Errorf("a log without a refusal gives %q", got)
	}
}

func TestFirstLineInPassing(t *testing.T) {
	passing := "arg#0 reference type('UNKNOWN ') size cannot be determined: -22"
	if got := FirstLine([]string{passing, "0: R1=ctx() R10=fp0", "R6 invalid mem access 'scalar'"}); got != "R6 invalid mem access 'scalar'" {
		t.Errorf("first line %q", got)
	}
	if got := FirstLine([]string{passing, "processed 0 insns"}); got != passing {
		t.Errorf("first line %q", got)
	}
	for _, stats := range []string{"verification time 62 usec", "stack depth 0+0+8", "processed 7 insns (limit 1000000)"} {
		if got := FirstLine([]string{"insn 3 cannot call exception cb directly" + stats}); got != "insn 3 cannot call exception cb directly" {
			t.Errorf("first line %q", got)
		}
	}
}

func TestNormalize(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"R1 unbounded  memory access", "R1 unbounded memory access"},
		{"math between pkt pointer and 0xffff888012345678", "math between pkt pointer and 0xADDR"},
		{"invalid btf_id 4711 in x", "invalid btf_id N in x"},
		{"off=8 size=4", "off=8 size=4"},
	} {
		if got := Normalize(c.in); got != c.want {
			t.Errorf("Normalize(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
