package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// edit is one change of a program. It is kept in files, so its meaning stays.
type edit struct {
	At    int    `json:"at"` // index of the instruction, a 64-bit load counting as one
	Kind  string `json:"kind"`
	Value int64  `json:"value,omitempty"`
}

// The kinds of edits.
const (
	setDst  = "dst"    // destination register Value
	setSrc  = "src"    // source register Value
	addOff  = "off"    // offset increased by Value
	setImm  = "imm"    // constant Value
	setOp   = "op"     // opcode byte Value
	drop    = "drop"   // does nothing any more
	swap    = "swap"   // changes places with the next one
	copyOf  = "copy"   // becomes what instruction Value is
	setJump = "jump"   // jumps Value instructions ahead
	negate  = "negate" // a conditional jump of the opposite sense
)

func (e edit) String() string { return fmt.Sprintf("%d %s %d", e.At, e.Kind, e.Value) }

// interesting are constants at which something changes.
var interesting = []int64{0, 1, -1, 2, 4, 7, 8, 15, 16, 63, 64, 255, 256, 4095, 4096, 65535, 1 << 20, 1<<31 - 1, -1 << 31}

// opcodes are bytes of real instructions of each class, and a few of none.
var opcodes = []int64{
	0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x57, 0x5f, 0x67, 0x6f, 0x77, 0x7f, 0x87, 0x97, 0x9f, 0xa7, 0xaf, 0xb7, 0xbf, 0xc7, 0xcf, 0xd7,
	0x04, 0x0c, 0x14, 0x1c, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x84, 0x94, 0xa4, 0xb4, 0xbc, 0xc4, 0xd4, 0xdc,
	0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91, 0x62, 0x6a, 0x72, 0x7a, 0x63, 0x6b, 0x73, 0x7b, 0xc3, 0xdb,
	0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x55, 0x5d, 0x65, 0x6d, 0x75, 0x7d, 0xa5, 0xb5, 0xc5, 0xd5,
	0x16, 0x1e, 0x26, 0x2e, 0x36, 0x3e, 0x46, 0x56, 0x5e, 0x66, 0x76, 0xa6, 0xb6, 0xc6, 0xd6,
}

// randomEdit draws a change of insns that can be made.
func randomEdit(rng *rand.Rand, insns asm.Instructions) (edit, bool) {
	for range 100 {
		e := edit{At: rng.IntN(len(insns))}
		switch kind := rng.IntN(10); kind {
		case 0:
			e.Kind, e.Value = setDst, nearby(rng, insns, e.At)
		case 1:
			if c := insns[e.At].OpCode.Class(); (c.IsALU() || c.IsJump()) && insns[e.At].OpCode.Source() != asm.RegSource && rng.IntN(20) > 0 {
				continue // the source is not used: refused for that only
			}
			e.Kind, e.Value = setSrc, nearby(rng, insns, e.At)
		case 2:
			e.Kind, e.Value = addOff, []int64{1, -1, 2, 4, -4, 8, -8, 16, -16, 64, -512}[rng.IntN(11)]
		case 3:
			e.Kind, e.Value = setImm, interesting[rng.IntN(len(interesting))]
		case 4:
			e.Kind, e.Value = setOp, opcodes[rng.IntN(len(opcodes))]
		case 5:
			e.Kind = drop
		case 6:
			e.Kind = swap
		case 7:
			e.Kind, e.Value = copyOf, int64(rng.IntN(len(insns)))
		case 8:
			e.Kind, e.Value = setJump, int64(rng.IntN(12)-3)
		default:
			e.Kind = negate
		}
		if e.apply(append(asm.Instructions(nil), insns...)) == nil {
			return e, true
		}
	}
	return edit{}, false
}

// nearby is mostly a register that one of the instructions before uses.
func nearby(rng *rand.Rand, insns asm.Instructions, at int) int64 {
	in := insns[max(0, at-1-rng.IntN(8))]
	switch rng.IntN(8) {
	case 0:
		return int64(rng.IntN(11))
	case 1, 2, 3:
		return int64(in.Src & 0xf)
	}
	return int64(in.Dst & 0xf)
}

