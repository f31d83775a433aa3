package bounds_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier/bounds"
	"github.com/bpfct/bpfct/verifier/internal/kernelload"
)

var (
	programs = flag.Int("programs", 300, "generated programs that the kernel is asked about")
	seed     = flag.Uint64("seed", 1, "of the first generated program")
)

// ids are what only the verifier itself knows of a number.
var ids = regexp.MustCompile(`id=\d+([+-]\d+)?,?`)

func normal(s string) string {
	s = ids.ReplaceAllString(strings.TrimPrefix(s, "P"), "")
	return strings.ReplaceAll(s, ",)", ")")
}

// TestKernel compares what the kernel's verifier knows of each register after each
// instruction of generated programs, and on either way of each jump.
func TestKernel(t *testing.T) {
	testkernel.Require(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	bad := make(map[string]int)
	states := 0
	for i := range *programs {
		n := *seed + uint64(i)
		insns := generate(rand.New(rand.NewPCG(n, 0)), 30, m.FD())
		log, err := kernelload.Load(ebpf.SocketFilter, insns, 2)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", n, err, log)
		}
		compared, diff := compare(insns, kernelload.States(log))
		states += compared
		if diff != nil {
			bad[diff.what]++
			if bad[diff.what] <= 3 {
				t.Errorf("seed %d: %s\n%s", n, diff.text, around(log, diff.insn))
			}
		}
	}
	t.Logf("%d programs, %d registers compared", *programs, states)
	for what, n := range bad {
		t.Errorf("%d programs differ at %s", n, what)
	}
}

type difference struct {
	insn       int
	what, text string
}

// compare walks the program along the kernel's log.
func compare(insns []link.Raw, shown []kernelload.Shown) (int, *difference) {
	m := machine{other: make(map[int][10]bounds.Scalar)}
	n := 0
	check := func(s kernelload.Shown, regs *[10]bounds.Scalar, before string) *difference {
		for r := uint8(1); r <= workRegs; r++ {
			want, ok := s.Text[fmt.Sprintf("R%d", r)]
			if !ok {
				continue
			}
			n++
			if got := text(regs[r]); got != normal(want) {
				at := s.Insn
				if s.From >= 0 {
					at = s.From
				}
				in := insns[at]
				return &difference{insn: at, what: fmt.Sprintf("op %#02x other way %v", in.Op, s.From >= 0),
					text: fmt.Sprintf("%d: %s\nR%d is   %s\nkernel: %s\nbefore: %s", at, disasm(in), r, got, normal(want), before)}
			}
		}
		return nil
	}
	before := ""
	lastBefore := map[int]string{}
	for _, s := range shown {
		if s.From >= 0 {
			regs, ok := m.other[s.From]
			if !ok {
				return n, &difference{s.From, "kernel forks", fmt.Sprintf("%d: %s: the kernel goes both ways\nbefore: %s", s.From, disasm(insns[s.From]), lastBefore[s.From])}
			}
			if d := check(s, &regs, lastBefore[s.From]); d != nil {
				return n, d
			}
			m.regs, m.pc = regs, s.Insn
			continue
		}
		if s.Bare {
			if s.Insn >= 0 {
				if d := check(s, &m.regs, before); d != nil {
					return n, d
				}
			}
			continue
		}
		if s.Insn != m.pc {
			return n, &difference{m.pc, "other way", fmt.Sprintf("the kernel is at %d, not %d", s.Insn, m.pc)}
		}
		in := insns[m.pc]
		before = fmt.Sprintf("dst %s src %s", text(m.regs[in.Dst]), text(m.regs[in.Src]))
		lastBefore[m.pc] = before
		m.step(insns)
		if d := check(s, &m.regs, before); d != nil {
			return n, d
		}
	}
	return n, nil
}

// around are the lines of a log about an instruction.
func around(log string, insn int) string {
	var out []string
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, fmt.Sprintf("%d: ", insn)) || strings.HasPrefix(line, fmt.Sprintf("from %d ", insn)) ||
			strings.Contains(line, "INVARIANTS") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "\n")
}
