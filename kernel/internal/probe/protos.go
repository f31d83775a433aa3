//go:build linux

package probe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
)

// HelperProto is a struct bpf_func_proto found in the kernel's memory.
type HelperProto struct {
	Addr    uint64   // of the struct
	Func    []string // names of the function
	Args    []kernel.Arg
	Return  kernel.Return
	Flags   kernel.Flags
	Guarded bool // has a function that decides who may call it
}

// layout is where the members of the kernel's tables lie, by its BTF.
type layout struct {
	size                                            uint32
	gpl, pkt, sleep, fast, ret, arg, id, rid, allow uint32
	argNames, retNames, flagBits                    map[uint32]string
}

func readLayout(spec *btf.Spec) (*layout, error) {
	var st *btf.Struct
	if err := spec.TypeByName("bpf_func_proto", &st); err != nil {
		return nil, err
	}
	l := &layout{size: st.Size}
	for name, into := range map[string]*uint32{
		"gpl_only": &l.gpl, "pkt_access": &l.pkt, "might_sleep": &l.sleep, "allow_fastcall": &l.fast,
		"ret_type": &l.ret, "arg_type": &l.arg, "arg_btf_id": &l.id, "ret_btf_id": &l.rid, "allowed": &l.allow,
	} {
		f, err := kernel.FieldOf(st, name)
		if err != nil {
			return nil, err
		}
		*into = f.Offset
	}
	for name, into := range map[string]*map[uint32]string{"bpf_arg_type": &l.argNames, "bpf_return_type": &l.retNames, "bpf_type_flag": &l.flagBits} {
		var e *btf.Enum
		if err := spec.TypeByName(name, &e); err != nil {
			return nil, err
		}
		*into = make(map[uint32]string)
		for _, v := range e.Values {
			if !strings.HasPrefix(v.Name, "__") {
				(*into)[uint32(v.Value)] = v.Name
			}
		}
	}
	return l, nil
}

// poison stands in the tables for a type that the verifier works out itself.
const poison = 0xdead00000000eb9f

// FindHelpers finds the struct bpf_func_proto of the functions that want names
// in the kernel's constants: a pointer to the function, followed by what such a
// struct may have.
func FindHelpers(spec *btf.Spec, m *Memory, syms *Symbols, base uint64, data []byte, want func(string) bool) ([]HelperProto, error) {
	l, err := readLayout(spec)
	if err != nil {
		return nil, err
	}
	var out []HelperProto
	for off := 0; off+int(l.size) <= len(data); off += 8 {
		names := syms.names[le.Uint64(data[off:])]
		if !slices.ContainsFunc(names, want) {
			continue
		}
		p, ok, err := l.decode(spec, m, data[off:off+int(l.size)])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", names[0], err)
		}
		if !ok {
			continue
		}
		p.Addr, p.Func = base+uint64(off), slices.Clone(names)
		out = append(out, p)
	}
	return out, nil
}

