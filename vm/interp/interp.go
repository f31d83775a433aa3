package interp

import (
	"github.com/bpfct/bpfct/vm"
)

// Engine is the interpreter. The zero value is ready and stateless.
type Engine struct {
	// Observe, where set, is called before each instruction.
	Observe vm.Observer
}

// Name is "interp".
func (Engine) Name() string { return "interp" }

// Compile decodes p. The error names the first instruction that cannot be executed.
func (e Engine) Compile(p *vm.Program) (vm.Code, error) {
	k, err := compile(p, e.Observe)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// code is a decoded program; it is immutable.
type code struct {
	prog *vm.Program
	ops  []op
	// calls are the helpers and kfuncs that ops call.
	calls []*vm.Call
	// illegal says why ops of that kind cannot be executed.
	illegal []error
	// index is the place in ops of each slot's instruction, -1 for a second slot.
	index []int32
	// exception is the index of the exception callback, -1 for the default one.
	exception int
	// observe is called by ops of that kind.
	observe vm.Observer
}

// Run executes the program from its entry.
func (k *code) Run(c *vm.CPU, ctx uint64) (uint64, error) {
	return enter(c, k, 0, [5]uint64{ctx}, true)
}

// Call executes the function at slot.
func (k *code) Call(c *vm.CPU, slot int, args [5]uint64) (uint64, error) {
	if slot < 0 || slot >= len(k.index) || k.index[slot] < 0 {
		return 0, c.Fault(vm.IllegalInsn, "", "no function at slot %d", slot)
	}
	return enter(c, k, int(k.index[slot]), args, false)
}

// state is what the engine keeps on a CPU between runs, to allocate nothing in them.
type state struct {
	idle []*run
}

// run is one activation of exec: a program's run, or a callback within it. Its
// fields are the state of the running function where no comment says otherwise.
type run struct {
	r    [16]uint64 // registers; 16 of them for the mask that saves a bounds check
	stk  *stack
	lo   uint64 // guest address of stk
	m    *vm.Memory
	k    *code
	main bool // whether the function is a program's entry
	// loops is how often may_goto may still pass.
	loops uint64
	base  int // of the CPU, see vm.CPU.Base
	// start is where the straight line began whose instructions are not yet taken
	// off budget.
	start  int
	budget uint64

	c      *vm.CPU
	depth  int // frames of the CPU without those of calls in this activation
	frames []frame
	// args are those of the helper that is being called.
	args [5]uint64
	// fault is why the last memory access failed.
	fault *vm.Fault
}

func enter(c *vm.CPU, k *code, pc int, args [5]uint64, main bool) (uint64, error) {
	st, ok := c.EngineState.(*state)
	if !ok {
		st = new(state)
		c.EngineState = st
	}
	var x *run
	if n := len(st.idle); n > 0 {
		x, st.idle = st.idle[n-1], st.idle[:n-1]
	} else {
		x = new(run)
	}
	r0, err := x.exec(c, k, pc, args, main)
	x.frames, x.fault = x.frames[:0], nil
	st.idle = append(st.idle, x)
	return r0, err
}
