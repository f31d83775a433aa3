package enginetest

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/bpfct/bpfct/vm"
)

// testRandomProgramsAsKernel runs generated programs on the kernel and here: the
// return value, all registers, the stack and the buffer must be equal.
func testRandomProgramsAsKernel(t *testing.T, engine vm.Engine) {
	p := newBuf(t, engine, RandomSize)
	defer p.close()
	p.env.Funcs["bpf_loop"] = Loop
	var all, rejected, size int
	check := func(rt *rapid.T) {
		insns := RandomProgram(rt)
		all++
		size += len(insns)
		if err := p.load(t, insns); err != nil {
			rejected++
			t.Logf("rejected: %v", err)
			return
		}
		data := randomBuffer(rt)
		if err := p.compare(t, data, 1); err != nil {
			rt.Fatalf("%v%v", err, insns)
		}
	}
	for range 10 { // a kernel takes thousands in a second
		rapid.Check(t, check)
	}
	if rejected*10 > all {
		t.Errorf("the kernel rejected %d of %d programs", rejected, all)
	}
	t.Logf("%d programs of %d instructions on average, %d rejected", all, size/all, rejected)
}
