package main

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
)

func example() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R0, 0).WithSymbol("start"),
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word),
		asm.JEq.Imm(asm.R2, 7, "out"),
		asm.LoadImm(asm.R3, 1<<40, asm.DWord),
		asm.Add.Reg(asm.R0, asm.R2),
		asm.StoreMem(asm.R10, -8, asm.R0, asm.DWord),
		asm.FnKtimeGetNs.Call(),
		asm.Return().WithSymbol("out"),
	}
}

// Each edit changes something, the first instruction of a function stays where it is,
// and an edit read back from its JSON does the same.
func TestRandomEdits(t *testing.T) {
	kinds := make(map[string]int)
	for n := range uint64(2000) {
		rng := rand.New(rand.NewPCG(n, 0))
		insns := example()
		e, ok := randomEdit(rng, insns)
		if !ok {
			t.Fatal("no edit was found")
		}
		kinds[e.Kind]++
		if err := e.apply(insns); err != nil {
			t.Fatalf("%v: %v", e, err)
		}
		if insns[0].Symbol() != "start" || insns[len(insns)-1].Symbol() != "out" {
			t.Fatalf("%v moves a symbol", e)
		}
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back edit
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		again := example()
		if err := back.apply(again); err != nil || !slices.EqualFunc(insns, again, sameInsn) {
			t.Fatalf("%v does something else after JSON (%v)", e, err)
		}
	}
	for _, k := range []string{setDst, setSrc, addOff, setImm, setOp, drop, swap, copyOf, setJump, negate} {
		if kinds[k] == 0 {
			t.Errorf("no edit of kind %s was drawn", k)
		}
	}
}

func sameInsn(a, b asm.Instruction) bool {
	return cmp.Equal([]int64{int64(a.OpCode), int64(a.Dst), int64(a.Src), int64(a.Offset), a.Constant},
		[]int64{int64(b.OpCode), int64(b.Dst), int64(b.Src), int64(b.Offset), b.Constant}) && a.Reference() == b.Reference()
}

func TestImpossibleEdits(t *testing.T) {
	for _, e := range []edit{
		{At: 99, Kind: drop}, {At: -1, Kind: drop}, {At: 7, Kind: drop}, {At: 3, Kind: drop}, {At: 1, Kind: "twist"},
		{At: 0, Kind: addOff, Value: 1}, {At: 6, Kind: setDst, Value: 1}, {At: 4, Kind: negate}, {At: 1, Kind: copyOf, Value: 99},
	} {
		if e.apply(example()) == nil {
			t.Errorf("%v was made", e)
		}
	}
}
