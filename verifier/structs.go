package verifier

import (
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/verifier/state"
)

// isScalar reports whether t is a number (btf_type_is_scalar).
func isScalar(t btf.Type) bool {
	switch t.(type) {
	case *btf.Int, *btf.Enum:
		return true
	}
	return false
}

// maxScalarNesting is how deep structs in a struct of numbers may nest.
const maxScalarNesting = 3

// isScalarStruct reports whether a struct has nothing but numbers in it, so that a
// program may pass memory of its own for it (__btf_type_is_scalar_struct).
func (e *env) isScalarStruct(t btf.Type, depth int) bool {
	members, _, _, ok := membersOf(t)
	if !ok {
		return false
	}
	for i := range members {
		mt := skip(members[i].Type)
		if _, _, _, isStruct := membersOf(mt); isStruct {
			if depth >= maxScalarNesting {
				e.log.decisive("max struct nesting depth exceeded")
				return false
			}
			if !e.isScalarStruct(mt, depth+1) {
				return false
			}
			continue
		}
		if a, isArray := mt.(*btf.Array); isArray {
			if a.Nelems == 0 {
				return false
			}
			mt = skip(a.Type)
		}
		if !isScalar(mt) {
			return false
		}
	}
	return true
}

// sameStruct reports whether a pointer that is off bytes into a struct points to one
// of the wanted type: to the struct itself, or to one in it that begins there. strict
// demands the struct itself (btf_struct_ids_match).
func (e *env) sameStruct(have btf.Type, off uint32, want btf.Type, strict bool) bool {
	if off == 0 && have == want {
		return true
	}
	if strict {
		return false
	}
	for {
		w, err := e.walkStruct(have, off, 1, true)
		if err != nil || w.inner == nil {
			return false
		}
		if w.inner == want {
			return true
		}
		have, off = w.inner, 0
	}
}

// initSuffix ends the names of types that are laid out as another one but must not be
// taken for it: what has not been put to use yet.
const initSuffix = "___init"

// isAlias reports whether one type's name is the other's with initSuffix
// (btf_type_ids_nocast_alias).
func isAlias(a, b btf.Type) bool {
	x, y := a.TypeName(), b.TypeName()
	return x == y+initSuffix || y == x+initSuffix
}

// isProjection reports whether view is the public form of the kernel's struct
// (btf_is_projection_of).
func isProjection(view, of btf.Type) bool {
	switch view.TypeName() {
	case "__sk_buff":
		return of.TypeName() == "sk_buff"
	case "xdp_md":
		return of.TypeName() == "xdp_buff"
	}
	return false
}

// kernelContext is the kernel's struct behind the program's context
// (get_kern_ctx_btf_id).
func (e *env) kernelContext() btf.Type {
	view, _ := ctxStruct(e.prog.Type)
	t, err := e.prof.TypeByName("bpf_ctx_convert")
	if err != nil {
		return nil
	}
	// Each program type has two members: what the program sees, and what it is.
	members, _, _, _ := membersOf(t)
	for i := 0; i+1 < len(members); i += 2 {
		if name := skip(members[i].Type).TypeName(); name == view {
			return skip(members[i+1].Type)
		}
	}
	return nil
}

// structBehind is the kernel's struct that a register points to, nil for none
// (reg2btf_ids).
func (e *env) structBehind(r *state.Reg) btf.Type {
	name := ""
	switch r.Type.Base() {
	case state.PtrToBTFID:
		return r.BTF
	case state.PtrToSocket:
		name = "sock"
	case state.PtrToSockCommon:
		name = "sock_common"
	case state.PtrToTCPSock:
		name = "tcp_sock"
	case state.ConstPtrToMap:
		name = "bpf_map"
	default:
		return nil
	}
	t, err := e.prof.TypeByName(name)
	if err != nil {
		return nil
	}
	return skip(t)
}
