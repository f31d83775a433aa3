package vm

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// testResolver knows one helper, one map and addresses of functions.
type testResolver struct{}

var testCall = &Call{Name: "bpf_ktime_get_ns"}

func (testResolver) Call(*asm.Instruction) (*Call, error) { return testCall, nil }

func (testResolver) Load(ins *asm.Instruction) (uint64, error) {
	if ins.Reference() == "counters" {
		return 0x10020, nil
	}
	return uint64(ins.Constant), nil
}

func (testResolver) Func(slot int) (uint64, error) { return funcBase + uint64(slot), nil }

// symbolic and encoded are the same program.
func symbolic() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R6, 5).WithSymbol("main").WithSource(asm.Comment("u32 n = 5;")),
		asm.LoadMapPtr(asm.R1, 0).WithReference("counters"),
		asm.LoadImm(asm.R2, -2, asm.DWord),
		asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R3, Src: asm.PseudoFunc, Constant: -1}.WithReference("cb"),
		asm.Call.Label("f").WithSource(asm.Comment("f();")),
		asm.FnKtimeGetNs.Call(),
		asm.JEq.Imm32(asm.R0, 0, "out"),
		asm.LongJump("out"),
		asm.CmpXchg.Mem(asm.R10, asm.R1, asm.DWord, -8),
		asm.SDiv.Imm(asm.R0, 3),
		asm.MovSX16.Reg(asm.R0, asm.R1),
		asm.Return().WithSymbol("out"),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("f"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("cb"),
		asm.Return(),
	}
}

func encoded() asm.Instructions {
	all := symbolic()
	for i, constant := range map[int]int64{3: 11, 4: 7, 7: 3} {
		all[i] = asm.Instruction{OpCode: all[i].OpCode, Dst: all[i].Dst, Src: all[i].Src, Constant: constant}
	}
	all[4] = all[4].WithSource(asm.Comment("f();"))
	all[6] = asm.Instruction{OpCode: all[6].OpCode, Dst: asm.R0, Offset: 4}
	return all
}

func TestAssemble(t *testing.T) {
	want := []Insn{
		{Op: 0xb7, Dst: 6, Imm: 5},
		{Op: 0x18, Dst: 1, Src: 1, Value: 0x10020}, {},
		{Op: 0x18, Dst: 2, Imm: -2, Value: ^uint64(1)}, {},
		{Op: 0x18, Dst: 3, Src: 4, Value: funcBase + 17, Target: 17}, {},
		{Op: 0x85, Src: 1, Target: 15},
		{Op: 0x85, Imm: 5, Call: testCall},
		{Op: 0x16, Target: 14},
		{Op: 0x06, Target: 14},
		{Op: 0xdb, Dst: 10, Src: 1, Off: -8, Imm: 0xf1},
		{Op: 0x37, Off: 1, Imm: 3},
		{Op: 0xbf, Src: 1, Off: 16},
		{Op: 0x95},
		{Op: 0xb7}, {Op: 0x95},
		{Op: 0xb7, Imm: 1}, {Op: 0x95},
	}
	for name, insns := range map[string]asm.Instructions{"symbolic": symbolic(), "encoded": encoded()} {
		t.Run(name, func(t *testing.T) {
			p := &Program{Name: "test"}
			if err := p.Assemble(insns, testResolver{}); err != nil {
				t.Fatal(err)
			}
			got := append([]Insn(nil), p.Insns...)
			for i := range got { // as written, symbolic references are placeholders
				if got[i].Target != 0 {
					got[i].Imm, got[i].Off = 0, 0
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			subprogs := []Subprog{{Name: "main", End: 15}, {Name: "f", Start: 15, End: 17}, {Name: "cb", Start: 17, End: 19}}
			if diff := cmp.Diff(subprogs, p.Subprogs, cmpopts.IgnoreFields(Subprog{}, "Func")); diff != "" {
				t.Error(diff)
			}
			if s := p.SourceAt(6).Text; s != "u32 n = 5;" {
				t.Errorf("source of slot 6 is %q", s)
			}
			if s := p.SourceAt(8).Text; s != "f();" {
				t.Errorf("source of slot 8 is %q", s)
			}
			if s := p.SubprogAt(16); s == nil || s.Name != "f" {
				t.Errorf("slot 16 belongs to %v", s)
			}
		})
	}
}

func TestAssembleRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		insns asm.Instructions
		want  string
	}{
		"nothing":        {nil, "no instructions"},
		"a symbol twice": {asm.Instructions{asm.Return().WithSymbol("a"), asm.Return().WithSymbol("a")}, "insn 1: symbol a is defined twice"},
		"no such symbol": {asm.Instructions{asm.Ja.Label("nowhere"), asm.Return()}, "insn 0"},
		"before the start": {asm.Instructions{{OpCode: asm.Ja.Op(asm.ImmSource), Offset: -2}, asm.Return()},
			"leads to slot -1, outside the program's 2"},
		"invalid opcode":   {asm.Instructions{asm.LoadImm(asm.R1, 5, asm.DWord), {OpCode: asm.InvalidOpCode}}, "insn 2"},
		"no such register": {asm.Instructions{asm.Mov.Imm(asm.R10+1, 5)}, "no register r11"},
	} {
		t.Run(name, func(t *testing.T) {
			err := new(Program).Assemble(tt.insns, testResolver{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestAssembleExceptionCallback(t *testing.T) {
	proto := &btf.FuncProto{Return: &btf.Int{Size: 4}}
	main := btf.WithFuncMetadata(asm.Mov.Imm(asm.R0, 0).WithSymbol("main"), &btf.Func{Name: "main", Type: proto,
		Tags: []string{"other", "exception_callback:catch"}})
	catch := btf.WithFuncMetadata(asm.Mov.Reg(asm.R0, asm.R1).WithSymbol("catch"), &btf.Func{Name: "catch", Type: proto})
	p := new(Program)
	if err := p.Assemble(asm.Instructions{main, asm.Return(), catch, asm.Return()}, testResolver{}); err != nil {
		t.Fatal(err)
	}
	if p.ExceptionCallback != 2 {
		t.Errorf("the exception callback is slot %d, want 2", p.ExceptionCallback)
	}
	err := p.Assemble(asm.Instructions{main, asm.Return()}, testResolver{})
	if err == nil || !strings.Contains(err.Error(), "exception callback catch is not a function of the program") {
		t.Errorf("without the callback: got error %v", err)
	}
}

// TestInsnText holds one instruction of each shape against its text, which
// interp's test compares with the kernel's for all.
func TestInsnText(t *testing.T) {
	p := new(Program)
	if err := p.Assemble(symbolic(), testResolver{}); err != nil {
		t.Fatal(err)
	}
	want := map[int]string{
		-1: "outside the program", 0: "r6 = 5", 1: "r1 = 0x10020", 7: "call pc+7", 8: "call bpf_ktime_get_ns#5",
		9: "if w0 == 0x0 goto pc+4", 10: "gotol pc+3", 11: "r0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r1)", 12: "r0 s/= 3",
		13: "r0 = (s16)r1", 14: "exit", 19: "outside the program",
	}
	for slot, text := range want {
		if got := p.InsnText(slot); got != text {
			t.Errorf("slot %d is %q, want %q", slot, got, text)
		}
	}
}
