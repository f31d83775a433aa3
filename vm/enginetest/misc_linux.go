package enginetest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/netns"
	"github.com/bpfct/bpfct/vm"
)

// skb is a context that has nothing but a packet to load from.
type skb []byte

func (skb) Addr() uint64        { return 0 }
func (skb) Netns() *netns.Netns { return nil }

func (p skb) LoadBytes(off uint32, dst []byte) bool {
	at := int64(int32(off))
	switch {
	case at >= -0x100000 && at < 0: // SKF_NET_OFF
		at += 0x100000 + 14
	case at >= -0x200000 && at < 0: // SKF_LL_OFF
		at += 0x200000
	}
	if at < 0 || at+int64(len(dst)) > int64(len(p)) {
		return false
	}
	copy(dst, p[at:])
	return true
}

// testPacketLoadsAsKernel reads with BPF_ABS and BPF_IND in and out of a packet.
func testPacketLoadsAsKernel(t *testing.T, engine vm.Engine) {
	testkernel.Require(t)
	packet := make(skb, 80)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range packet {
		packet[i] = byte(rng.Uint32())
	}
	env := New(t, engine, vm.Config{})
	for _, off := range []int32{0, 1, 2, 13, 14, 62, 63, 64, 65, 66, 75, 76, 77, 78, 79, 80, 1 << 30, -1, -14, -0x100000, -0x100000 + 3, -0x100000 - 1,
		-0x100000 + 62, -0x100000 + 70, -0x200000, -0x200000 + 14, -0x200000 + 79, -0x200000 - 1, -1 << 31} {
		for _, size := range []asm.Size{asm.Byte, asm.Half, asm.Word} {
			for _, reg := range []int64{-1, 0, 5, 0xffffffff, 1 << 32} {
				name, load := "abs", asm.LoadAbs(off, size)
				if reg >= 0 {
					name, load = fmt.Sprint("ind ", reg), asm.LoadInd(asm.R7, asm.R7, off, size)
					load.Dst = 0
				}
				// The result must differ from that of a failed load; the subprogram
				// shows what a failed load leaves.
				insns := join(
					Func("main", asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}),
					asm.Instructions{asm.Call.Label("f"), asm.Xor.Imm(asm.R0, 0x5a5a), asm.Return()},
					Func("f", asm.Instructions{
						asm.Mov.Reg(asm.R6, asm.R1), asm.LoadImm(asm.R7, max(reg, 0), asm.DWord), load,
						asm.Add.Imm(asm.R0, 3), asm.Return()}))
				kprog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: insns})
				if err != nil {
					t.Fatalf("%+v", err)
				}
				want, err := kprog.Run(&ebpf.RunOptions{Data: packet})
				kprog.Close()
				if err != nil {
					t.Fatal(err)
				}
				res, err := env.M.Run(env.Program(t, "load", insns), vm.RunOptions{Ctx: packet})
				if err != nil {
					t.Fatalf("%+v", err)
				}
				if uint32(res.R0) != want {
					t.Errorf("%s %d of %v bytes: kernel %#x, here %#x", name, off, size.Sizeof(), want, res.R0)
				}
			}
		}
	}
}

// testCallbacksAsKernel runs bpf_loop with callbacks that change the caller's
// stack, end early, and call functions.
func testCallbacksAsKernel(t *testing.T, engine vm.Engine) {
	for _, rounds := range []int32{0, 1, 5, 1000} {
		for _, last := range []int32{0, 3, 2000} {
			t.Run(fmt.Sprint(rounds, " ", last), func(t *testing.T) {
				p := newBuf(t, engine, 64)
				p.env.Funcs["bpf_loop"] = Loop
				insns := join(
					Func("main", asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}),
					asm.Instructions{
						asm.StoreMem(asm.R10, -8, asm.R6, asm.DWord),
						storeImm(asm.R10, -16, 7, asm.DWord),
						asm.Mov.Imm(asm.R1, rounds),
						LoadFunc(asm.R2, "callback"),
						asm.Mov.Reg(asm.R3, asm.R10),
						asm.Add.Imm(asm.R3, -16),
						asm.Mov.Imm(asm.R4, 0),
						asm.FnLoop.Call(),
						LoadValue(asm.R1, Buffer, 0),
						asm.StoreMem(asm.R1, 8, asm.R0, asm.DWord),
						asm.LoadMem(asm.R2, asm.R10, -16, asm.DWord),
						asm.StoreMem(asm.R1, 16, asm.R2, asm.DWord),
						asm.Return(),
					},
					Func("callback", asm.Instructions{
						asm.LoadMem(asm.R3, asm.R2, 0, asm.DWord),
						asm.Mul.Imm(asm.R3, 3),
						asm.Add.Reg(asm.R3, asm.R1),
						asm.StoreMem(asm.R2, 0, asm.R3, asm.DWord),
						asm.Mov.Imm(asm.R0, 0),
						asm.JNE.Imm(asm.R1, last, "out"),
						asm.Call.Label("one"),
						asm.Return().WithSymbol("out"),
					}),
					Func("one", ret(1)),
				)
				if err := p.load(t, insns); err != nil {
					t.Fatalf("%+v", err)
				}
				if err := p.compare(t, make([]byte, 64), 1); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// testMayGotoAsKernel counts the rounds of a loop that only may_goto ends. Newer
// kernels end it by time on some machines, so that only a lower bound is certain
// there; a loop that ends by itself has the same rounds everywhere.
func testMayGotoAsKernel(t *testing.T, engine vm.Engine) {
	mayGoto := func(label string) asm.Instruction {
		return asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.JCOND), Offset: -1}.WithReference(label)
	}
	program := func(rounds int64) asm.Instructions {
		return asm.Instructions{
			LoadValue(asm.R6, Buffer, 0),
			mayGoto("out").WithSymbol("again"),
			asm.LoadMem(asm.R1, asm.R6, 0, asm.DWord),
			asm.Add.Imm(asm.R1, 1),
			asm.StoreMem(asm.R6, 0, asm.R1, asm.DWord),
			asm.LoadImm(asm.R2, rounds, asm.DWord),
			asm.JLT.Reg(asm.R1, asm.R2, "again"),
			asm.Mov.Imm(asm.R0, 1),
			asm.Return(),
			asm.Mov.Imm(asm.R0, 2).WithSymbol("out"),
			asm.Return(),
		}
	}
	p := newBuf(t, engine, 8)
	defer p.close()
	for _, rounds := range []int64{1, 1000, 1 << 20} {
		if err := p.load(t, program(rounds)); err != nil {
			t.Fatalf("%+v", err)
		}
		if err := p.compare(t, make([]byte, 8), 1); err != nil {
			t.Error(err)
		}
	}
	if err := p.load(t, program(1<<40)); err != nil {
		t.Fatalf("%+v", err)
	}
	kernel, here, kret, ret := p.run(t, make([]byte, 8), 1)
	if kret != 2 || ret != 2 {
		t.Errorf("endless loop returned %d on the kernel, %d here, want 2", kret, ret)
	}
	if n := binary.LittleEndian.Uint64(here); n != 8<<20 {
		t.Errorf("endless loop made %d rounds", n)
	}
	t.Logf("the kernel made %d rounds", le64(kernel))
}
