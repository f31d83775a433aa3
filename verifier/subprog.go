package verifier

import (
	"errors"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
	"github.com/bpfct/bpfct/verifier/state"
)

// argInfo is what an argument of a global function is, by its BTF: ArgAnything,
// ArgCtx, ArgDynptr, ArgMem or ArgBTFID with modifiers.
type argInfo struct {
	typ     kernel.ArgType
	size    uint32 // of an ArgMem
	object  btf.Type
	trusted bool
}

// Declaration tags of arguments.
const (
	tagCtx       = "arg:ctx"
	tagTrusted   = "arg:trusted"
	tagNonNull   = "arg:nonnull"
	tagNullable  = "arg:nullable"
	tagUntrusted = "arg:untrusted"
	tagPrefix    = "arg:"
)

// maxArgs is how many arguments fit in registers.
const maxArgs = 5

// prepareArgs finds out what function n takes, from its BTF. It fails for one that
// cannot be verified on its own (btf_prepare_func_args).
func (e *env) prepareArgs(n int) error {
	sub := &e.subprogs[n]
	if sub.argsPrepared {
		return nil
	}
	if sub.Func == nil {
		return e.quietly(errno.EINVAL)
	}
	proto, ok := sub.Func.Type.(*btf.FuncProto)
	if !ok {
		return e.quietly(errno.EFAULT)
	}
	global := sub.Func.Linkage != btf.StaticFunc
	complain := func(format string, args ...any) error {
		if !global {
			return e.quietly(errno.EINVAL)
		}
		return e.reject(errno.EINVAL, format, args...)
	}
	if len(proto.Params) > maxArgs {
		return complain("Global function %s() with %d > %d args. Buggy compiler.", sub.Func.Name, len(proto.Params), maxArgs)
	}
	if !isNumber(proto.Return) {
		return complain("Global function %s() doesn't return scalar. Only those are supported.", sub.Func.Name)
	}
	sub.args = nil
	for i, p := range proto.Params {
		a, err := e.prepareArg(sub, i, p, global)
		if err != nil {
			return err
		}
		sub.args = append(sub.args, a)
	}
	sub.argsPrepared = true
	return nil
}

// quietly refuses without a word: the kernel looked and says nothing.
func (e *env) quietly(no errno.Errno) error { return &refusal{errno: no, insn: e.insn} }

// isNumber reports whether t is an integer or an enum.
func isNumber(t btf.Type) bool {
	switch skip(t).(type) {
	case *btf.Int, *btf.Enum:
		return true
	}
	return false
}

func (e *env) prepareArg(sub *subprogInfo, i int, p btf.FuncParam, global bool) (argInfo, error) {
	tags := map[string]bool{}
	if i < len(sub.Func.ParamTags) {
		for _, tag := range sub.Func.ParamTags[i] {
			if !strings.HasPrefix(tag, tagPrefix) {
				continue
			}
			if !global {
				return argInfo{}, e.reject(errno.EOPNOTSUPP, "arg#%d type tag is not supported in static functions", i)
			}
			switch tag {
			case tagCtx, tagTrusted, tagNonNull, tagNullable, tagUntrusted:
				tags[tag] = true
			default:
				return argInfo{}, e.reject(errno.EOPNOTSUPP, "arg#%d has unsupported set of tags", i)
			}
		}
	}
	t := skip(p.Type)
	ptr, isPtr := t.(*btf.Pointer)
	if !isPtr {
		if len(tags) > 0 {
			return argInfo{}, e.reject(errno.EINVAL, "arg#%d has pointer tag, but is not a pointer type", i)
		}
		if isNumber(t) {
			return argInfo{typ: kernel.ArgAnything}, nil
		}
		if !global {
			return argInfo{}, e.quietly(errno.EINVAL)
		}
		return argInfo{}, e.reject(errno.EINVAL, "Arg#%d type %s in %s() is not supported yet.", i, kindName(t), sub.Func.Name)
	}
	only := func(allowed ...string) bool {
		n := 0
		for _, a := range allowed {
			if tags[a] {
				n++
			}
		}
		return n == len(tags)
	}
	target := skip(ptr.Target)
	ctxName, _ := ctxStruct(e.prog.Type)
	switch {
	case tags[tagCtx] || ctxName != "" && target.TypeName() == ctxName:
		if !only(tagCtx) {
			return argInfo{}, e.reject(errno.EINVAL, "arg#%d has invalid combination of tags", i)
		}
		return argInfo{typ: kernel.ArgCtx}, nil
	case target.TypeName() == "bpf_dynptr":
		if len(tags) > 0 {
			return argInfo{}, e.reject(errno.EINVAL, "arg#%d has invalid combination of tags", i)
		}
		return argInfo{typ: kernel.ArgDynptr | kernel.ArgReadOnly}, nil
	case tags[tagTrusted]:
		if !only(tagTrusted, tagNullable) {
			return argInfo{}, e.reject(errno.EINVAL, "arg#%d has invalid combination of tags", i)
		}
		name := baseName(target.TypeName())
		object, err := e.prof.TypeByName(name)
		if err != nil {
			return argInfo{}, e.reject(errno.EINVAL, "arg#%d type '%s' is not found in kernel BTF", i, name)
		}
		a := argInfo{typ: kernel.ArgBTFID | kernel.ArgTrusted, object: skip(object), trusted: true}
		if tags[tagNullable] {
			a.typ |= kernel.ArgMaybeNull
		}
		return a, nil
	}
	if !global {
		return argInfo{}, e.quietly(errno.EINVAL)
	}
	if !only(tagNonNull, tagNullable) {
		return argInfo{}, e.reject(errno.EINVAL, "arg#%d has invalid combination of tags", i)
	}
	size, err := btf.Sizeof(target)
	if err != nil || isVoidOrFwd(target) {
		return argInfo{}, e.reject(errno.EINVAL, "arg#%d reference type('%s %s') size cannot be determined: %d",
			i, kindName(target), target.TypeName(), -int(errno.EINVAL))
	}
	a := argInfo{typ: kernel.ArgMem | kernel.ArgMaybeNull, size: uint32(size)}
	if tags[tagNonNull] {
		a.typ &^= kernel.ArgMaybeNull
	}
	return a, nil
}

