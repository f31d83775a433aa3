package enginetest

import (
	"testing"

	"github.com/bpfct/bpfct/vm"
)

// RunAsKernel runs programs on the kernel and on the engine, which must do the
// same: every opcode on edge values, random programs, tail calls, callbacks,
// exceptions.
func RunAsKernel(t *testing.T, engine vm.Engine) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, vm.Engine)
	}{
		{"opcodes", testOpcodesAsKernel}, {"random programs", testRandomProgramsAsKernel},
		{"packet loads", testPacketLoadsAsKernel}, {"callbacks", testCallbacksAsKernel}, {"tail calls", testTailCallsAsKernel},
		{"exceptions", testExceptionsAsKernel}, {"may_goto", testMayGotoAsKernel}, {"texts", testInsnTextAsKernel}, {"dead code", testDeadCodeAsKernel},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, engine) })
	}
}
