package enginetest

import (
	"math"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
)

// returns is a program that puts something into r0.
func returns(insns ...asm.Instruction) asm.Instructions { return append(insns, asm.Return()) }

func imm64(r asm.Register, v uint64) asm.Instruction { return asm.LoadImm(r, int64(v), asm.DWord) }

func aluTests() []test {
	one := func(name string, op asm.Instruction, a, b, want uint64) test {
		return test{name: name, insns: returns(imm64(asm.R1, a), imm64(asm.R2, b), op, asm.Mov.Reg(asm.R0, asm.R1)), r0: want}
	}
	const r1, r2 = asm.R1, asm.R2
	const minI64, minI32, max32 = 1 << 63, 1 << 31, math.MaxUint32
	neg := func(v int64) uint64 { return uint64(v) }
	neg32 := func(v int32) uint64 { return uint64(uint32(v)) }
	return []test{
		one("add wraps", asm.Add.Reg(r1, r2), math.MaxUint64, 2, 1),
		one("add32 clears the upper half", asm.Add.Reg32(r1, r2), 0xffff_0000_ffff_ffff, 2, 1),
		one("add imm sign-extends", asm.Add.Imm(r1, -1), 5, 0, 4),
		one("mov imm sign-extends", asm.Mov.Imm(r1, -1), 0, 0, math.MaxUint64),
		one("mov32 imm does not", asm.Mov.Imm32(r1, -1), 0, 0, max32),
		one("and imm sign-extends", asm.And.Imm(r1, -16), 0x1_0000_0012, 0, 0x1_0000_0010),
		one("sub", asm.Sub.Reg(r1, r2), 1, 2, math.MaxUint64),
		one("sub32", asm.Sub.Reg32(r1, r2), 1, 2, max32),
		one("mul", asm.Mul.Reg(r1, r2), 1<<40, 1<<30, 0),
		one("mul32", asm.Mul.Reg32(r1, r2), max32, max32, 1),
		one("div", asm.Div.Reg(r1, r2), math.MaxUint64, 2, math.MaxInt64),
		one("div by zero", asm.Div.Reg(r1, r2), 17, 0, 0),
		one("div32 by zero", asm.Div.Reg32(r1, r2), 17<<32|17, 1<<32, 0),
		one("mod by zero", asm.Mod.Reg(r1, r2), 1<<40|17, 0, 1<<40|17),
		one("mod32 by zero", asm.Mod.Reg32(r1, r2), 1<<40|17, 1<<32, 17),
		one("sdiv", asm.SDiv.Reg(r1, r2), neg(-7), 2, neg(-3)),
		one("sdiv by zero", asm.SDiv.Reg(r1, r2), neg(-7), 0, 0),
		one("sdiv overflow", asm.SDiv.Reg(r1, r2), minI64, neg(-1), minI64),
		one("sdiv32 overflow", asm.SDiv.Reg32(r1, r2), minI32, neg32(-1), minI32),
		one("sdiv imm", asm.SDiv.Imm(r1, -2), 7, 0, neg(-3)),
		one("smod", asm.SMod.Reg(r1, r2), neg(-7), 2, neg(-1)),
		one("smod by zero", asm.SMod.Reg(r1, r2), neg(-7), 0, neg(-7)),
		one("smod overflow", asm.SMod.Reg(r1, r2), minI64, neg(-1), 0),
		one("smod32", asm.SMod.Reg32(r1, r2), neg32(-7), 2, neg32(-1)),
		one("smod32 overflow", asm.SMod.Reg32(r1, r2), minI32, neg32(-1), 0),
		one("shift counts are masked", asm.LSh.Reg(r1, r2), 3, 65, 6),
		one("shift32 counts are masked", asm.LSh.Reg32(r1, r2), 3, 33, 6),
		one("rsh32", asm.RSh.Imm32(r1, 4), 0xf_8000_0000, 0, 0x0800_0000),
		one("arsh", asm.ArSh.Imm(r1, 4), neg(-32), 0, neg(-2)),
		one("arsh32", asm.ArSh.Imm32(r1, 4), minI32, 0, 0xf800_0000),
		one("neg", asm.Neg.Imm(r1, 0), 5, 0, neg(-5)),
		one("neg32", asm.Neg.Imm32(r1, 0), 5, 0, neg32(-5)),
		one("movsx8", asm.MovSX8.Reg(r1, r2), 0, 0x180, neg(-128)),
		one("movsx16", asm.MovSX16.Reg(r1, r2), 0, 0x18000, neg(-32768)),
		one("movsx32", asm.MovSX32.Reg(r1, r2), 0, 1<<31, neg(math.MinInt32)),
		one("movsx8 to 32", asm.MovSX8.Reg32(r1, r2), 0, 0x80, neg32(-128)),
		one("movsx16 to 32", asm.MovSX16.Reg32(r1, r2), 0, 0x8000, neg32(-32768)),
		one("be16", asm.HostTo(asm.BE, r1, asm.Half), 0x0123456789abcdef, 0, 0xefcd),
		one("be32", asm.HostTo(asm.BE, r1, asm.Word), 0x0123456789abcdef, 0, 0xefcdab89),
		one("be64", asm.HostTo(asm.BE, r1, asm.DWord), 0x0123456789abcdef, 0, 0xefcdab8967452301),
		one("le16", asm.HostTo(asm.LE, r1, asm.Half), 0x0123456789abcdef, 0, 0xcdef),
		one("le32", asm.HostTo(asm.LE, r1, asm.Word), 0x0123456789abcdef, 0, 0x89abcdef),
		one("le64", asm.HostTo(asm.LE, r1, asm.DWord), 0x0123456789abcdef, 0, 0x0123456789abcdef),
		one("bswap16", asm.BSwap(r1, asm.Half), 0x0123456789abcdef, 0, 0xefcd),
		one("bswap64", asm.BSwap(r1, asm.DWord), 0x0123456789abcdef, 0, 0xefcdab8967452301),
	}
}

