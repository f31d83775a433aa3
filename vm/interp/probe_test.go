package interp_test

import (
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/enginetest"
	"github.com/bpfct/bpfct/vm/interp"
)

// A load that the kernel makes with a net below gives 0 where it fails, of every
// size, and what it can read otherwise.
func TestProbeLoad(t *testing.T) {
	for _, size := range []asm.Size{asm.Byte, asm.Half, asm.Word, asm.DWord} {
		e := enginetest.New(t, interp.Engine{}, vm.Config{})
		p := e.Program(t, "probe", asm.Instructions{
			asm.Mov.Imm(asm.R1, 8),
			asm.Mov.Imm(asm.R0, 7),
			asm.LoadMem(asm.R0, asm.R1, 0, size),
			asm.StoreImm(asm.RFP, -8, 5, asm.Word),
			asm.LoadMem(asm.R2, asm.RFP, -8, size),
			asm.Add.Reg(asm.R0, asm.R2),
			asm.Return(),
		})
		for i := range p.Insns {
			if asm.OpCode(p.Insns[i].Op).Class() == asm.LdXClass {
				p.Insns[i].Probe = true
			}
		}
		if err := e.M.Compile(p); err != nil {
			t.Fatal(err)
		}
		res, err := e.Run(p)
		if err != nil || res.R0 != 5 {
			t.Errorf("size %v: r0 = %d, %v, want 0 + 5", size, res.R0, err)
		}
	}
}
