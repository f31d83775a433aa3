package pkt_test

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/pkt"
)

// legacyResolver is for programs that refer to nothing.
type legacyResolver struct{}

func (legacyResolver) Call(*asm.Instruction) (*vm.Call, error)   { return nil, nil }
func (legacyResolver) Load(ins *asm.Instruction) (uint64, error) { return uint64(ins.Constant), nil }
func (legacyResolver) Func(int) (uint64, error)                  { return 0, nil }

// TestLegacyLoads compares the old packet loads, which know offsets from the
// headers.
func TestLegacyLoads(t *testing.T) {
	opts, _ := network(t)
	k, b := newKernel(t, opsObject, opts), newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		base := rapid.SampledFrom([]int32{0, -0x100000, -0x200000, -0x300000}).Draw(rt, "base")
		off := base + int32(rapid.IntRange(-20, 140).Draw(rt, "off"))
		size := rapid.SampledFrom([]asm.Size{asm.Byte, asm.Half, asm.Word}).Draw(rt, "size")
		insns := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1), asm.Mov.Imm(asm.R7, off)}
		if rapid.Bool().Draw(rt, "indirect") {
			insns = append(insns, asm.LoadInd(asm.R0, asm.R7, 0, size))
		} else {
			insns = append(insns, asm.LoadAbs(off, size))
		}
		insns = append(insns, asm.Return())
		data := frame(rt)
		res, err := k.host.RunInsns(ebpf.SchedCLS, insns, live.RunOptions{Data: data})
		p := &vm.Program{Name: "legacy", Type: ebpf.SchedCLS}
		if err := p.Assemble(insns, legacyResolver{}); err != nil {
			rt.Fatal(err)
		}
		if err := b.m.Compile(p); err != nil {
			rt.Fatal(err)
		}
		s, merr := pkt.NewSkb(b.m, b.ns, pkt.SkbSpec{Data: data})
		if (err == nil) != (merr == nil) {
			rt.Fatalf("kernel %v, machine %v", err, merr)
		}
		if err != nil {
			return
		}
		defer s.Release()
		got, err := b.m.Run(p, vm.RunOptions{Ctx: s})
		if err != nil {
			rt.Fatal(err)
		}
		if uint32(got.R0) != res.Ret {
			rt.Fatalf("offset %#x, size %v of %x: kernel %#x, machine %#x", off, size, data, res.Ret, got.R0)
		}
	})
}