func (l *layout) decode(spec *btf.Spec, m *Memory, b []byte) (HelperProto, bool, error) {
	var p HelperProto
	for _, at := range []uint32{l.gpl, l.pkt, l.sleep, l.fast} {
		if b[at] > 1 {
			return p, false, nil
		}
	}
	if b[l.gpl] == 1 {
		p.Flags |= kernel.GPLOnly
	}
	if b[l.sleep] == 1 {
		p.Flags |= kernel.Sleepable
	}
	if b[l.fast] == 1 {
		p.Flags |= kernel.Fastcall
	}
	if b[l.pkt] == 1 {
		p.Flags |= kernel.PacketAccess
	}
	p.Guarded = le.Uint64(b[l.allow:]) != 0
	raw := le.Uint32(b[l.ret:])
	name, ok := l.retNames[raw&0xff]
	if !ok {
		return p, false, nil
	}
	ret, ok := retTypes[name]
	if !ok {
		return p, false, nil
	}
	p.Return.Type = ret
	for bit, flag := range l.flagBits {
		if raw&bit == 0 {
			continue
		}
		switch flag {
		case "PTR_MAYBE_NULL":
			p.Return.Type |= kernel.RetMaybeNull
			p.Flags |= kernel.RetNull
		case "PTR_TRUSTED":
			p.Return.Type |= kernel.RetTrusted
		case "MEM_RCU":
			p.Return.Type |= kernel.RetRCU
		case "MEM_RDONLY":
			p.Return.Type |= kernel.RetReadOnly
		}
	}
	if at := le.Uint64(b[l.rid:]); at != 0 {
		if p.Return.BTF, ok = typeNameAt(spec, m, at); !ok {
			return p, false, nil
		}
	}
	done := false
	for i := range uint32(5) {
		raw := le.Uint32(b[l.arg+4*i:])
		if raw == 0 {
			done = true
			continue
		}
		name, known := l.argNames[raw&0xff]
		class, ok := argTypes[name]
		if !known || !ok || done {
			return p, false, nil
		}
		a := kernel.Arg{Type: class}
		for bit, flag := range l.flagBits {
			if raw&bit != 0 {
				a.Type |= argFlags[flag]
			}
		}
		word := le.Uint64(b[l.id+8*i:])
		switch {
		case a.Type.Has(kernel.ArgFixedSize):
			a.Size = uint32(word)
		case word != 0:
			if a.BTF, ok = typeNameAt(spec, m, word); !ok {
				return p, false, nil
			}
		}
		p.Args = append(p.Args, a)
	}
	return p, true, nil
}

// typeNameAt reads the BTF ID at an address and names the type.
func typeNameAt(spec *btf.Spec, m *Memory, addr uint64) (string, bool) {
	if addr == poison {
		return "", true
	}
	if addr>>48 != 0xffff {
		return "", false
	}
	b, err := m.Read(addr, 4)
	if err != nil {
		return "", false
	}
	t, err := spec.TypeByID(btf.TypeID(le.Uint32(b)))
	if err != nil {
		return "", false
	}
	return t.TypeName(), true
}

var argTypes = map[string]kernel.ArgType{
	"ARG_CONST_MAP_PTR": kernel.ArgConstMapPtr, "ARG_PTR_TO_MAP_KEY": kernel.ArgMapKey,
	"ARG_PTR_TO_MAP_VALUE": kernel.ArgMapValue, "ARG_PTR_TO_MEM": kernel.ArgMem,
	"ARG_CONST_SIZE": kernel.ArgConstSize, "ARG_CONST_SIZE_OR_ZERO": kernel.ArgConstSizeOrZero,
	"ARG_PTR_TO_CTX": kernel.ArgCtx, "ARG_ANYTHING": kernel.ArgAnything,
	"ARG_PTR_TO_SPIN_LOCK": kernel.ArgSpinLock, "ARG_PTR_TO_SOCK_COMMON": kernel.ArgSockCommon,
	"ARG_PTR_TO_SOCKET": kernel.ArgSocket, "ARG_PTR_TO_BTF_ID": kernel.ArgBTFID,
	"ARG_PTR_TO_RINGBUF_MEM": kernel.ArgRingbufMem, "ARG_CONST_ALLOC_SIZE_OR_ZERO": kernel.ArgAllocSizeOrZero,
	"ARG_PTR_TO_BTF_ID_SOCK_COMMON": kernel.ArgBTFIDSockCommon, "ARG_PTR_TO_PERCPU_BTF_ID": kernel.ArgPercpuBTFID,
	"ARG_PTR_TO_FUNC": kernel.ArgFunc, "ARG_PTR_TO_STACK": kernel.ArgStack,
	"ARG_PTR_TO_CONST_STR": kernel.ArgConstStr, "ARG_PTR_TO_TIMER": kernel.ArgTimer,
	"ARG_KPTR_XCHG_DEST": kernel.ArgKptrXchgDest, "ARG_PTR_TO_DYNPTR": kernel.ArgDynptr,
}

