package interp_test

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestRandomProgramsAsKernel runs generated programs on the kernel and here: the
// return value, all registers, the stack and the buffer must be equal.
func TestRandomProgramsAsKernel(t *testing.T) {
	p := newBuf(t, genSize)
	defer p.close()
	var all, rejected, size int
	rapid.Check(t, func(rt *rapid.T) {
		insns := genProgram(rt)
		all++
		size += len(insns)
		if err := p.load(t, insns); err != nil {
			rejected++
			t.Logf("rejected: %v", err)
			return
		}
		data := make([]byte, genSize)
		for i := 0; i < genBuf; i += 8 {
			binary.LittleEndian.PutUint64(data[i:], rapid.OneOf(rapid.SampledFrom(operands), rapid.Uint64()).Draw(rt, "data"))
		}
		if err := p.compare(t, data, 1); err != nil {
			rt.Fatalf("%v%v", err, insns)
		}
	})
	if rejected*10 > all {
		t.Errorf("the kernel rejected %d of %d programs", rejected, all)
	}
	t.Logf("%d programs of %d instructions on average, %d rejected", all, size/all, rejected)
}
