package enginetest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
)

// A record of the buffer: two operands, a third for cmpxchg, and results. The
// buffer starts with the number of the record that the next run works on.
const (
	records    = 4096
	recordSize = 64
	recordBase = 64

	recA, recB, recC = 0, 8, 16
	recOut           = 24 // 5 words
)

// immediates are their like among 32-bit numbers.
var immediates = []int32{0, 1, 2, 3, 7, 16, 31, 127, 255, 4096, 65535, math.MaxInt32, -1, -2, -7, -128, -65536, math.MinInt32, math.MinInt32 + 1, 0x12345678}

// operandBuf fills the records with all pairs of edges, then random values.
func operandBuf(seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, recordBase+records*recordSize)
	value := func() uint64 {
		switch rng.IntN(3) {
		case 0:
			return operands[rng.IntN(len(operands))]
		case 1:
			return rng.Uint64() >> rng.IntN(64)
		}
		return rng.Uint64()
	}
	for i := range records {
		a, b, c := value(), value(), value()
		if i < len(operands)*len(operands) {
			a, b = operands[i/len(operands)], operands[i%len(operands)]
		}
		if rng.IntN(2) == 0 {
			c = a // so that a compare-and-exchange succeeds
		}
		rec := buf[recordBase+i*recordSize:]
		binary.LittleEndian.PutUint64(rec[recA:], a)
		binary.LittleEndian.PutUint64(rec[recB:], b)
		binary.LittleEndian.PutUint64(rec[recC:], c)
		binary.LittleEndian.PutUint64(rec[recOut:], a)
	}
	return buf
}

// onRecord is a program that does body on the next record: r7 points to it, r1, r2
// and r0 are its operands, and r0, r1, r2 are stored after it.
func onRecord(body ...asm.Instruction) asm.Instructions {
	insns := asm.Instructions{
		LoadValue(asm.R9, Buffer, 0),
		asm.LoadMem(asm.R8, asm.R9, 0, asm.DWord),
		asm.And.Imm(asm.R8, records-1),
		asm.Mov.Reg(asm.R7, asm.R8),
		asm.LSh.Imm(asm.R7, 6),
		asm.Add.Reg(asm.R7, asm.R9),
		asm.Add.Imm(asm.R7, recordBase),
		asm.LoadMem(asm.R1, asm.R7, recA, asm.DWord),
		asm.LoadMem(asm.R2, asm.R7, recB, asm.DWord),
		asm.LoadMem(asm.R0, asm.R7, recC, asm.DWord),
	}
	insns = append(insns, body...)
	return append(insns,
		asm.StoreMem(asm.R7, recOut+8, asm.R0, asm.DWord).WithSymbol("end"),
		asm.StoreMem(asm.R7, recOut+16, asm.R1, asm.DWord),
		asm.StoreMem(asm.R7, recOut+24, asm.R2, asm.DWord),
		asm.Add.Imm(asm.R8, 1),
		asm.StoreMem(asm.R9, 0, asm.R8, asm.DWord),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	)
}

type opcodeTest struct {
	name string
	body []asm.Instruction
}

// opcodeTests are all instructions that compute, each form on its own.
func opcodeTests() []opcodeTest {
	var tests []opcodeTest
	add := func(name string, body ...asm.Instruction) { tests = append(tests, opcodeTest{name, body}) }

	for _, op := range []asm.ALUOp{asm.Add, asm.Sub, asm.Mul, asm.Div, asm.SDiv, asm.Or, asm.And, asm.LSh, asm.RSh,
		asm.Mod, asm.SMod, asm.Xor, asm.Mov, asm.ArSh} {
		add(fmt.Sprint(op), op.Reg(asm.R1, asm.R2))
		add(fmt.Sprint(op, "32"), op.Reg32(asm.R1, asm.R2))
		for _, imm := range immediates {
			imm32 := imm
			switch op {
			case asm.LSh, asm.RSh, asm.ArSh:
				imm, imm32 = imm&63, imm&31
			case asm.Div, asm.SDiv, asm.Mod, asm.SMod:
				if imm == 0 {
					continue
				}
			}
			add(fmt.Sprint(op, " imm ", imm), op.Imm(asm.R1, imm))
			add(fmt.Sprint(op, "32 imm ", imm32), op.Imm32(asm.R1, imm32))
		}
	}
	add("neg", asm.Neg.Imm(asm.R1, 0))
	add("neg32", asm.Neg.Imm32(asm.R1, 0))
	add("movsx", asm.MovSX8.Reg(asm.R0, asm.R1), asm.MovSX16.Reg(asm.R2, asm.R1), asm.MovSX32.Reg(asm.R1, asm.R1))
	add("movsx32", asm.MovSX8.Reg32(asm.R0, asm.R1), asm.MovSX16.Reg32(asm.R2, asm.R1))
	for _, size := range []asm.Size{asm.Half, asm.Word, asm.DWord} {
		add(fmt.Sprint("be ", size), asm.HostTo(asm.BE, asm.R1, size))
		add(fmt.Sprint("le ", size), asm.HostTo(asm.LE, asm.R1, size))
		add(fmt.Sprint("bswap ", size), asm.BSwap(asm.R1, size))
	}
	add("load64", asm.LoadImm(asm.R1, -0x123456789abcdef, asm.DWord), asm.LoadImm(asm.R2, math.MaxUint32, asm.DWord))

	for _, op := range []asm.JumpOp{asm.JEq, asm.JGT, asm.JGE, asm.JSet, asm.JNE, asm.JSGT, asm.JSGE, asm.JLT, asm.JLE,
		asm.JSLT, asm.JSLE} {
		branch := func(j asm.Instruction) []asm.Instruction {
			return []asm.Instruction{j, asm.Mov.Imm(asm.R0, 17), asm.Ja.Label("end"), asm.Mov.Imm(asm.R0, 34).WithSymbol("yes")}
		}
		add(fmt.Sprint(op), branch(op.Reg(asm.R1, asm.R2, "yes"))...)
		add(fmt.Sprint(op, "32"), branch(op.Reg32(asm.R1, asm.R2, "yes"))...)
		for _, imm := range immediates {
			add(fmt.Sprint(op, " imm ", imm), branch(op.Imm(asm.R1, imm, "yes"))...)
			add(fmt.Sprint(op, "32 imm ", imm), branch(op.Imm32(asm.R1, imm, "yes"))...)
		}
	}
	add("gotol", asm.JEq.Reg(asm.R1, asm.R2, "far"), asm.LongJump("end"), asm.Mov.Imm(asm.R0, 1).WithSymbol("far"))
	return append(tests, memoryOpcodes()...)
}

