package verifier

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// What is still being written; each entry goes when the real one lands.

func (e *env) pending(what string) error { return e.reject(errno.ENOSYS, "%s", what) }

func (e *env) checkALU(s *slot) error         { return e.pending("checkALU") }
func (e *env) checkLoadImm(s *slot) error     { return e.pending("checkLoadImm") }
func (e *env) checkLoadAbs(s *slot) error     { return e.pending("checkLoadAbs") }
func (e *env) checkCondJump(s *slot) error    { return e.pending("checkCondJump") }
func (e *env) checkExit(exception bool) error { return e.pending("checkExit") }
func (e *env) checkFuncCall(s *slot) error    { return e.pending("checkFuncCall") }
func (e *env) checkHelperCall(s *slot) error  { return e.pending("checkHelperCall") }
func (e *env) checkKfuncCall(s *slot) error   { return e.pending("checkKfuncCall") }
func (e *env) checkSubprogs() error           { return e.pending("checkSubprogs") }
func (e *env) resolveImmediates() error       { return e.pending("resolveImmediates") }
func (e *env) checkInsns() error              { return e.pending("checkInsns") }
func (e *env) checkFlow() error               { return e.pending("checkFlow") }
func (e *env) checkAttach() error             { return e.pending("checkAttach") }
func (e *env) walkGlobals() error             { return e.pending("walkGlobals") }
func (e *env) walkMain() error                { return e.pending("walkMain") }
func (e *env) checkStackDepth() error         { return e.pending("checkStackDepth") }

// markPrecise notes that the exact value of register n mattered (mark_chain_precision).
func (e *env) markPrecise(n int) error { return nil }

// propagatePrecision notes that what mattered in old's walk matters on the way here.
func (e *env) propagatePrecision(old *state.State) error { return nil }

func (e *env) newLine(insn int) string                   { return "" }
func (e *env) callText(s *slot) string                   { return "" }
func (e *env) allowedUnderLock(s *slot) bool             { return false }
func (e *env) noteStackDepth(f *state.Frame, n int)      {}
func (e *env) destroyDynptr(f *state.Frame, i int) error { return nil }
func (e *env) checkStackInitialized(regno uint8, off, size int, zeroAllowed bool, how access, meta any) error {
	return e.pending("checkStackInitialized")
}

// argInfo is what a global function's argument may be.
type argInfo struct{}

var _ = errno.ENOSYS

func (e *env) accessKptr(op *memOp, r *state.Reg, f *record.Field) error {
	return e.pending("accessKptr")
}

func (e *env) readReg(n uint8) error                { return e.pending("readReg") }
func (e *env) writeReg(n uint8, unknown bool) error { return e.pending("writeReg") }
