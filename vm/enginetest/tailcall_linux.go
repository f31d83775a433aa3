package enginetest

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
)

// count is code that adds 1 to word i of the buffer; it uses r1 and r2.
func count(i int) asm.Instructions {
	return asm.Instructions{
		LoadValue(asm.R1, Buffer, uint32(8*i)),
		asm.LoadMem(asm.R2, asm.R1, 0, asm.DWord),
		asm.Add.Imm(asm.R2, 1),
		asm.StoreMem(asm.R1, 0, asm.R2, asm.DWord),
	}
}

// tail is a tail call with the context in r6, to the program in that slot.
func tail(index int64) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		LoadObject(asm.R2, "jumps"),
		asm.LoadImm(asm.R3, index, asm.DWord),
		asm.FnTailCall.Call(),
	}
}

func join(parts ...asm.Instructions) asm.Instructions {
	var all asm.Instructions
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func ret(v int32) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, v), asm.Return()}
}

var saveCtx = asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}

func callSub(name string) asm.Instructions {
	return asm.Instructions{asm.Mov.Reg(asm.R1, asm.R6), asm.Call.Label(name)}
}

func sub(name string, body ...asm.Instructions) asm.Instructions {
	return Func(name, join(append([]asm.Instructions{saveCtx}, body...)...))
}

func repeat(n int, part asm.Instructions) asm.Instructions {
	var all asm.Instructions
	for range n {
		all = append(all, part...)
	}
	return all
}

// testTailCallsAsKernel counts how often programs run that tail-call each other.
// The first of each case is the one that is started.
func testTailCallsAsKernel(t *testing.T, engine vm.Engine) {
	main := func(body ...asm.Instructions) asm.Instructions {
		return sub("main", body...)
	}
	tests := []struct {
		name  string
		progs []asm.Instructions
	}{
		{"main to itself", []asm.Instructions{main(count(0), tail(0), count(1), ret(7))}},
		{"two programs in turn", []asm.Instructions{
			main(count(0), tail(1), count(1), ret(7)),
			main(count(2), tail(0), count(3), ret(8))}},
		{"empty slots do not count", []asm.Instructions{main(count(0), repeat(40, tail(3)), tail(0), count(1), ret(7))}},
		{"indices out of range do not count", []asm.Instructions{main(count(0), repeat(40, tail(4)), tail(0), count(1), ret(7))}},
		{"index is 32 bits", []asm.Instructions{main(count(0), tail(1<<32), count(1), ret(7))}},
		{"index is unsigned", []asm.Instructions{main(count(0), tail(-1), count(1), ret(7))}},
		{"from a function", []asm.Instructions{join(
			main(count(0), callSub("f"), count(1), ret(7)),
			sub("f", count(2), tail(0), count(3), ret(8)))}},
		{"from a function, twice", []asm.Instructions{join(
			main(count(0), callSub("f"), callSub("f"), count(1), ret(7)),
			sub("f", count(2), tail(0), count(3), ret(8)))}},
		{"from a function and from main", []asm.Instructions{join(
			main(count(0), callSub("f"), count(1), tail(0), count(4), ret(7)),
			sub("f", count(2), tail(0), count(3), ret(8)))}},
		{"from a function to another program, and back", []asm.Instructions{
			join(main(count(0), callSub("f"), count(1), ret(7)),
				sub("f", count(2), tail(1), count(3), ret(8))),
			main(count(4), tail(0), count(5), ret(9))}},
		{"from nested functions", []asm.Instructions{join(
			main(count(0), callSub("f"), count(1), ret(7)),
			sub("f", count(2), callSub("g"), count(3), ret(8)),
			sub("g", count(4), tail(0), count(5), ret(9)))}},
		{"the callee's return is the function's", []asm.Instructions{
			join(main(callSub("f"), asm.Instructions{asm.Add.Imm(asm.R0, 100), asm.Return()}),
				sub("f", tail(1), ret(8))),
			main(ret(9))}},
		{"a failed call returns to the function", []asm.Instructions{
			join(main(callSub("f"), asm.Instructions{asm.Add.Imm(asm.R0, 100), asm.Return()}),
				sub("f", tail(2), ret(8)))}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newBuf(t, engine, 64)
			jumps, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 4})
			if err != nil {
				t.Fatal(err)
			}
			defer jumps.Close()
			array := make(ProgArray, 4)
			p.env.Object(t, vm.ObjectSpec{Kind: vm.KindMap, Name: "jumps", Size: 8, Owner: array})
			for i := len(tt.progs) - 1; i >= 0; i-- {
				k := append(asm.Instructions(nil), tt.progs[i]...)
				_ = k.AssociateMap(Buffer, p.kbuf)
				_ = k.AssociateMap("jumps", jumps)
				prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: k})
				if err != nil {
					t.Fatalf("%+v", err)
				}
				defer prog.Close()
				if err := jumps.Put(uint32(i), prog); err != nil {
					t.Fatal(err)
				}
				array[i] = p.env.Program(t, tt.name, tt.progs[i])
				p.kernel, p.prog = prog, array[i]
			}
			if err := p.compare(t, make([]byte, 64), 1); err != nil {
				t.Error(err)
			}
			t.Logf("counts % d", words(p.buf.Bytes()))
		})
	}
}

func words(b []byte) (w []uint64) {
	for ; len(b) >= 8; b = b[8:] {
		w = append(w, le64(b))
	}
	return w
}