var argFlags = map[string]kernel.ArgType{
	"PTR_MAYBE_NULL": kernel.ArgMaybeNull, "MEM_RDONLY": kernel.ArgReadOnly, "MEM_PERCPU": kernel.ArgPercpu,
	"OBJ_RELEASE": kernel.ArgRelease, "MEM_UNINIT": kernel.ArgUninit, "MEM_WRITE": kernel.ArgWrite,
	"MEM_FIXED_SIZE": kernel.ArgFixedSize, "MEM_ALIGNED": kernel.ArgAligned, "MEM_RCU": kernel.ArgRCU,
	"PTR_TRUSTED": kernel.ArgTrusted, "DYNPTR_TYPE_LOCAL": kernel.ArgDynptrLocal,
	"DYNPTR_TYPE_RINGBUF": kernel.ArgDynptrRing, "DYNPTR_TYPE_SKB": kernel.ArgDynptrSkb,
	"DYNPTR_TYPE_XDP": kernel.ArgDynptrXDP,
}

var retTypes = map[string]kernel.RetType{
	"RET_INTEGER": kernel.RetInteger, "RET_VOID": kernel.RetVoid, "RET_PTR_TO_MAP_VALUE": kernel.RetMapValue,
	"RET_PTR_TO_SOCKET": kernel.RetSocket, "RET_PTR_TO_TCP_SOCK": kernel.RetTCPSock,
	"RET_PTR_TO_SOCK_COMMON": kernel.RetSockCommon, "RET_PTR_TO_MEM": kernel.RetMem,
	"RET_PTR_TO_MEM_OR_BTF_ID": kernel.RetMemOrBTFID, "RET_PTR_TO_BTF_ID": kernel.RetBTFID,
}

// kfuncFlags are the KF_ flags by their bit, which are macros and not in BTF.
// Bit 3 was KF_KPTR_GET; 13 to 15 are of arenas.
var kfuncFlags = map[uint]kernel.Flags{
	0: kernel.Acquire, 1: kernel.Release, 2: kernel.RetNull, 4: kernel.TrustedArgs,
	5: kernel.Sleepable, 6: kernel.Destructive, 7: kernel.RCU, 8: kernel.IterNew,
	9: kernel.IterNext, 10: kernel.IterDestroy, 11: kernel.RCUProtected, 12: kernel.Fastcall,
}

// KfuncFlags finds the flags of every kfunc in the kernel's constants: sets of
// pairs of a BTF ID and flags, sorted by ID. ids are those of kfuncs. A kfunc
// in several sets has the same flags in all of them.
func KfuncFlags(data []byte, ids map[uint32]string) (map[string]kernel.Flags, error) {
	raw := make(map[string]uint32)
	for off := 0; off+16 <= len(data); off += 4 {
		// struct btf_id_set8 { u32 cnt; u32 flags; struct { u32 id; u32 flags; } pairs[]; }
		n, kind := le.Uint32(data[off:]), le.Uint32(data[off+4:])
		if kind != 1 || n == 0 || n > 1024 || off+8+8*int(n) > len(data) || !isSet(data[off+8:off+8+8*int(n)], ids) {
			continue
		}
		for i := range int(n) {
			pair := data[off+8+8*i:]
			name, flags := ids[le.Uint32(pair)], le.Uint32(pair[4:])
			if old, ok := raw[name]; ok && old != flags {
				return nil, fmt.Errorf("kfunc %s has flags %#x in one set and %#x in another", name, old, flags)
			}
			raw[name] = flags
		}
	}
	out := make(map[string]kernel.Flags)
	for name, bits := range raw {
		var f kernel.Flags
		for bit, flag := range kfuncFlags {
			if bits&(1<<bit) != 0 {
				f |= flag
			}
		}
		out[name] = f
	}
	return out, nil
}

// isSet reports whether pairs are of kfuncs alone, in ascending order. An ID of
// 0 is a kfunc that the kernel was built without.
func isSet(pairs []byte, ids map[uint32]string) bool {
	last := uint32(0)
	known := false
	for len(pairs) > 0 {
		id := le.Uint32(pairs)
		if id < last {
			return false
		}
		if id != 0 {
			if _, ok := ids[id]; !ok {
				return false
			}
			known = true
		}
		last, pairs = id, pairs[8:]
	}
	return known
}
