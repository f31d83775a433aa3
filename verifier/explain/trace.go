package explain

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/link"
)

// step is one instruction on the path to a refusal.
type step struct {
	slot int
	in   *link.Insn
	// depth is how many calls deep the instruction is.
	depth int
	// state is what the log says of registers and stack after it: "R0" to
	// "ptr_or_null_nf_conn(id=2,ref_obj_id=2)".
	state map[string]string
}

// trace is the path.
type trace struct {
	prog  *link.Program
	steps []step
}

// maxSteps bounds how much of a path is looked at: its end.
const maxSteps = 100_000

var (
	insnLine  = regexp.MustCompile(`^(\d+): \([0-9a-f]{2}\) `)
	stateText = regexp.MustCompile(`(?:^|[ ;])(R\d+|fp-\d+)(?:_\w+)?=`)
)

// parseTrace reads the path out of a log.
func parseTrace(prog *link.Program, log string) *trace {
	t := &trace{prog: prog}
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		m := insnLine.FindStringSubmatch(line)
		if m == nil {
			if n := len(t.steps); n > 0 && !strings.HasPrefix(line, ";") {
				addState(&t.steps[n-1], line)
			}
			continue
		}
		slot, err := strconv.Atoi(m[1])
		if err != nil {
			continue
		}
		i, ok := prog.Index(slot)
		if !ok {
			continue
		}
		s := step{slot: slot, in: &prog.Insns[i]}
		addState(&s, line)
		t.steps = append(t.steps, s)
	}
	if n := len(t.steps); n > maxSteps {
		t.steps = t.steps[n-maxSteps:]
	}
	t.depths()
	return t
}

// addState reads the registers that a line tells of.
func addState(s *step, line string) {
	at := stateText.FindAllStringSubmatchIndex(line, -1)
	for i, m := range at {
		end := len(line)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		if s.state == nil {
			s.state = make(map[string]string)
		}
		s.state[line[m[2]:m[3]]] = strings.TrimSpace(line[m[1]:end])
	}
}

// depths finds out how deep in calls each step is.
func (t *trace) depths() {
	depth := 0
	for i := range t.steps {
		s := &t.steps[i]
		s.depth = depth
		if i+1 == len(t.steps) {
			break
		}
		next := t.steps[i+1].slot
		switch {
		case s.in.OpCode.JumpOp() == asm.Exit && s.in.OpCode.Class().IsJump():
			depth = max(0, depth-1)
		case s.in.IsFunctionCall():
			depth++
		case s.in.Call != nil && next != s.slot+1 && t.functionStart(next):
			depth++ // a callback
		}
	}
}

func (t *trace) functionStart(slot int) bool {
	i, ok := t.prog.Index(slot)
	if !ok {
		return false
	}
	for _, f := range t.prog.Subprogs {
		if f.Start == i {
			return true
		}
	}
	return false
}

// last is the newest step at or before i at a slot, -1 for none.
func (t *trace) last(i, slot int) int {
	for ; i >= 0; i-- {
		if t.steps[i].slot == slot {
			return i
		}
	}
	return -1
}

// origin is the step that made the value which register reg has before step i, through
// moves, spills and calls; -1 where it comes from outside.
func (t *trace) origin(i int, reg asm.Register) int {
	depth := t.depthAt(i)
	for i--; i >= 0; i-- {
		s := &t.steps[i]
		switch {
		case s.depth > depth:
			if reg == asm.R0 && s.depth == depth+1 && isExit(s.in) {
				return t.origin(i, asm.R0)
			}
			continue
		case s.depth < depth:
			if reg < asm.R1 || reg > asm.R5 {
				return -1
			}
			depth = s.depth // the caller's argument
			if s.in.Call != nil {
				return i // a callback's argument
			}
			continue
		}
		switch class := s.in.OpCode.Class(); {
		case s.in.IsFunctionCall() || s.in.Call != nil:
			if reg <= asm.R5 && !(s.in.IsFunctionCall() && reg == asm.R0) {
				return i
			}
		case s.in.Dst != reg || class.IsStore():
		case class.IsALU() && s.in.OpCode.ALUOp() == asm.Mov && s.in.OpCode.Source() == asm.RegSource && class == asm.ALU64Class && s.in.Offset == 0:
			reg = s.in.Src
		case class == asm.LdXClass && s.in.Src == asm.R10:
			j := t.spilled(i, s.depth, s.in.Offset)
			if j < 0 {
				return i
			}
			reg, i = t.steps[j].in.Src, j
		case class.IsJump():
		default:
			return i
		}
	}
	return -1
}

func (t *trace) depthAt(i int) int {
	if i < len(t.steps) {
		return t.steps[i].depth
	}
	return t.steps[len(t.steps)-1].depth
}

// spilled is the step that stored a register to the stack slot at off, as seen from
// step i.
func (t *trace) spilled(i, depth int, off int16) int {
	for i--; i >= 0; i-- {
		s := &t.steps[i]
		if s.depth == depth && s.in.OpCode.Class() == asm.StXClass && s.in.Dst == asm.R10 && s.in.Offset == off {
			return i
		}
	}
	return -1
}

// isExit reports whether an instruction leaves a function.
func isExit(in *link.Insn) bool {
	return in.OpCode.Class().IsJump() && in.OpCode.JumpOp() == asm.Exit
}

// isBranch reports whether an instruction is a conditional jump.
func isBranch(in *link.Insn) bool {
	if !in.OpCode.Class().IsJump() {
		return false
	}
	switch in.OpCode.JumpOp() {
	case asm.Exit, asm.Call, asm.Ja, asm.InvalidJumpOp:
		return false
	}
	return true
}