// opposite are conditional jumps and what they become.
var opposite = map[asm.JumpOp]asm.JumpOp{
	asm.JEq: asm.JNE, asm.JNE: asm.JEq, asm.JGT: asm.JLE, asm.JLE: asm.JGT, asm.JGE: asm.JLT, asm.JLT: asm.JGE,
	asm.JSGT: asm.JSLE, asm.JSLE: asm.JSGT, asm.JSGE: asm.JSLT, asm.JSLT: asm.JSGE,
}

// apply makes the change. The error says why it cannot be made.
func (e edit) apply(insns asm.Instructions) error {
	if e.At < 0 || e.At >= len(insns) {
		return fmt.Errorf("edit %v: there is no such instruction", e)
	}
	in := &insns[e.At]
	class, wide := in.OpCode.Class(), in.OpCode.IsDWordLoad()
	no := fmt.Errorf("edit %v: not of %v", e, *in)
	if btf.CORERelocationMetadata(in) != nil {
		return no // the loader's to fill in
	}
	isCall, isExit := class.IsJump() && in.OpCode.JumpOp() == asm.Call, class.IsJump() && in.OpCode.JumpOp() == asm.Exit
	switch e.Kind {
	case setDst:
		if isCall || isExit || class.IsJump() && in.OpCode.JumpOp() == asm.Ja || in.Dst == asm.Register(e.Value) {
			return no
		}
		in.Dst = asm.Register(e.Value)
	case setSrc:
		if isCall || isExit || wide || in.Src == asm.Register(e.Value) {
			return no
		}
		in.Src = asm.Register(e.Value)
	case addOff:
		if !class.IsLoad() && !class.IsStore() || wide {
			return no
		}
		in.Offset += int16(e.Value)
	case setImm:
		if in.Reference() != "" || wide && in.Src != asm.R0 || in.Constant == e.Value || in.IsKfuncCall() {
			return no
		}
		if isCall && (e.Value <= 0 || e.Value > 220) {
			return no
		}
		in.Constant = e.Value
	case setOp:
		op := asm.OpCode(e.Value)
		if isCall || isExit || wide || in.Reference() != "" || op == in.OpCode || op.Class().IsJump() != class.IsJump() {
			return no
		}
		in.OpCode = op
	case drop:
		if isExit || wide || in.Symbol() != "" {
			return no
		}
		*in = asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Ja)}.WithSource(in.Source())
	case swap:
		if e.At+1 >= len(insns) {
			return no
		}
		next := &insns[e.At+1]
		if in.Symbol() != "" || next.Symbol() != "" || isExit || btf.CORERelocationMetadata(next) != nil ||
			next.OpCode.Class().IsJump() && next.OpCode.JumpOp() == asm.Exit {
			return no
		}
		*in, *next = *next, *in
	case copyOf:
		if e.Value < 0 || e.Value >= int64(len(insns)) {
			return no
		}
		from := insns[e.Value]
		if in.Symbol() != "" || from.Symbol() != "" || int64(e.At) == e.Value || btf.CORERelocationMetadata(&from) != nil {
			return no
		}
		*in = from.WithSource(in.Source())
	case setJump:
		if !class.IsJump() || isCall || isExit || e.Value == -1 {
			return no
		}
		*in = in.WithReference("")
		in.Offset = int16(e.Value)
		if class == asm.Jump32Class && in.OpCode.JumpOp() == asm.Ja {
			in.Constant = e.Value
		}
	case negate:
		op, ok := opposite[in.OpCode.JumpOp()]
		if !ok || !class.IsJump() {
			return no
		}
		in.OpCode = in.OpCode.SetJumpOp(op)
	default:
		return fmt.Errorf("edit %v: unknown kind", e)
	}
	return nil
}