func jumpTests() []test {
	taken := func(name string, j asm.JumpOp, a, b uint64, wide bool, want uint64) test {
		ins := j.Reg32(asm.R1, asm.R2, "yes")
		if wide {
			ins = j.Reg(asm.R1, asm.R2, "yes")
		}
		return test{name: name, r0: want, insns: asm.Instructions{imm64(asm.R1, a), imm64(asm.R2, b), ins,
			asm.Mov.Imm(asm.R0, 0), asm.Return(), asm.Mov.Imm(asm.R0, 1).WithSymbol("yes"), asm.Return()}}
	}
	mayGoto := asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.JCOND), Offset: -1}.WithReference("out")
	minus := uint64(math.MaxUint64)
	return []test{
		taken("jgt is unsigned", asm.JGT, minus, 1, true, 1),
		taken("jsgt is signed", asm.JSGT, minus, 1, true, 0),
		taken("jeq32 ignores the upper half", asm.JEq, 1<<32|5, 5, false, 1),
		taken("jeq does not", asm.JEq, 1<<32|5, 5, true, 0),
		taken("jset", asm.JSet, 6, 2, true, 1),
		taken("jset of nothing", asm.JSet, 5, 2, true, 0),
		taken("jset32", asm.JSet, 1<<32, 1<<32, false, 0),
		taken("jslt32", asm.JSLT, 1<<31, 0, false, 1),
		taken("jsle", asm.JSLE, minus, minus, true, 1),
		taken("jge", asm.JGE, 3, 4, true, 0),
		{name: "gotol", r0: 2, insns: asm.Instructions{asm.LongJump("far"), asm.Mov.Imm(asm.R0, 1), asm.Return(),
			asm.Mov.Imm(asm.R0, 2).WithSymbol("far"), asm.Return()}},
		{name: "may_goto ends a loop", r0: 8 << 20, budget: 1 << 26, insns: asm.Instructions{asm.Mov.Imm(asm.R0, 0),
			mayGoto.WithSymbol("again"), asm.Add.Imm(asm.R0, 1), asm.Ja.Label("again"), asm.Return().WithSymbol("out")}},
		{name: "an endless loop ends", fault: vm.LimitExceeded, text: "more than 1048576 instructions",
			insns: asm.Instructions{asm.Ja.Label("again").WithSymbol("again")}},
		{name: "endless calls end", fault: vm.LimitExceeded, text: "deeper than 8 frames",
			insns: asm.Instructions{asm.Call.Label("f"), asm.Return(), asm.Call.Label("f").WithSymbol("f"), asm.Return()}},
	}
}
