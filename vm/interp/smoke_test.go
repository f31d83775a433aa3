package interp

import (
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/clock"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/vm"
)

type plainResolver struct{}

func (plainResolver) Call(ins *asm.Instruction) (*vm.Call, error) { return nil, nil }
func (plainResolver) Load(ins *asm.Instruction) (uint64, error)   { return uint64(ins.Constant), nil }
func (plainResolver) Func(slot int) (uint64, error)               { return 0, nil }

func BenchmarkLoop(b *testing.B) {
	m := vm.New(vm.Config{Profile: new(kernel.Profile), Clock: new(clock.Clock), Engine: Engine{}, Registry: new(vm.Registry)})
	p := &vm.Program{Name: "loop"}
	n := int32(10000)
	err := p.Assemble(asm.Instructions{
		asm.Mov.Imm(asm.R0, 0),
		asm.Mov.Imm(asm.R1, n),
		asm.Add.Reg(asm.R0, asm.R1).WithSymbol("loop"),
		asm.Xor.Imm(asm.R0, 0x55),
		asm.StoreMem(asm.R10, -8, asm.R0, asm.DWord),
		asm.LoadMem(asm.R2, asm.R10, -8, asm.DWord),
		asm.LSh.Imm(asm.R2, 3),
		asm.Add.Reg(asm.R0, asm.R2),
		asm.Add.Imm(asm.R1, -1),
		asm.JNE.Imm(asm.R1, 0, "loop"),
		asm.Return(),
	}, plainResolver{})
	if err != nil {
		b.Fatal(err)
	}
	if err := m.Compile(p); err != nil {
		b.Fatal(err)
	}
	var total uint64
	for b.Loop() {
		res, err := m.Run(p, vm.RunOptions{CPU: vm.AnyCPU})
		if err != nil {
			b.Fatal(err)
		}
		total += res.Insns
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(total), "ns/insn")
}
