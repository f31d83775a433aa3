package verifier

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// ctxReg is the register that a load of the packet takes the context from.
const ctxReg = 6

// checkLoadAbs is BPF_LD with BPF_ABS or BPF_IND: a load from the packet that ends
// the function, with 0, where it fails (check_ld_abs). It moves on by itself.
func (e *env) checkLoadAbs(s *slot) error {
	switch e.prog.Type {
	case ebpf.SocketFilter, ebpf.SchedCLS, ebpf.SchedACT:
	default:
		return e.reject(errno.EINVAL, "BPF_LD_[ABS|IND] instructions not allowed for this program type")
	}
	op := asm.OpCode(s.Op)
	if s.Dst != 0 || s.Off != 0 || op.Size() == asm.DWord || op.Mode() == asm.AbsMode && s.Src != 0 {
		return e.reject(errno.EINVAL, "BPF_LD_[ABS|IND] uses reserved fields")
	}
	if err := e.readReg(ctxReg); err != nil {
		return err
	}
	if err := e.checkLeaks(false, true, "BPF_LD_[ABS|IND]"); err != nil {
		return err
	}
	if e.reg(ctxReg).Type != state.PtrToCtx {
		return e.reject(errno.EINVAL, "at the time of BPF_LD_ABS|IND R6 != pointer to skb")
	}
	if op.Mode() == asm.IndMode {
		if err := e.readReg(s.Src); err != nil {
			return err
		}
	}
	if err := e.checkFixedOffset(ctxReg, e.reg(ctxReg), false); err != nil {
		return err
	}
	e.clobber()
	r := e.reg(0)
	r.MarkUnknown()
	r.SubregDef = int32(e.insn) + 1
	e.touched.Reg(0)
	if len(e.cur.Frames) > 1 {
		if _, err := e.push(e.insn+1, e.insn); err != nil {
			return err
		}
		e.reg(0).MarkConst(0)
		return e.returnToCaller()
	}
	e.insn++
	return nil
}
