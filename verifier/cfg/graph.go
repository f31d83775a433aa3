package cfg

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
)

// mark is a set of properties of an instruction.
type mark uint8

const (
	prunePoint mark = 1 << iota
	jumpPoint
	forceCheckpoint
	iterNext
	mayGoto
	callsCallback
)

// Graph is the control flow of a program.
type Graph struct {
	insns []Insn
	subs  []Subprog
	marks []mark
	// live are the registers that are read at or after an instruction, scc the loop
	// that it is part of, 0 for none.
	live []uint16
	scc  []int32
	// order has the instructions of each function in postorder.
	order [][]int32
}

// PrunePoint reports whether states are compared at an instruction.
func (g *Graph) PrunePoint(insn int) bool { return g.marks[insn]&prunePoint != 0 }

// JumpPoint reports whether a step to an instruction goes into the history.
func (g *Graph) JumpPoint(insn int) bool { return g.marks[insn]&jumpPoint != 0 }

// ForceCheckpoint reports whether a state is kept at each visit.
func (g *Graph) ForceCheckpoint(insn int) bool { return g.marks[insn]&forceCheckpoint != 0 }

// IterNext reports whether an instruction steps an iterator.
func (g *Graph) IterNext(insn int) bool { return g.marks[insn]&iterNext != 0 }

// MayGoto reports whether an instruction is a may_goto.
func (g *Graph) MayGoto(insn int) bool { return g.marks[insn]&mayGoto != 0 }

// CallsCallback reports whether an instruction calls a function that calls back.
func (g *Graph) CallsCallback(insn int) bool { return g.marks[insn]&callsCallback != 0 }

// LiveRegs are the registers that are read at or after an instruction, a bit each.
func (g *Graph) LiveRegs(insn int) uint16 { return g.live[insn] }

// Live is LiveRegs of every instruction.
func (g *Graph) Live() []uint16 { return g.live }

// SCC is the number of the loop that an instruction is part of, 0 for none.
func (g *Graph) SCC(insn int) int { return int(g.scc[insn]) }

// Subprogs are the functions.
func (g *Graph) Subprogs() []Subprog { return g.subs }

// Edges of the depth-first search.
const (
	unseen     = 0
	discovered = 0x10
	explored   = 0x20
	fallsTo    = 1
	branchesTo = 2
)

// search is the depth-first search that finds what is reachable. The order in which
// edges are followed decides where marks are set before a fault ends it, and which
// fault is found first.
type search struct {
	*Graph
	state []uint8
	stack []int
}

// Build checks the control flow and makes the graph. exception is the start of the
// exception callback, 0 for none. subs must be those of Split; what each function
// does through others is noted there.
func Build(insns []Insn, subs []Subprog, exception int) (*Graph, error) {
	g := &Graph{insns: insns, subs: subs, marks: make([]mark, len(insns)+1)}
	s := search{Graph: g, state: make([]uint8, len(insns))}
	for _, root := range []int{0, exception} {
		if s.state[root] == explored {
			continue
		}
		if err := s.run(root); err != nil {
			return nil, err
		}
	}
	for i := 0; i < len(insns); i++ {
		if s.state[i] != explored {
			return nil, fault(errno.EINVAL, i, "unreachable insn %d", i)
		}
		if insns[i].Op == opLoadImm64 {
			if s.state[i+1] != unseen {
				return nil, fault(errno.EINVAL, i, "jump into the middle of ldimm64 insn %d", i)
			}
			i++
		}
	}
	g.sort()
	g.findLoops()
	g.findLiveRegs()
	return g, nil
}

func (s *search) run(root int) error {
	s.state[root] = discovered
	s.stack = append(s.stack[:0], root)
	for len(s.stack) > 0 {
		t := s.stack[len(s.stack)-1]
		more, err := s.visit(t)
		if err != nil {
			return err
		}
		if !more {
			s.state[t] = explored
			s.stack = s.stack[:len(s.stack)-1]
		}
	}
	return nil
}

// visit follows the next edge of t, and reports whether it led to something new.
func (s *search) visit(t int) (more bool, err error) {
	in := &s.insns[t]
	if in.isFuncAddr() {
		return s.visitCall(t, true)
	}
	if !in.isJump() {
		return s.follow(t, t+in.size(), fallsTo)
	}
	switch in.Op & opMask {
	case jmpExit:
		return false, nil
	case jmpCall:
		s.markCall(t)
		return s.visitCall(t, in.Src == pseudoCall)
	case jmpJA:
		if in.Op&sourceX != 0 {
			return false, fault(errno.EINVAL, t, "")
		}
		to := t + in.jumpOffset() + 1
		if more, err = s.follow(t, to, fallsTo); more || err != nil {
			return more, err
		}
		s.marks[to] |= prunePoint | jumpPoint
		return false, nil
	}
	s.marks[t] |= prunePoint
	if in.Op == opMayGoto {
		s.marks[t] |= forceCheckpoint | mayGoto
	}
	if more, err = s.follow(t, t+1, fallsTo); more || err != nil {
		return more, err
	}
	return s.follow(t, t+int(in.Off)+1, branchesTo)
}

// markCall notes what is special about a call.
func (s *search) markCall(t int) {
	in := &s.insns[t]
	sync, async := in.callsBack()
	if async {
		s.marks[t] |= prunePoint
	}
	if sync {
		s.marks[t] |= callsCallback | forceCheckpoint | prunePoint | jumpPoint
	}
	if in.has(kernel.IterNext) {
		s.marks[t] |= prunePoint | forceCheckpoint | iterNext
	}
	sub := &s.subs[Containing(s.subs, t)]
	sub.MightSleep = sub.MightSleep || in.has(kernel.Sleepable)
	sub.ChangesPacket = sub.ChangesPacket || in.has(kernel.ChangesPacket)
}

// visitCall follows a call's return, then the call itself.
func (s *search) visitCall(t int, callee bool) (more bool, err error) {
	in := &s.insns[t]
	back := t + in.size()
	if more, err = s.follow(t, back, fallsTo); more || err != nil {
		return more, err
	}
	s.marks[back] |= prunePoint | jumpPoint
	if !callee {
		return false, nil
	}
	to := t + int(in.Imm) + 1
	s.marks[t] |= prunePoint
	caller, called := &s.subs[Containing(s.subs, t)], &s.subs[Containing(s.subs, to)]
	caller.MightSleep = caller.MightSleep || called.MightSleep
	caller.ChangesPacket = caller.ChangesPacket || called.ChangesPacket
	return s.follow(t, to, branchesTo)
}

// follow takes the edge from t to w unless it was taken, and reports whether w is
// new.
func (s *search) follow(t, w int, edge uint8) (more bool, err error) {
	if s.state[t] >= discovered|edge {
		return false, nil
	}
	if w < 0 || w >= len(s.insns) {
		return false, fault(errno.EINVAL, t, "jump out of range from insn %d to %d", t, w)
	}
	if edge == branchesTo {
		s.marks[w] |= prunePoint | jumpPoint
	}
	switch {
	case s.state[w] == unseen:
		s.state[t] = discovered | edge
		s.state[w] = discovered
		s.stack = append(s.stack, w)
		return true, nil
	case s.state[w] == explored:
		s.state[t] = discovered | edge
	}
	return false, nil
}
