package disasm_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/testkernel"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier/disasm"
	"github.com/bpfct/bpfct/verifier/internal/kernelload"
)

// The kernel lists a program before it looks at what the instructions do, so that any
// that exist can be in it.
func TestKernelPrintsTheSame(t *testing.T) {
	testkernel.Require(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	seen := make(map[string]bool)
	for range 40 {
		var insns []link.Raw
		for len(insns) < 400 {
			insns = append(insns, random(rnd)...)
		}
		insns = append(insns, link.Raw{Op: 0x95})
		log, _ := kernelload.Load(ebpf.SocketFilter, insns, 2)
		_, table, ok := strings.Cut(log, "Live regs before insn:\n")
		if !ok {
			t.Fatalf("the kernel does not list the program:\n%.1000s", log)
		}
		lines := strings.Split(table, "\n")
		n := 0
		for i := 0; i < len(insns); i++ {
			in, imm64, call := insns[i], uint64(0), ""
			if in.Op == 0x18 {
				imm64 = uint64(uint32(in.Imm)) | uint64(uint32(insns[i+1].Imm))<<32
				i++
			}
			if in.Op == 0x85 {
				_, call, _ = strings.Cut(lines[n], "call ")
				call, _, _ = strings.Cut(call, "#")
			}
			_, want, _ := strings.Cut(lines[n], ": ")
			_, want, _ = strings.Cut(want, " ")
			if got := disasm.Text(in, imm64, call); got != want {
				t.Errorf("%+v: %q, the kernel prints %q", in, got, want)
			}
			op, _, _ := strings.Cut(want, " ")
			seen[op] = true
			n++
		}
	}
	if len(seen) < 130 {
		t.Errorf("only %d opcodes were tried", len(seen))
	}
}

// random is an instruction that exists, and goes on to the next one.
func random(r *rand.Rand) []link.Raw {
	in := link.Raw{
		Op: uint8(r.Uint32()), Dst: uint8(r.IntN(11)), Src: uint8(r.IntN(11)), Off: int16(r.IntN(64) - 32), Imm: int32(r.Uint32() >> r.IntN(32)),
	}
	in.Off = []int16{0, 1, -1, 8, 16, 32, in.Off}[r.IntN(7)]
	size, mode, kind := in.Op&0x18, in.Op&0xe0, in.Op&0xf0
	switch in.Op & 7 {
	case 0: // ld
		if in.Op == 0x18 {
			in.Src, in.Off = 0, 0
			return []link.Raw{in, {Imm: int32(r.Uint32())}}
		}
		if mode != 0x20 && mode != 0x40 || size == 0x18 {
			return nil
		}
	case 1: // ldx
		if in.Imm = 0; mode != 0x60 && (mode != 0x80 || size == 0x18) {
			return nil
		}
	case 2: // st
		if mode != 0x60 {
			return nil
		}
	case 3: // stx
		ops := []int32{0, 1, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1, 0x100, 0x110, in.Imm}
		if in.Imm = ops[r.IntN(len(ops))]; mode != 0x60 && mode != 0xc0 {
			return nil
		}
	case 4, 7: // alu
		if kind > 0xd0 || kind == 0x80 && in.Op&8 != 0 || in.Op == 0xdf {
			return nil
		}
		if sext := in.Off == 8 || in.Off == 16 || in.Off == 32; kind == 0xb0 && in.Off != 0 && in.Off != 1 && in.Off != -1 && !sext {
			in.Off = 0 // the kernel would print what is no name
		}
	case 5, 6: // jumps, all to the next instruction
		in.Off = 0
		switch kind {
		case 0x80:
			return []link.Raw{{Op: 0x85, Imm: int32(1 + r.IntN(211))}}
		case 0x90, 0xf0:
			return nil
		case 0x00:
			return []link.Raw{{Op: in.Op & 7}}
		case 0xe0:
			return []link.Raw{{Op: 0xe5}}
		}
	}
	return []link.Raw{in}
}
