package interp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/enginetest"
	"github.com/bpfct/bpfct/vm/interp"
)

// rawPacket is a context with a packet to load from.
type rawPacket []byte

func (rawPacket) Addr() uint64        { return 0x1000 }
func (rawPacket) Netns() *netns.Netns { return nil }
func (p rawPacket) LoadBytes(off uint32, dst []byte) bool {
	if uint64(off)+uint64(len(dst)) > uint64(len(p)) {
		return false
	}
	copy(dst, p[off:])
	return true
}

// rawProgram makes a program of any bytes, without the checks of the assembler.
// Calls go to one of the functions of env.
func rawProgram(env *enginetest.Env, data []byte) *vm.Program {
	p := &vm.Program{Name: "fuzz"}
	value := env.Objects["value"].Addr()
	for i := 0; i+8 <= len(data) && len(p.Insns) < 256; i += 8 {
		in := vm.Insn{Op: data[i], Dst: data[i+1] & 15, Src: data[i+1] >> 4, Off: int16(binary.LittleEndian.Uint16(data[i+2:])),
			Imm: int32(binary.LittleEndian.Uint32(data[i+4:]))}
		slot := int32(len(p.Insns))
		in.Target = slot + 1 + int32(in.Off)
		switch {
		case in.Op == 0x06:
			in.Target = slot + 1 + in.Imm
		case in.Op == 0x85 && in.Src == 1:
			in.Target = slot + 1 + in.Imm
		case in.Op == 0x85:
			name := []string{"loop", "throw", "bpf_tail_call", "nothing"}[uint32(in.Imm)%4]
			in.Call = &vm.Call{Name: name, Func: env.Funcs[name]}
		case in.Op == 0x18:
			switch in.Src {
			case 0:
				in.Value = uint64(int64(in.Imm))
			case 4:
				in.Value = env.M.FuncAddr(p, int(in.Imm))
			case 2:
				in.Value = value + uint64(in.Imm&63)
			default:
				in.Value = env.Objects["array"].Addr()
			}
			p.Insns = append(p.Insns, in)
			in = vm.Insn{}
		}
		p.Insns = append(p.Insns, in)
	}
	// Function starts where calls lead to.
	starts := map[int]bool{0: true}
	for _, in := range p.Insns {
		if in.Op == 0x85 && in.Src == 1 || in.Op == 0x18 && in.Src == 4 {
			starts[int(in.Target)] = true
		}
	}
	for slot := range p.Insns {
		if starts[slot] {
			if n := len(p.Subprogs); n > 0 {
				p.Subprogs[n-1].End = slot
			}
			p.Subprogs = append(p.Subprogs, vm.Subprog{Start: slot, End: len(p.Insns)})
		}
	}
	return p
}

// FuzzProgram gives the engine any bytes as a program: it is refused, ends with a
// fault, or ends; never a panic, never more instructions than allowed, and a second
// run ends as the first.
func FuzzProgram(f *testing.F) {
	seed := func(insns asm.Instructions) {
		var b bytes.Buffer
		for _, in := range insns {
			if _, err := in.Marshal(&b, binary.LittleEndian); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(b.Bytes())
	}
	seed(asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()})
	seed(asm.Instructions{asm.StoreMem(asm.R10, -8, asm.R1, asm.DWord), asm.Instruction{OpCode: 0xdb, Dst: asm.R10, Src: asm.R1, Offset: -8, Constant: 1},
		asm.LoadMem(asm.R0, asm.R10, -4, asm.Word), {OpCode: asm.JEq.Op(asm.ImmSource), Offset: -3}, asm.Return()})
	seed(asm.Instructions{asm.LoadMapValue(asm.R1, 0, 8), asm.LoadMem(asm.R0, asm.R1, 0, asm.DWord), asm.SDiv.Reg(asm.R0, asm.R1), asm.Return()})
	seed(asm.Instructions{asm.LoadAbs(2, asm.Half), asm.LoadInd(asm.R0, asm.R1, 3, asm.Byte), asm.Return()})
	seed(asm.Instructions{{OpCode: 0x85, Src: 1, Constant: 1}, asm.Return(), {OpCode: 0x85, Src: 1, Constant: -1}, asm.Return()})
	seed(asm.Instructions{asm.Mov.Imm(asm.R1, 9), {OpCode: 0x18, Dst: 2, Src: 4, Constant: 5}, {OpCode: 0x85, Constant: 0}, asm.Return(), asm.Mov.Imm(asm.R0, 0), asm.Return()})
	seed(asm.Instructions{asm.LoadMapPtr(asm.R2, 0), asm.Mov.Imm(asm.R3, 0), {OpCode: 0x85, Constant: 2}, {OpCode: 0x85, Constant: 1}, asm.Return()})
	f.Fuzz(func(t *testing.T, data []byte) {
		const budget = 1 << 14
		packet := rawPacket(data[:min(len(data), 40)])
		run := func() (vm.Result, error, error) {
			env := enginetest.New(t, interp.Engine{}, vm.Config{MaxInsns: budget})
			env.Funcs["loop"], env.Funcs["throw"] = enginetest.Loop, enginetest.Throw
			env.Funcs["nothing"] = func(*vm.CPU, *[5]uint64) (uint64, error) { return 0, nil }
			env.Object(t, vm.ObjectSpec{Kind: vm.KindMapValue, Name: "value", Size: 64})
			array := make(enginetest.ProgArray, 2)
			env.Object(t, vm.ObjectSpec{Kind: vm.KindMap, Name: "array", Size: 16, Owner: array})
			p := rawProgram(env, data)
			for slot := range p.Insns {
				_ = p.InsnText(slot)
			}
			if err := env.M.Compile(p); err != nil {
				if p.Code() != nil {
					t.Fatal("code in spite of an error")
				}
				return vm.Result{}, nil, err
			}
			array[0] = p
			res, err := env.M.Run(p, vm.RunOptions{Ctx: packet})
			if res.Insns > budget {
				t.Fatalf("executed %d instructions of %d", res.Insns, budget)
			}
			return res, err, nil
		}
		res, err, refused := run()
		res2, err2, refused2 := run()
		if (refused == nil) != (refused2 == nil) || res.R0 != res2.R0 || res.Insns != res2.Insns || text(err) != text(err2) {
			t.Fatalf("two runs differ: %v, %v, %v and %v, %v, %v", res, err, refused, res2, err2, refused2)
		}
		if refused != nil || err == nil {
			return
		}
		var fault *vm.Fault
		if !errors.As(err, &fault) {
			t.Fatalf("the error is no fault: %v", err)
		}
		if fault.Site.Program == nil || text(fault) == "" {
			t.Fatalf("the fault has no place: %+v", fault)
		}
	})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
