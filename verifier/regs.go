package verifier

import (
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// Registers with a name of their own.
const (
	numRegs = 11 // r0 to r10
	regFP   = 10 // the frame pointer
)

// useReg notes register n for the log, and refuses one that there is none of.
func (e *env) useReg(n uint8) error {
	if n >= numRegs {
		return e.reject(errno.EINVAL, "R%d is invalid", n)
	}
	e.touched.Reg(n)
	return nil
}

// readReg is what an instruction does before it uses register n: something must have
// been written to it (check_reg_arg).
func (e *env) readReg(n uint8) error {
	if err := e.useReg(n); err != nil {
		return err
	}
	if e.reg(n).Type == state.NotInit {
		return e.reject(errno.EACCES, "R%d !read_ok", n)
	}
	return nil
}

// writeReg is what an instruction does before it changes register n, of which it
// forgets everything if unknown is set. An instruction that writes only the lower half
// calls setSubreg afterwards.
func (e *env) writeReg(n uint8, unknown bool) error {
	if err := e.useReg(n); err != nil {
		return err
	}
	if n == regFP {
		return e.reject(errno.EACCES, "frame pointer is read only")
	}
	r := e.reg(n)
	if unknown {
		r.MarkUnknown()
	}
	r.SubregDef = 0
	return nil
}

// setSubreg notes that the current instruction defined only the lower half of r.
func (e *env) setSubreg(r *state.Reg) { r.SubregDef = int32(e.insn) + 1 }
