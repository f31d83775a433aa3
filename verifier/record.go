package verifier

import (
	"slices"

	"github.com/bpfct/bpfct/verifier/state"
)

// maxSeen bounds the states that are recorded of an instruction.
const maxSeen = 128

// Seen is what the verifier knew of the registers at an instruction on one path.
type Seen struct {
	// Live has a bit for each register that the instruction or a later one reads.
	// Nothing is said of the others.
	Live uint16
	// Regs are the live registers, by number. The ID of one is 1 + the first register
	// that it shares its own with, 0 where it shares it with none; AddConst stays.
	Regs [numRegs]state.Reg
}

// Seen lists what was known at the instruction in a slot, over all paths, where
// Options.Record asked for it. complete is false where there was more than is kept.
func (r *Result) Seen(slot int) (seen []Seen, complete bool) {
	if slot >= len(r.seen) {
		return nil, false
	}
	return r.seen[slot], len(r.seen[slot]) < maxSeen
}

// record notes the state before the current instruction.
func (e *env) record() {
	seen := e.seen[e.insn]
	if len(seen) == maxSeen {
		return
	}
	now := Seen{Live: e.graph.LiveRegs(e.insn)}
	regs := e.cur.Regs()
	for i := range regs {
		if now.Live&(1<<i) == 0 {
			continue
		}
		r := regs[i]
		r.ID = e.sharesID(regs, now.Live, i)
		r.Precise, r.SubregDef, r.MapUID = false, 0, 0
		r.RefObjID = min(r.RefObjID, 1)
		now.Regs[i] = r
	}
	if !slices.Contains(seen, now) {
		e.seen[e.insn] = append(seen, now)
	}
}

// sharesID is the ID of register n for Seen.
func (e *env) sharesID(regs *[numRegs]state.Reg, live uint16, n int) uint32 {
	id := regs[n].ID
	if id == 0 {
		return 0
	}
	first, shared := n, false
	for i := range regs {
		if live&(1<<i) != 0 && i != n && regs[i].ID&^state.AddConst == id&^state.AddConst {
			first, shared = min(first, i), true
		}
	}
	if !shared {
		return 0
	}
	return uint32(first+1) | id&state.AddConst
}