// baseName is a type's name without its flavour.
func baseName(name string) string {
	name, _, _ = strings.Cut(name, "___")
	return name
}

func isVoidOrFwd(t btf.Type) bool {
	switch t.(type) {
	case *btf.Void, *btf.Fwd, *btf.FuncProto:
		return true
	}
	return false
}

// kindName is the kind of a type in the kernel's words.
func kindName(t btf.Type) string {
	switch v := t.(type) {
	case *btf.Int:
		return "INT"
	case *btf.Pointer:
		return "PTR"
	case *btf.Array:
		return "ARRAY"
	case *btf.Struct:
		return "STRUCT"
	case *btf.Union:
		return "UNION"
	case *btf.Enum:
		if v.Size == 8 {
			return "ENUM64"
		}
		return "ENUM"
	case *btf.Fwd:
		return "FWD"
	case *btf.Typedef:
		return "TYPEDEF"
	case *btf.Func:
		return "FUNC"
	case *btf.FuncProto:
		return "FUNC_PROTO"
	case *btf.Float:
		return "FLOAT"
	}
	return "UNKNOWN"
}

// setArgs gives the frame of a global function what its prototype promises.
func (e *env) setArgs(n int, f *state.Frame) {
	for i, a := range e.subprogs[n].args {
		r := &f.Regs[i+1]
		nullable := state.Type(0)
		if a.typ.Has(kernel.ArgMaybeNull) {
			nullable = state.MaybeNull
		}
		switch a.typ.Base() {
		case kernel.ArgCtx:
			r.MarkPointer(state.PtrToCtx)
		case kernel.ArgDynptr:
			r.MarkPointer(state.ConstPtrToDynptr)
			r.Dynptr, r.First, r.ID = state.DynptrLocal, true, e.newID()
		case kernel.ArgMem:
			r.MarkPointer(state.PtrToMem | nullable)
			r.MemSize, r.ID = a.size, e.newID()
		case kernel.ArgBTFID:
			r.MarkPointer(state.PtrToBTFID | state.Trusted | nullable)
			r.BTF, r.ID = a.object, e.newID()
		default:
			r.MarkUnknown()
		}
	}
}

// checkGlobalArgs checks what a global function is passed (btf_check_func_arg_match).
func (e *env) checkGlobalArgs(n int) error {
	if err := e.prepareArgs(n); err != nil {
		return err
	}
	for i, a := range e.subprogs[n].args {
		if err := e.checkGlobalArg(i, &a); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) checkGlobalArg(i int, a *argInfo) error {
	regno := uint8(i + 1)
	r := e.reg(regno)
	switch a.typ.Base() {
	case kernel.ArgAnything:
		if r.Type != state.ScalarValue {
			return e.reject(errno.EINVAL, "R%d is not a scalar", regno)
		}
	case kernel.ArgCtx:
		if err := e.checkArgOffset(regno, r, false, false); err != nil {
			return err
		}
		if r.Type != state.PtrToCtx {
			return e.reject(errno.EINVAL, "arg#%d expects pointer to ctx", i)
		}
	case kernel.ArgMem:
		if err := e.checkArgOffset(regno, r, false, false); err != nil {
			return err
		}
		if err := e.checkMemArg(regno, r, int(a.size)); err != nil {
			return withErrno(err, errno.EINVAL)
		}
		if !a.typ.Has(kernel.ArgMaybeNull) && (r.MayBeNull() || r.IsNull()) {
			return e.reject(errno.EINVAL, "arg#%d is expected to be non-NULL", i)
		}
	case kernel.ArgDynptr:
		if err := e.checkArgOffset(regno, r, false, true); err != nil {
			return err
		}
		c := &call{proto: &kernel.Prototype{Args: []kernel.Arg{{Type: a.typ}}}}
		return e.processDynptr(c, 0, regno, r)
	case kernel.ArgBTFID:
		if r.IsNull() && a.typ.Has(kernel.ArgMaybeNull) {
			return nil
		}
		arg := kernel.Arg{Type: a.typ, BTF: a.object.TypeName()}
		c := &call{proto: &kernel.Prototype{Args: make([]kernel.Arg, i+1)}}
		c.proto.Args[i] = arg
		if err := e.checkArgType(c, &arg, regno, r); err != nil {
			return err
		}
		return e.checkArgOffset(regno, r, false, false)
	}
	return nil
}

// withErrno gives a refusal another errno.
func withErrno(err error, no errno.Errno) error {
	var r *refusal
	if errors.As(err, &r) {
		r.errno = no
	}
	return err
}

// checkMemArg checks memory of a known size that the callee may read and write, NULL
// being allowed (check_mem_reg).
func (e *env) checkMemArg(regno uint8, r *state.Reg, size int) error {
	if r.IsNull() {
		return nil
	}
	return asNotNull(r, func() error {
		if err := e.checkHelperMem(nil, regno, size, read, true); err != nil {
			return err
		}
		return e.checkHelperMem(nil, regno, size, write, true)
	})
}
