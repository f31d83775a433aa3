package verifier

import (
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/record"
	"github.com/bpfct/bpfct/verifier/state"
)

// What is still being written; each entry goes when the real one lands.

func (e *env) pending(what string) error { return e.reject(errno.ENOSYS, "%s", what) }

func (e *env) checkKfuncCall(s *slot) error { return e.pending("checkKfuncCall") }

func (e *env) allowedUnderLock(s *slot) bool             { return false }
func (e *env) destroyDynptr(f *state.Frame, i int) error { return nil }

var _ = errno.ENOSYS

func (e *env) accessKptr(op *memOp, r *state.Reg, f *record.Field) error {
	return e.pending("accessKptr")
}

func (e *env) checkSnprintf(c *call) error     { return e.pending("checkSnprintf") }
func (e *env) dynptrHelperRules(c *call) error { return nil }
func (e *env) checkDynptrRelease(c *call, regno uint8, r *state.Reg) error {
	return e.pending("checkDynptrRelease")
}
func (e *env) processDynptr(c *call, i int, regno uint8, r *state.Reg) error {
	return e.pending("processDynptr")
}
func (e *env) processLock(c *call, regno uint8, r *state.Reg) error { return e.pending("processLock") }
func (e *env) processTimer(c *call, regno uint8, r *state.Reg) error {
	return e.pending("processTimer")
}
func (e *env) processKptr(c *call, regno uint8, r *state.Reg) error { return e.pending("processKptr") }
func (e *env) checkConstStr(regno uint8, r *state.Reg) error        { return e.pending("checkConstStr") }
func (e *env) isProgramType(t btf.Type) bool                        { return false }
func (e *env) matchKptr(f *record.Field, r *state.Reg, regno uint8) error {
	return e.pending("matchKptr")
}
func (e *env) sameStruct(have btf.Type, off uint32, want btf.Type, strict bool) bool {
	return have == want
}

func isDynptrArg(t kernel.ArgType) bool                  { return t.Base() == kernel.ArgDynptr }
func (e *env) releaseDynptr(c *call, r *state.Reg) error { return e.pending("releaseDynptr") }
