package cfg

import (
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/verifier/state"
)

// Subprog is a function of the program: the slots [Start, End).
type Subprog struct {
	Name       string
	Start, End int
	// Func is its BTF, nil without.
	Func *btf.Func
}

// Graph is the control flow of a program.
type Graph struct{}

// PrunePoint reports whether states are compared at an instruction.
func (g *Graph) PrunePoint(insn int) bool { return false }

// JumpPoint reports whether a step to an instruction goes into the history.
func (g *Graph) JumpPoint(insn int) bool { return false }

// ForceCheckpoint reports whether a state is kept at each visit.
func (g *Graph) ForceCheckpoint(insn int) bool { return false }

// IterNext reports whether an instruction steps an iterator.
func (g *Graph) IterNext(insn int) bool { return false }

// MayGoto reports whether an instruction is a may_goto.
func (g *Graph) MayGoto(insn int) bool { return false }

// CallsCallback reports whether an instruction calls a function that calls back.
func (g *Graph) CallsCallback(insn int) bool { return false }

// LiveRegs are the registers that are read at or after an instruction, a bit each.
func (g *Graph) LiveRegs(insn int) uint16 { return 1<<11 - 1 }

// SlotLive reports whether a stack slot of frame n of the state is read later.
func (g *Graph) SlotLive(s *state.State, n, slot int) bool { return true }
