package verifier

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/link"
	"github.com/bpfct/bpfct/verifier/state"
)

// checkLoadImm does a load of 64 bits: a number, or the address of a map, of a map's
// value, of a function of the program, or of something in the kernel (check_ld_imm).
func (e *env) checkLoadImm(s *slot) error {
	if s.Off != 0 {
		return e.reject(errno.EINVAL, "BPF_LD_IMM64 uses reserved fields")
	}
	if err := e.writeReg(s.Dst, true); err != nil {
		return err
	}
	dst := e.reg(s.Dst)
	switch s.Src {
	case 0:
		e.loadNumber(s, dst)
		return nil
	case pseudoBTFID:
		return e.loadKernelAddr(s, dst)
	case pseudoFunc:
		return e.loadFuncAddr(s, dst)
	}
	if s.insn.Ref == nil {
		return e.reject(errno.EINVAL, "unrecognized bpf_ld_imm64 insn")
	}
	m := e.maps[s.insn.Ref.Name]
	if !s.insn.Ref.Value {
		dst.MarkPointer(state.ConstPtrToMap)
		dst.Map = m
		return nil
	}
	if m != nil && m.Spec.Type == ebpf.Arena {
		return nil // a number like any other
	}
	dst.MarkPointer(state.PtrToMapValue)
	dst.Map, dst.Off = m, int32(s.insn.Ref.Offset)
	return nil
}

// anAddress stands for the address of a kernel symbol, which every boot chooses anew:
// all that a verdict may depend on is that it is none of the small numbers.
const anAddress = 0xffffffff81000000

// loadNumber loads a number. The loader made one of the address of a kernel variable
// that the program gives no type.
func (e *env) loadNumber(s *slot, dst *state.Reg) {
	v := s.imm64
	if k := s.insn.Ksym; v == 0 && k != nil && k.Func == nil && (k.Present || !k.Weak) {
		v = anAddress
	}
	dst.MarkConst(v)
}

// loadFuncAddr loads the address of a function, for a helper to call.
func (e *env) loadFuncAddr(s *slot, dst *state.Reg) error {
	i := e.subprogAt(s.target)
	if i < 0 || e.subprogs[i].Func == nil {
		return e.reject(errno.EINVAL, "missing btf func_info")
	}
	if e.subprogs[i].Func.Linkage != btf.StaticFunc {
		return e.reject(errno.EINVAL, "callback function not static")
	}
	dst.MarkPointer(state.PtrToFunc)
	dst.Subprog = int32(i)
	return nil
}

// subprogAt is the function that starts at a slot, -1 for none.
func (e *env) subprogAt(slot int) int {
	for i := range e.subprogs {
		if e.subprogs[i].Start == slot {
			return i
		}
	}
	return -1
}

// loadKernelAddr loads the address of a kernel function or of a variable with a type:
// a struct is an object, anything else bytes to be read.
func (e *env) loadKernelAddr(s *slot, dst *state.Reg) error {
	k := s.insn.Ksym
	if k == nil || k.Var == nil && k.Func == nil {
		return e.reject(errno.EINVAL, "ldimm64 insn specifies invalid btf_id %d.", s.Imm)
	}
	if k.Func != nil {
		dst.MarkPointer(state.PtrToMem | state.ReadOnly)
		return nil
	}
	percpu, err := e.isPercpu(k)
	if err != nil {
		return err
	}
	t := btf.UnderlyingType(k.Var.Type)
	switch t.(type) {
	case *btf.Struct, *btf.Union:
	default:
		if percpu {
			break
		}
		n, err := btf.Sizeof(t)
		if err != nil {
			return e.reject(errno.EINVAL, "ldimm64 unable to resolve the size of type '%s': %d", t.TypeName(), -int(errno.EINVAL))
		}
		dst.MarkPointer(state.PtrToMem | state.ReadOnly)
		dst.MemSize = uint32(n)
		return nil
	}
	dst.MarkPointer(state.PtrToBTFID)
	if percpu {
		dst.Type |= state.Percpu
	}
	dst.BTF = t
	return nil
}

// isPercpu reports whether each CPU has a variable of its own under that name.
func (e *env) isPercpu(k *link.Ksym) (bool, error) {
	specs, err := e.prof.AllTypes()
	if err != nil {
		return false, err
	}
	for _, spec := range specs {
		var sec *btf.Datasec
		if spec.TypeByName(".data..percpu", &sec) != nil {
			continue
		}
		for i := range sec.Vars {
			if sec.Vars[i].Type == k.Var {
				return true, nil
			}
		}
	}
	return false, nil
}
