package enginetest

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/vm"
)

// operands are the values at which arithmetic has its edges.
var operands = func() []uint64 {
	vals := []uint64{0, 1, 2, 3, 5, 7, 8, 10, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff,
		0x10000, math.MaxInt32, 1 << 31, 1<<31 + 1, math.MaxUint32, 1 << 32, 1<<32 + 1, math.MaxInt64, 1 << 63, 1<<63 + 1,
		0x0123456789abcdef, 0xfedcba9876543210, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0xffffffff00000000, 0xffffffff80000000,
		0x8000000080000000, 0x7fffffff80000000}
	for _, v := range []int64{-1, -2, -3, -7, -8, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32 - 1} {
		vals = append(vals, uint64(v))
	}
	return vals
}()

// randomBuffer draws what a RandomProgram reads.
func randomBuffer(t *rapid.T) []byte {
	data := make([]byte, RandomSize)
	for i := 0; i < RandomData; i += 8 {
		binary.LittleEndian.PutUint64(data[i:], rapid.OneOf(rapid.SampledFrom(operands), rapid.Uint64()).Draw(t, "data"))
	}
	return data
}

// testRandomPrograms holds that random programs end without a fault, whatever
// machine they run on, and the same on each.
func testRandomPrograms(t *testing.T, engine vm.Engine) {
	rapid.Check(t, func(rt *rapid.T) {
		insns, data := RandomProgram(rt), randomBuffer(rt)
		run := func(before int) ([]byte, vm.Result) {
			e := New(t, engine, vm.Config{})
			e.Funcs["bpf_loop"] = Loop
			for range before { // other addresses
				e.Object(t, vm.ObjectSpec{Kind: vm.KindScratch, Name: "before", Size: 1000})
			}
			buf := e.Object(t, vm.ObjectSpec{Kind: vm.KindMapValue, Name: Buffer, Size: RandomSize})
			copy(buf.Bytes(), data)
			res, err := e.Run(e.Program(t, "random", insns))
			if err != nil {
				rt.Fatalf("%+v\n%v", err, insns)
			}
			return buf.Bytes(), res
		}
		one, resOne := run(0)
		two, resTwo := run(100)
		if !bytes.Equal(one, two) || resOne.R0 != resTwo.R0 || resOne.Insns != resTwo.Insns {
			rt.Fatalf("two machines differ: %v and %v\n%v", resOne, resTwo, insns)
		}
	})
}