// memoryOpcodes are the instructions that load, store and do both, on the record in
// the map and on the stack.
func memoryOpcodes() []opcodeTest {
	var tests []opcodeTest
	add := func(name string, body ...asm.Instruction) { tests = append(tests, opcodeTest{name, body}) }
	places := []struct {
		name string
		base asm.Register
		off  int16
	}{{"map", asm.R7, recOut}, {"stack", asm.R10, -16}}
	for _, p := range places {
		// The word holds a, and on the stack must be given it.
		start := []asm.Instruction{asm.StoreMem(p.base, p.off, asm.R1, asm.DWord)}
		end := []asm.Instruction{asm.LoadMem(asm.R1, p.base, p.off, asm.DWord)}
		with := func(name string, body ...asm.Instruction) {
			add(name+" "+p.name, append(append(append([]asm.Instruction{}, start...), body...), end...)...)
		}
		for _, size := range []asm.Size{asm.Byte, asm.Half, asm.Word, asm.DWord} {
			n := int16(size.Sizeof())
			for at := p.off; at < p.off+8; at += n {
				add(fmt.Sprint("load ", size, " ", p.name, " ", at), append(start[:1:1], asm.LoadMem(asm.R2, p.base, at, size))...)
				if size != asm.DWord {
					add(fmt.Sprint("loadsx ", size, " ", p.name, " ", at), append(start[:1:1], asm.LoadMemSX(asm.R2, p.base, at, size))...)
				}
				with(fmt.Sprint("store ", size, " ", at), asm.StoreMem(p.base, at, asm.R2, size))
				with(fmt.Sprint("storerel ", size, " ", at), encoded(asm.StoreRelease(p.base, asm.R2, size, at)))
				with(fmt.Sprint("loadacq ", size, " ", at), encoded(asm.LoadAcquire(asm.R2, p.base, size, at)))
				for _, imm := range immediates {
					with(fmt.Sprint("store ", size, " imm ", imm, " ", at), storeImm(p.base, at, imm, size))
				}
			}
		}
		for _, op := range []asm.AtomicOp{asm.AddAtomic, asm.AndAtomic, asm.OrAtomic, asm.XorAtomic, asm.FetchAdd, asm.FetchAnd,
			asm.FetchOr, asm.FetchXor, asm.Xchg, asm.CmpXchg} {
			with(fmt.Sprint("atomic ", op, " dw"), encoded(op.Mem(p.base, asm.R2, asm.DWord, p.off)))
			with(fmt.Sprint("atomic ", op, " w"), encoded(op.Mem(p.base, asm.R2, asm.Word, p.off)))
			with(fmt.Sprint("atomic ", op, " w+4"), encoded(op.Mem(p.base, asm.R2, asm.Word, p.off+4)))
		}
	}
	return tests
}

// testOpcodesAsKernel executes every opcode on every pair of edge values and on
// random ones, here and on the kernel.
func testOpcodesAsKernel(t *testing.T, engine vm.Engine) {
	data := operandBuf(1)
	p := newBuf(t, engine, len(data))
	defer p.close()
	n := records
	if testing.Short() { // as under the race detector
		n /= 16
	}
	for _, tt := range opcodeTests() {
		t.Run(tt.name, func(t *testing.T) {
			if err := p.load(t, onRecord(tt.body...)); err != nil {
				t.Fatalf("%+v", err)
			}
			if err := p.compare(t, data, n); err != nil {
				t.Fatal(err)
			}
		})
	}
}
