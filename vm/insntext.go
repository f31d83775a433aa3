package vm

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// InsnText is the instruction in the given slot, in the notation of the kernel's
// verifier log and of bpftool.
func (p *Program) InsnText(slot int) string {
	if slot < 0 || slot >= len(p.Insns) {
		return "outside the program"
	}
	in := &p.Insns[slot]
	switch class := asm.Class(in.Op & 7); class {
	case asm.ALUClass, asm.ALU64Class:
		return in.aluText(class == asm.ALU64Class)
	case asm.JumpClass, asm.Jump32Class:
		return p.jumpText(slot, class == asm.JumpClass)
	case asm.LdClass:
		return in.loadText(slot+1 < len(p.Insns))
	case asm.LdXClass:
		return fmt.Sprintf("r%d = %s", in.Dst, in.memText(in.Src))
	case asm.StClass:
		return fmt.Sprintf("%s = %d", in.memText(in.Dst), in.Imm)
	}
	if asm.Mode(in.Op&0xe0) == asm.AtomicMode {
		return in.atomicText()
	}
	return fmt.Sprintf("%s = r%d", in.memText(in.Dst), in.Src)
}

var aluSigns = map[asm.ALUOp]string{asm.Add: "+", asm.Sub: "-", asm.Mul: "*", asm.Div: "/", asm.Or: "|", asm.And: "&",
	asm.LSh: "<<", asm.RSh: ">>", asm.Mod: "%", asm.Xor: "^", asm.Mov: "", asm.ArSh: "s>>"}

func (in *Insn) aluText(wide bool) string {
	op := asm.ALUOp(in.Op & 0xf0)
	r := "r"
	if !wide {
		r = "w"
	}
	switch op {
	case asm.Neg:
		return fmt.Sprintf("%s%d = -%[1]s%[2]d", r, in.Dst)
	case asm.Swap:
		how := "le"
		switch {
		case wide:
			how = "bswap"
		case in.Op&8 != 0:
			how = "be"
		}
		return fmt.Sprintf("r%d = %s%d r%[1]d", in.Dst, how, in.Imm)
	}
	sign, ok := aluSigns[op]
	if !ok {
		return fmt.Sprintf("opcode %#02x", in.Op)
	}
	if (op == asm.Div || op == asm.Mod) && in.Off == 1 {
		sign = "s" + sign
	}
	if in.Op&8 == 0 {
		return fmt.Sprintf("%s%d %s= %d", r, in.Dst, sign, in.Imm)
	}
	cast := ""
	if op == asm.Mov && in.Off != 0 {
		cast = fmt.Sprintf("(s%d)", in.Off)
	}
	return fmt.Sprintf("%s%d %s= %s%s%d", r, in.Dst, sign, cast, r, in.Src)
}

var jumpSigns = map[asm.JumpOp]string{asm.JEq: "==", asm.JGT: ">", asm.JGE: ">=", asm.JSet: "&", asm.JNE: "!=", asm.JSGT: "s>",
	asm.JSGE: "s>=", asm.JLT: "<", asm.JLE: "<=", asm.JSLT: "s<", asm.JSLE: "s<="}

func (p *Program) jumpText(slot int, wide bool) string {
	in := &p.Insns[slot]
	op, dist := asm.JumpOp(in.Op&0xf0), int(in.Target)-slot-1
	switch {
	case op == asm.Ja && wide:
		return fmt.Sprintf("goto pc%+d", dist)
	case op == asm.Ja:
		return fmt.Sprintf("gotol pc%+d", dist)
	case in.Op == opExit:
		return "exit"
	case in.Op == opCall && in.Call != nil && in.Call.Kfunc:
		return "call " + in.Call.Name
	case in.Op == opCall && in.Call != nil:
		return fmt.Sprintf("call %s#%d", in.Call.Name, in.Imm)
	case in.Op == opCall:
		return fmt.Sprintf("call pc%+d", dist)
	case op == asm.JCOND && wide:
		return fmt.Sprintf("may_goto pc%+d", dist)
	}
	sign, ok := jumpSigns[op]
	if !ok {
		return fmt.Sprintf("opcode %#02x", in.Op)
	}
	r := "r"
	if !wide {
		r = "w"
	}
	if in.Op&8 != 0 {
		return fmt.Sprintf("if %s%d %s %s%d goto pc%+d", r, in.Dst, sign, r, in.Src, dist)
	}
	return fmt.Sprintf("if %s%d %s 0x%x goto pc%+d", r, in.Dst, sign, uint32(in.Imm), dist)
}

// sizeText is the C type of a memory access.
func (in *Insn) sizeText() string {
	sign := "u"
	if asm.Mode(in.Op&0xe0) == asm.MemSXMode {
		sign = "s"
	}
	return fmt.Sprintf("%s%d", sign, 8*asm.Size(in.Op&0x18).Sizeof())
}

func (in *Insn) memText(reg uint8) string {
	return fmt.Sprintf("*(%s *)(r%d %+d)", in.sizeText(), reg, in.Off)
}

func (in *Insn) loadText(second bool) string {
	switch asm.Mode(in.Op & 0xe0) {
	case asm.AbsMode:
		return fmt.Sprintf("r0 = *(%s *)skb[%d]", in.sizeText(), in.Imm)
	case asm.IndMode:
		return fmt.Sprintf("r0 = *(%s *)skb[r%d + %d]", in.sizeText(), in.Src, in.Imm)
	}
	if in.Op != opLoadImm64 || !second {
		return fmt.Sprintf("opcode %#02x", in.Op)
	}
	return fmt.Sprintf("r%d = %#x", in.Dst, in.Value)
}

func (in *Insn) atomicText() string {
	wide := "64"
	if asm.Size(in.Op&0x18) == asm.Word {
		wide = ""
	}
	at := fmt.Sprintf("(%s *)(r%d %+d)", in.sizeText(), in.Dst, in.Off)
	op := asm.OpCode(in.Op) | asm.OpCode(in.Imm)<<8
	plain := map[asm.AtomicOp]string{asm.AddAtomic: "+", asm.OrAtomic: "|", asm.AndAtomic: "&", asm.XorAtomic: "^"}
	fetch := map[asm.AtomicOp]string{asm.FetchAdd: "fetch_add", asm.FetchOr: "fetch_or", asm.FetchAnd: "fetch_and",
		asm.FetchXor: "fetch_xor", asm.Xchg: "xchg"}
	switch a := op.AtomicOp(); {
	case plain[a] != "":
		return fmt.Sprintf("lock *%s %s= r%d", at, plain[a], in.Src)
	case fetch[a] != "":
		return fmt.Sprintf("r%d = atomic%s_%s(%s, r%[1]d)", in.Src, wide, fetch[a], at)
	case a == asm.CmpXchg:
		return fmt.Sprintf("r0 = atomic%s_cmpxchg(%s, r0, r%d)", wide, at, in.Src)
	case in.Imm == 0x100:
		return fmt.Sprintf("r%d = load_acquire((%s *)(r%d %+d))", in.Dst, in.sizeText(), in.Src, in.Off)
	case in.Imm == 0x110:
		return fmt.Sprintf("store_release(%s, r%d)", at, in.Src)
	}
	return fmt.Sprintf("opcode %#02x, operation %#x", in.Op, in.Imm)
}
