package enginetest

import (
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
)

const benchRounds = 10000

// benchPrograms are loops of benchRounds rounds; r6 points to the buffer.
var benchPrograms = []struct {
	name string
	body asm.Instructions
}{
	{"alu", asm.Instructions{
		asm.Add.Reg(asm.R0, asm.R7), asm.Xor.Imm(asm.R0, 0x55), asm.LSh.Imm32(asm.R1, 3), asm.Add.Reg(asm.R1, asm.R0),
		asm.Mul.Imm(asm.R0, 31), asm.Mov.Reg(asm.R2, asm.R0), asm.RSh.Imm(asm.R2, 7), asm.Xor.Reg(asm.R0, asm.R2)}},
	{"branches", asm.Instructions{
		asm.And.Imm(asm.R0, 0xff), asm.JGT.Imm(asm.R0, 100, "a"), asm.Add.Imm(asm.R0, 7),
		asm.JSet.Imm(asm.R7, 1, "b").WithSymbol("a"), asm.Add.Reg(asm.R0, asm.R7),
		asm.JEq.Reg32(asm.R0, asm.R1, "c").WithSymbol("b"), asm.Mov.Reg(asm.R1, asm.R0), asm.Xor.Imm(asm.R0, 0x2a).WithSymbol("c")}},
	{"stack", asm.Instructions{
		asm.StoreMem(asm.R10, -8, asm.R0, asm.DWord), asm.LoadMem(asm.R1, asm.R10, -8, asm.Word), asm.StoreMem(asm.R10, -12, asm.R1, asm.Half),
		asm.LoadMem(asm.R2, asm.R10, -12, asm.Byte), asm.Add.Reg(asm.R0, asm.R2)}},
	{"map value", asm.Instructions{
		asm.StoreMem(asm.R6, 8, asm.R0, asm.DWord), asm.LoadMem(asm.R1, asm.R6, 8, asm.Word), asm.StoreMem(asm.R6, 4, asm.R1, asm.Half),
		asm.LoadMem(asm.R2, asm.R6, 4, asm.Byte), asm.Add.Reg(asm.R0, asm.R2)}},
	{"atomic", asm.Instructions{encoded(asm.FetchAdd.Mem(asm.R6, asm.R1, asm.DWord, 8)), encoded(asm.AddAtomic.Mem(asm.R6, asm.R0, asm.Word, 16))}},
	{"calls", asm.Instructions{asm.Mov.Reg(asm.R1, asm.R0), asm.Call.Label("f"), asm.Add.Imm(asm.R0, 1), asm.Mov.Imm(asm.R1, 0), asm.Mov.Imm(asm.R2, 0)}},
}

// benchProgram is a loop round body.
func benchProgram(body asm.Instructions) asm.Instructions {
	all := asm.Instructions{LoadValue(asm.R6, Buffer, 0), asm.Mov.Imm(asm.R0, 1), asm.Mov.Imm(asm.R1, 1), asm.Mov.Imm(asm.R2, 1),
		asm.LoadMem(asm.R7, asm.R6, 0, asm.Word), asm.And.Imm(asm.R7, 0), asm.Add.Imm(asm.R7, benchRounds)}
	first := len(all)
	all = append(all, body...)
	all[first] = all[first].WithSymbol("again")
	all = append(all, asm.Sub.Imm(asm.R7, 1), asm.JNE.Imm(asm.R7, 0, "again"), asm.Mov.Imm(asm.R0, 0), asm.Return())
	for _, in := range body {
		if in.Reference() == "f" {
			return append(all, asm.Mov.Reg(asm.R0, asm.R1).WithSymbol("f"), asm.Xor.Imm(asm.R0, 5), asm.Return())
		}
	}
	return all
}

// BenchmarkInsn measures the time of an instruction.
func BenchmarkInsn(b *testing.B, engine vm.Engine) {
	for _, bp := range benchPrograms {
		b.Run(bp.name, func(b *testing.B) {
			env := New(b, engine, vm.Config{})
			env.Object(b, vm.ObjectSpec{Kind: vm.KindMapValue, Name: Buffer, Size: 64})
			p := env.Program(b, bp.name, benchProgram(bp.body))
			b.ReportAllocs()
			var insns uint64
			for b.Loop() {
				res, err := env.Run(p)
				if err != nil {
					b.Fatal(err)
				}
				insns += res.Insns
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(insns), "ns/insn")
		})
	}
}

// BenchmarkRun measures what a run costs that does nothing.
func BenchmarkRun(b *testing.B, engine vm.Engine) {
	env := New(b, engine, vm.Config{})
	p := env.Program(b, "nothing", asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := env.Run(p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCallback measures a round of bpf_loop.
func BenchmarkCallback(b *testing.B, engine vm.Engine) {
	env := New(b, engine, vm.Config{})
	env.Funcs["loop"] = Loop
	p := env.Program(b, "loop", asm.Instructions{asm.Mov.Imm(asm.R1, benchRounds), LoadFunc(asm.R2, "f"), CallFunc("loop"), asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("f"), asm.Return()})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := env.Run(p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRounds, "ns/round")
}
