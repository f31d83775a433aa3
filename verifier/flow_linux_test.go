package verifier_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier"
)

// flow makes a program of nothing but control flow: jumps forth and back, functions
// that call each other, and numbers and slots that live across them.
func flow(r *rand.Rand) []link.Raw {
	g := &generator{Rand: r}
	functions := 1 + r.IntN(4)
	starts := make([]int, functions)
	type fix struct{ at, function int }
	var calls []fix
	for f := range functions {
		starts[f] = len(g.insns)
		if f == 0 {
			g.emit(link.Raw{Op: 0x85, Imm: 7}, link.Raw{Op: 0xbf, Dst: 6}, link.Raw{Op: 0xb7, Dst: 8})
		} else {
			g.emit(link.Raw{Op: 0xb7, Dst: 8}, link.Raw{Op: 0xbf, Dst: 6, Src: 1})
		}
		first := len(g.insns)
		var jumps []int
		for range 3 + r.IntN(14) {
			at := len(g.insns)
			slot := int16(-8 * (1 + r.IntN(3)))
			switch r.IntN(14) {
			case 0, 1, 2:
				g.emit(link.Raw{Op: pick[uint8](g, 0x15, 0x55, 0xa5, 0x65, 0x16), Dst: 6, Imm: int32(r.IntN(4))})
				jumps = append(jumps, at)
			case 3:
				g.emit(link.Raw{Op: pick[uint8](g, 0x15, 0x15, 0x15, 0x15, 0x15, 0x15, 0x15, 0x15, 0x05, 0x06), Dst: 6, Imm: 1})
				if g.insns[at].Op != 0x15 {
					g.insns[at].Dst, g.insns[at].Imm = 0, 0
				}
				jumps = append(jumps, at)
			case 4:
				if r.IntN(3) == 0 {
					g.emit(link.Raw{Op: 0xe5})
					jumps = append(jumps, at)
				}
			case 5:
				g.emit(link.Raw{Op: 0x0f, Dst: 8, Src: 6})
			case 6:
				g.emit(link.Raw{Op: 0x7b, Dst: 10, Src: 6, Off: slot})
			case 7:
				g.emit(link.Raw{Op: 0x79, Dst: 7, Src: 10, Off: slot})
			case 8:
				g.emit(link.Raw{Op: 0xb7, Dst: 8, Imm: int32(r.IntN(3))})
			case 9:
				g.emit(link.Raw{Op: 0x85, Imm: 7}, link.Raw{Op: 0xbf, Dst: 6})
			case 10:
				if f+1 < functions || r.IntN(20) == 0 {
					g.emit(link.Raw{Op: 0xbf, Dst: 1, Src: 6})
					calls = append(calls, fix{len(g.insns), min(f+1+r.IntN(functions), functions-1)})
					g.emit(link.Raw{Op: 0x85, Src: 1})
				}
			case 11:
				g.emit(link.Raw{Op: 0x57, Dst: 6, Imm: 3})
			case 12:
				g.emit(link.Raw{Op: 0x18, Dst: 9, Imm: 1}, link.Raw{})
			case 13:
				if r.IntN(20) == 0 {
					g.emit(link.Raw{Op: 0x95})
				}
			}
		}
		g.emit(link.Raw{Op: 0xb7, Dst: 0}, link.Raw{Op: 0x95})
		for _, at := range jumps {
			to := first + r.IntN(len(g.insns)-first)
			if r.IntN(2) == 0 || g.insns[at].Op != 0xe5 && r.IntN(12) > 0 { // most go forth
				to = at + 1 + r.IntN(len(g.insns)-at-1)
			}
			for g.insns[to].Op == 0 {
				to++
			}
			if g.insns[at].Op == 0x06 {
				g.insns[at].Imm = int32(to - at - 1)
			} else {
				g.insns[at].Off = int16(to - at - 1)
			}
		}
	}
	for _, c := range calls {
		g.insns[c.at].Imm = int32(starts[c.function] - c.at - 1)
	}
	return g.insns
}

// Everything that the kernel says of a program's flow, and of what lives in it, is the
// same: functions, registers and slots, loops, states that are kept and pruned.
func TestGeneratedFlow(t *testing.T) {
	testkernel.Require(t)
	accepted := 0
	for n := range *programs {
		s := *seed + uint64(n)
		insns := flow(rand.New(rand.NewPCG(s, 77)))
		diff, ok := sameFlow(t, insns)
		if diff != "" {
			report(t, s, insns, diff)
		}
		if ok {
			accepted++
		}
	}
	t.Logf("%d of %d accepted", accepted, *programs)
}

// longWalk is how many instructions may be processed for a log that can be read.
const longWalk = 20000

// sameFlow is sameVerdict, but for programs that take long it compares only the counts
// and the reason of a refusal.
func sameFlow(t *testing.T, insns []link.Raw) (diff string, accepted bool) {
	log, err := theirs(insns, ebpf.SchedCLS, nil, uint32(verifier.LogStats))
	if n := processed(log); n < longWalk {
		return sameVerdict(insns, ebpf.SchedCLS, nil, nil)
	}
	res, oerr := ours(insns, ebpf.SchedCLS, nil, verifier.LogStats)
	if oerr != nil {
		t.Fatal(oerr)
	}
	if a, b := plain(res.Log), plain(log); a != b {
		return firstDiff(a, b), err == nil
	}
	return "", err == nil
}

// processed is the count that a log ends with.
func processed(log string) int {
	_, last, _ := strings.Cut(log, "processed ")
	count, _, _ := strings.Cut(last, " ")
	n, _ := strconv.Atoi(count)
	return n
}
