//go:build linux

package main

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
)

// describeKfuncs turns declarations into prototypes: what the verifier tells
// from types and from the suffixes of argument names.
func describeKfuncs(funcs []*btf.Func) ([]*kernel.Prototype, error) {
	var out []*kernel.Prototype
	for _, fn := range funcs {
		p := &kernel.Prototype{Kind: kernel.Kfunc, Name: fn.Name, Args: []kernel.Arg{}, Since: kfuncSince[fn.Name]}
		proto, ok := fn.Type.(*btf.FuncProto)
		if !ok {
			return nil, fmt.Errorf("%s is not of a function type", fn.Name)
		}
		for _, tag := range fn.Tags {
			if tag == "bpf_fastcall" {
				p.Flags |= kernel.Fastcall
			}
		}
		for i, param := range proto.Params {
			next := ""
			if i+1 < len(proto.Params) {
				next = proto.Params[i+1].Name
			}
			p.Args = append(p.Args, kfuncArg(fn.Name, param, next))
		}
		p.Return = kfuncReturn(fn.Name, proto.Return)
		out = append(out, p)
	}
	return out, nil
}

func kfuncArg(fn string, param btf.FuncParam, next string) kernel.Arg {
	a := kernel.Arg{Name: param.Name, C: cType(param.Type)}
	has := func(suffix string) bool { return strings.HasSuffix(param.Name, suffix) }
	ptr, isPtr := btf.UnderlyingType(param.Type).(*btf.Pointer)
	switch {
	case has("__ign"):
		a.Type = kernel.ArgIgnored
		return a
	case has("__prog"):
		a.Type = kernel.ArgProgAux
		return a
	case !isPtr:
		a.Type = kernel.ArgScalar
		switch {
		case has("__szk"):
			a.Type = kernel.ArgConst | kernel.ArgSize
		case has("__sz"):
			a.Type = kernel.ArgScalar | kernel.ArgSize
		case has("__k"):
			a.Type = kernel.ArgConst
		case param.Name == "rdonly_buf_size", param.Name == "rdwr_buf_size":
			a.Type = kernel.ArgConst | kernel.ArgAllocSize
		}
		return a
	}
	target := btf.UnderlyingType(ptr.Target)
	name := structName(ptr.Target)
	if n, err := btf.Sizeof(ptr.Target); err == nil {
		a.Size = uint32(n)
	}
	switch target.(type) {
	case *btf.Struct, *btf.Union, *btf.Fwd:
		a.BTF = name
	}
	sized := strings.HasSuffix(next, "__sz") || strings.HasSuffix(next, "__szk")
	switch {
	case has("__map"):
		a.Type = kernel.ArgConstMapPtr
	case has("__alloc"):
		a.Type = kernel.ArgAlloc
	case has("__refcounted_kptr"):
		a.Type = kernel.ArgRefcountedKptr
	case has("__str"):
		a.Type = kernel.ArgConstStr
	case has("__irq_flag"):
		a.Type = kernel.ArgIRQFlag
	case isCtx(name):
		a.Type = kernel.ArgCtx
	case name == "bpf_dynptr" || name == "bpf_dynptr_kern":
		a.Type = kernel.ArgDynptr
	case strings.HasPrefix(fn, "bpf_iter_") && strings.HasPrefix(name, "bpf_iter_"):
		a.Type = kernel.ArgIter
	case name == "bpf_list_head":
		a.Type = kernel.ArgListHead
	case name == "bpf_list_node":
		a.Type = kernel.ArgListNode
	case name == "bpf_rb_root":
		a.Type = kernel.ArgRBRoot
	case name == "bpf_rb_node":
		a.Type = kernel.ArgRBNode
	case name == "bpf_wq":
		a.Type = kernel.ArgWorkqueue
	case name == "bpf_task_work":
		a.Type = kernel.ArgTaskWork
	case name == "bpf_res_spin_lock":
		a.Type = kernel.ArgResSpinLock
	case isFunc(target):
		a.Type = kernel.ArgFunc
	case sized:
		a.Type = kernel.ArgMem
	case a.BTF != "":
		a.Type = kernel.ArgKernelPtr
	case isVoid(target):
		a.Type = kernel.ArgMem | kernel.ArgUntyped
	case isPointer(target):
		a.Type = kernel.ArgMem | kernel.ArgUntyped
	default:
		a.Type = kernel.ArgMem | kernel.ArgFixedSize
	}
	if a.Type.Base() == kernel.ArgDynptr {
		switch fn {
		case "bpf_dynptr_from_skb", "bpf_dynptr_from_skb_meta":
			a.Type |= kernel.ArgDynptrSkb
		case "bpf_dynptr_from_xdp":
			a.Type |= kernel.ArgDynptrXDP
		}
	}
	if has("__uninit") {
		a.Type |= kernel.ArgUninit
	}
	if has("__nullable") {
		a.Type |= kernel.ArgMaybeNull
	}
	if has("__opt") {
		a.Type |= kernel.ArgOptional | kernel.ArgMaybeNull
	}
	return a
}

