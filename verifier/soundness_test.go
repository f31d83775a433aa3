package verifier_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/soundness"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/verifier/disasm"
)

var (
	soundPrograms = flag.Int("sound.programs", 120, "how many programs of each family are run")
	soundRounds   = flag.Int("sound.rounds", 12, "on how many packets each runs")
	soundSeed     = flag.Uint64("sound.seed", 1, "where randomness starts")
)

// programOf is the program of some raw instructions, whose loads of maps refer to m0,
// m1 and so on.
func programOf(name string, insns []link.Raw, typ ebpf.ProgramType) (*ebpf.ProgramSpec, error) {
	code := make([]byte, 0, 8*len(insns))
	for _, in := range insns {
		code = append(code, in.Op, in.Src<<4|in.Dst)
		code = binary.LittleEndian.AppendUint16(code, uint16(in.Off))
		code = binary.LittleEndian.AppendUint32(code, uint32(in.Imm))
	}
	decoded, err := asm.AppendInstructions(nil, bytes.NewReader(code), binary.LittleEndian, "linux")
	if err != nil {
		return nil, err
	}
	at := make(map[int]int) // slot to instruction
	slots := make([]int, len(decoded))
	for i, slot := 0, 0; i < len(decoded); i++ {
		at[slot], slots[i] = i, slot
		slot += int(decoded[i].Size()) / asm.InstructionSize
	}
	for i := range decoded {
		switch in := &decoded[i]; {
		case in.IsLoadFromMap():
			*in = in.WithReference(fmt.Sprint("m", int32(in.Constant)))
		case in.IsFunctionCall():
			if j, ok := at[slots[i]+1+int(in.Constant)]; ok {
				symbol := fmt.Sprint(name, "_", j)
				decoded[j] = decoded[j].WithSymbol(symbol)
				*in = in.WithReference(symbol)
				in.Constant = -1
			}
		}
	}
	return &ebpf.ProgramSpec{Name: name, Type: typ, License: "GPL", ByteOrder: binary.LittleEndian, Instructions: decoded}, nil
}

// generatedSpec has accepted programs of a family.
func generatedSpec(t *testing.T, k, n int) (*ebpf.CollectionSpec, map[string][]link.Raw) {
	list := []func(*rand.Rand, *layout) []link.Raw{
		func(rnd *rand.Rand, ctx *layout) []link.Raw { return scalars(rnd, ctx, 25, 0) },
		func(rnd *rand.Rand, ctx *layout) []link.Raw { return pointers(rnd, ctx, 8, 0) },
		func(rnd *rand.Rand, ctx *layout) []link.Raw { return tame(rnd, ctx, 20) },
		func(rnd *rand.Rand, ctx *layout) []link.Raw { return functions(rnd, ctx, 8) },
	}
	all := &ebpf.CollectionSpec{
		ByteOrder: binary.LittleEndian, Maps: make(map[string]*ebpf.MapSpec), Programs: make(map[string]*ebpf.ProgramSpec),
	}
	for i, m := range pointerMaps() {
		if m.InnerMap != nil {
			m.Contents = []ebpf.MapKV{{Key: uint32(0), Value: "inner"}}
			all.Maps["inner"] = m.InnerMap
		}
		all.Maps[fmt.Sprint("m", i)] = m
	}
	code := make(map[string][]link.Raw)
	maps := all.Copy()
	for i := range n {
		typ, ctx := ebpf.SchedCLS, skbLayout
		if i%3 == 0 {
			typ, ctx = ebpf.XDP, xdpLayout
		}
		insns := list[k](rand.New(rand.NewPCG(*soundSeed+uint64(i), uint64(k)+100)), ctx)
		p, err := programOf(fmt.Sprint("p", i), insns, typ)
		if err != nil {
			continue
		}
		one := maps.Copy()
		one.Programs[p.Name] = p
		obj, err := link.Link(one, kernel.Default(), link.Options{})
		if err != nil {
			continue
		}
		if res, err := verifier.Verify(obj, p.Name, verifier.Options{}); err == nil && res.Accepted() {
			all.Programs[p.Name] = p
			code[p.Name] = insns
		}
	}
	if len(all.Programs) == 0 {
		t.Fatal("no program was accepted")
	}
	return all, code
}

// Generated programs that are accepted run as the verifier thought, and without fault.
func TestGeneratedProgramsAreSound(t *testing.T) {
	for k, name := range []string{"scalars", "pointers", "tame", "functions"} {
		t.Run(name, func(t *testing.T) {
			spec, code := generatedSpec(t, k, *soundPrograms)
			h, err := soundness.New(spec, *soundSeed)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			h.Run(rand.New(rand.NewPCG(*soundSeed, uint64(k))), *soundRounds)
			for _, v := range h.Violations {
				t.Error(v)
			}
			if len(h.Violations) > 0 {
				bad, _, _ := strings.Cut(h.Violations[0], ":")
				for i, in := range code[bad] {
					t.Logf("%d: %s", i, disasm.Text(in, 0, ""))
				}
			}
			t.Logf("%+v", h.Counts)
		})
	}
}