// isCtx tells the context argument: the verifier knows it by the struct that a
// program of its type is declared with.
func isCtx(typ string) bool {
	switch typ {
	case "__sk_buff", "xdp_md", "bpf_sock", "bpf_sock_addr", "bpf_sock_ops", "bpf_sockopt", "bpf_sysctl",
		"bpf_sk_lookup", "bpf_nf_ctx", "sk_msg_md", "sk_reuseport_md", "bpf_perf_event_data":
		return true
	}
	return false
}

func isFunc(t btf.Type) bool    { _, ok := t.(*btf.FuncProto); return ok }
func isVoid(t btf.Type) bool    { _, ok := t.(*btf.Void); return ok || t == nil }
func isPointer(t btf.Type) bool { _, ok := t.(*btf.Pointer); return ok }

func structName(t btf.Type) string {
	switch u := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return u.Name
	case *btf.Union:
		return u.Name
	case *btf.Fwd:
		return u.Name
	}
	return ""
}

// retOverride are the results that the verifier knows by the kfunc and not by
// its declaration.
var retOverride = map[string]kernel.RetType{
	"bpf_obj_new_impl":          kernel.RetAlloc,
	"bpf_percpu_obj_new_impl":   kernel.RetAlloc,
	"bpf_refcount_acquire_impl": kernel.RetAlloc,
	"bpf_list_pop_front":        kernel.RetAlloc,
	"bpf_list_pop_back":         kernel.RetAlloc,
	"bpf_rbtree_remove":         kernel.RetAlloc,
	"bpf_list_front":            kernel.RetAlloc | kernel.RetNonOwning,
	"bpf_list_back":             kernel.RetAlloc | kernel.RetNonOwning,
	"bpf_rbtree_first":          kernel.RetAlloc | kernel.RetNonOwning,
	"bpf_rbtree_root":           kernel.RetAlloc | kernel.RetNonOwning,
	"bpf_rbtree_left":           kernel.RetAlloc | kernel.RetNonOwning,
	"bpf_rbtree_right":          kernel.RetAlloc | kernel.RetNonOwning,
	"bpf_cast_to_kern_ctx":      kernel.RetBTFID | kernel.RetTrusted,
	"bpf_rdonly_cast":           kernel.RetBTFID | kernel.RetUntrusted,
	"bpf_get_kmem_cache":        kernel.RetBTFID | kernel.RetUntrusted,
	"bpf_dynptr_slice":          kernel.RetDynptrMem | kernel.RetReadOnly,
	"bpf_dynptr_slice_rdwr":     kernel.RetDynptrMem,
	"bpf_throw":                 kernel.RetNever,
}

func kfuncReturn(fn string, t btf.Type) kernel.Return {
	r := kernel.Return{C: cType(t)}
	switch u := btf.UnderlyingType(t).(type) {
	case *btf.Void:
		r.Type = kernel.RetVoid
	case *btf.Pointer:
		switch v := btf.UnderlyingType(u.Target).(type) {
		case *btf.Struct:
			r.Type, r.BTF = kernel.RetBTFID, v.Name
		default:
			r.Type = kernel.RetMem
			if n, err := btf.Sizeof(u.Target); err == nil {
				r.Size = uint32(n)
			}
		}
	default:
		r.Type = kernel.RetInteger
	}
	switch {
	case retOverride[fn] != 0:
		r.Type = retOverride[fn]
	case r.Type == kernel.RetMem && r.Size > 0:
		// Memory that no argument gives the size of is read-only.
		r.Type |= kernel.RetReadOnly
	case strings.HasPrefix(fn, "bpf_iter_") && strings.HasSuffix(fn, "_next") && r.Type == kernel.RetBTFID:
		r.Type |= kernel.RetTrusted
	}
	return r
}

// cType writes a type as C does.
func cType(t btf.Type) string {
	switch t := t.(type) {
	case *btf.Void:
		return "void"
	case *btf.Int:
		return t.Name
	case *btf.Typedef:
		return t.Name
	case *btf.Struct:
		return "struct " + t.Name
	case *btf.Union:
		return "union " + t.Name
	case *btf.Enum:
		return "enum " + t.Name
	case *btf.Fwd:
		return t.Kind.String() + " " + t.Name
	case *btf.Const:
		if p, ok := t.Type.(*btf.Pointer); ok {
			return cType(p) + "const"
		}
		return "const " + cType(t.Type)
	case *btf.Volatile:
		return "volatile " + cType(t.Type)
	case *btf.Restrict:
		return cType(t.Type)
	case *btf.TypeTag:
		return cType(t.Type)
	case *btf.Pointer:
		if fp, ok := t.Target.(*btf.FuncProto); ok {
			var args []string
			for _, p := range fp.Params {
				args = append(args, cType(p.Type))
			}
			return cType(fp.Return) + " (" + strings.Join(args, ", ") + ") *"
		}
		inner := cType(t.Target)
		if strings.HasSuffix(inner, "*") {
			return inner + "*"
		}
		return inner + " *"
	case *btf.Array:
		return fmt.Sprintf("%s[%d]", cType(t.Type), t.Nelems)
	}
	return fmt.Sprintf("%T", t)
}
