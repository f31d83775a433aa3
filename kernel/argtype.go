package kernel

import (
	"fmt"
	"strings"
)

// ArgType is the class of an argument: what the verifier wants to see in the
// register. Like the kernel's enum bpf_arg_type it is a base in the low byte
// and modifiers above it:
//
//	 31                      8 7              0
//	+-------------------------+----------------+
//	|        modifiers        |      base      |
//	+-------------------------+----------------+
type ArgType uint32

// Bases that helpers and kfuncs share, named as in enum bpf_arg_type.
const (
	ArgNone            ArgType = iota // no such argument
	ArgAnything                       // any initialised register
	ArgConstMapPtr                    // a map, known to the verifier
	ArgMapKey                         // memory of the map's key size
	ArgMapValue                       // memory of the map's value size
	ArgMem                            // memory; its size is the next argument, or Arg.Size with ArgFixedSize
	ArgConstSize                      // size of the memory before it, not 0
	ArgConstSizeOrZero                // size of the memory before it
	ArgAllocSizeOrZero                // a constant: the size of the memory that is returned
	ArgCtx                            // the program's context
	ArgSpinLock                       // a struct bpf_spin_lock in a map value or an allocated object
	ArgSockCommon                     // any socket, also a request or time-wait one
	ArgSocket                         // a full socket
	ArgBTFID                          // a kernel object of type Arg.BTF
	ArgBTFIDSockCommon                // a kernel socket or a socket of the program
	ArgPercpuBTFID                    // a per-CPU kernel object
	ArgRingbufMem                     // memory reserved in a ring buffer
	ArgFunc                           // a static function of the program
	ArgStack                          // a pointer to the stack
	ArgConstStr                       // a NUL-terminated string in a read-only map
	ArgTimer                          // a struct bpf_timer in a map value
	ArgKptrXchgDest                   // a kptr field in a map value or an allocated object
	ArgDynptr                         // a struct bpf_dynptr on the stack
)

// Bases that only kfuncs have, told by the argument's type and suffix.
const (
	ArgScalar         ArgType = iota + 64 // an integer
	ArgConst                              // a constant integer (__k)
	ArgKernelPtr                          // a pointer to struct Arg.BTF: a kernel object or, where the struct has only scalars, memory of its size
	ArgIter                               // an iterator's state on the stack
	ArgListHead                           // a struct bpf_list_head
	ArgListNode                           // a struct bpf_list_node in an allocated object
	ArgRBRoot                             // a struct bpf_rb_root
	ArgRBNode                             // a struct bpf_rb_node in an allocated object
	ArgAlloc                              // an object from bpf_obj_new (__alloc)
	ArgRefcountedKptr                     // an object with a struct bpf_refcount
	ArgWorkqueue                          // a struct bpf_wq in a map value
	ArgTaskWork                           // a struct bpf_task_work in a map value
	ArgIRQFlag                            // a saved interrupt flag on the stack
	ArgResSpinLock                        // a struct bpf_res_spin_lock
	ArgIgnored                            // the verifier fills it in or looks away (__ign)
	ArgProgAux                            // the calling program, filled in by the verifier (__prog)
)

// Modifiers.
const (
	ArgMaybeNull   ArgType = 1 << (iota + 8) // NULL may be passed
	ArgReadOnly                              // read-only memory may be passed
	ArgUninit                                // need not be initialised: the function writes it
	ArgWrite                                 // the function writes to the memory
	ArgRelease                               // the reference is released
	ArgFixedSize                             // ArgMem of Arg.Size bytes
	ArgAligned                               // the memory must be aligned to its size
	ArgRCU                                   // an RCU protected pointer will do
	ArgTrusted                               // must be trusted
	ArgPercpu                                // an object from bpf_percpu_obj_new
	ArgUntyped                               // void *
	ArgFreeAlways                            // reserved memory, gone after the call
	ArgDynptrSkb                             // the dynptr is or becomes one of an skb
	ArgDynptrXDP                             // the dynptr is or becomes one of an XDP frame
	ArgDynptrRing                            // the dynptr is or becomes one of a ring buffer
	ArgDynptrLocal                           // the dynptr is or becomes one of local memory
	ArgOptional                              // NULL with a size of any value (__opt)
	ArgSize                                  // an ArgScalar or ArgConst that is the size of the memory before it (__sz, __szk)
	ArgAllocSize                             // an ArgConst that is the size of the returned memory (rdonly_buf_size, rdwr_buf_size)

	argBaseMask ArgType = 0xff
)

// Base is a without its modifiers.
func (a ArgType) Base() ArgType { return a & argBaseMask }

// Has reports whether a has all modifiers of m.
func (a ArgType) Has(m ArgType) bool { return a&m == m }

var argBaseNames = map[ArgType]string{
	ArgNone: "none", ArgAnything: "anything", ArgConstMapPtr: "const_map_ptr",
	ArgMapKey: "map_key", ArgMapValue: "map_value", ArgMem: "mem",
	ArgConstSize: "const_size", ArgConstSizeOrZero: "const_size_or_zero",
	ArgAllocSizeOrZero: "const_alloc_size_or_zero", ArgCtx: "ctx",
	ArgSpinLock: "spin_lock", ArgSockCommon: "sock_common", ArgSocket: "socket",
	ArgBTFID: "btf_id", ArgBTFIDSockCommon: "btf_id_sock_common",
	ArgPercpuBTFID: "percpu_btf_id", ArgRingbufMem: "ringbuf_mem",
	ArgFunc: "func", ArgStack: "stack", ArgConstStr: "const_str",
	ArgTimer: "timer", ArgKptrXchgDest: "kptr_xchg_dest", ArgDynptr: "dynptr",
	ArgScalar: "scalar", ArgConst: "const", ArgKernelPtr: "kernel_ptr",
	ArgIter: "iter", ArgListHead: "list_head", ArgListNode: "list_node",
	ArgRBRoot: "rb_root", ArgRBNode: "rb_node", ArgAlloc: "alloc",
	ArgRefcountedKptr: "refcounted_kptr", ArgWorkqueue: "workqueue",
	ArgTaskWork: "task_work", ArgIRQFlag: "irq_flag",
	ArgResSpinLock: "res_spin_lock", ArgIgnored: "ignored", ArgProgAux: "prog_aux",
}

var argModNames = []struct {
	mod  ArgType
	name string
}{
	{ArgMaybeNull, "maybe_null"}, {ArgReadOnly, "rdonly"}, {ArgUninit, "uninit"},
	{ArgWrite, "write"}, {ArgRelease, "release"}, {ArgFixedSize, "fixed"},
	{ArgAligned, "aligned"}, {ArgRCU, "rcu"}, {ArgTrusted, "trusted"},
	{ArgPercpu, "percpu"}, {ArgUntyped, "untyped"}, {ArgFreeAlways, "free"},
	{ArgDynptrSkb, "skb"}, {ArgDynptrXDP, "xdp"}, {ArgDynptrRing, "ringbuf"},
	{ArgDynptrLocal, "local"}, {ArgOptional, "opt"}, {ArgSize, "size"},
	{ArgAllocSize, "alloc_size"},
}

// String is the base and the modifiers, joined by '|': "mem|maybe_null|rdonly".
func (a ArgType) String() string {
	name, ok := argBaseNames[a.Base()]
	if !ok {
		name = fmt.Sprintf("arg_%d", uint32(a.Base()))
	}
	var b strings.Builder
	b.WriteString(name)
	for _, m := range argModNames {
		if a&m.mod != 0 {
			b.WriteByte('|')
			b.WriteString(m.name)
		}
	}
	return b.String()
}

// MarshalText is String.
func (a ArgType) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what String writes.
func (a *ArgType) UnmarshalText(text []byte) error {
	base, mods, more := strings.Cut(string(text), "|")
	found := false
	for t, name := range argBaseNames {
		if name == base {
			*a, found = t, true
		}
	}
	if !found {
		return fmt.Errorf("unknown argument class %q", base)
	}
	for more {
		var mod string
		mod, mods, more = strings.Cut(mods, "|")
		found = false
		for _, m := range argModNames {
			if m.name == mod {
				*a |= m.mod
				found = true
			}
		}
		if !found {
			return fmt.Errorf("unknown argument modifier %q in %q", mod, text)
		}
	}
	return nil
}

// RetType is the class of a return value: a base and, where it is set,
// RetMaybeNull and others above it.
type RetType uint32

// Bases of return values.
const (
	RetVoid       RetType = iota // R0 is not usable after the call
	RetInteger                   // a number
	RetMapValue                  // a value of the map argument
	RetSocket                    // a full socket, referenced
	RetTCPSock                   // a struct bpf_tcp_sock view
	RetSockCommon                // a socket that may be a small one
	RetMem                       // memory: of Return.Size, or of the ArgAllocSizeOrZero argument
	RetMemOrBTFID                // per-CPU variable: memory or a kernel object by its BTF
	RetBTFID                     // a kernel object of type Return.BTF
	RetAlloc                     // an object of the program's own type (bpf_obj_new and kin)
	RetDynptrMem                 // memory inside a dynptr
	RetNever                     // does not return
)

// Modifiers of return values.
const (
	RetMaybeNull RetType = 1 << (iota + 8) // must be checked before use
	RetTrusted                             // a trusted pointer
	RetRCU                                 // usable inside an RCU read-side section
	RetReadOnly                            // memory that must not be written
	RetUntrusted                           // a pointer that faults safely
	RetNonOwning                           // an object of a list or tree that is not owned

	retBaseMask RetType = 0xff
)

var retBaseNames = []string{
	RetVoid: "void", RetInteger: "integer", RetMapValue: "map_value",
	RetSocket: "socket", RetTCPSock: "tcp_sock", RetSockCommon: "sock_common",
	RetMem: "mem", RetMemOrBTFID: "mem_or_btf_id", RetBTFID: "btf_id",
	RetAlloc: "alloc", RetDynptrMem: "dynptr_mem", RetNever: "never",
}

var retModNames = []struct {
	mod  RetType
	name string
}{
	{RetMaybeNull, "maybe_null"}, {RetTrusted, "trusted"}, {RetRCU, "rcu"},
	{RetReadOnly, "rdonly"}, {RetUntrusted, "untrusted"}, {RetNonOwning, "non_owning"},
}

// Base is r without its modifiers.
func (r RetType) Base() RetType { return r & retBaseMask }

// Has reports whether r has all modifiers of m.
func (r RetType) Has(m RetType) bool { return r&m == m }

// String is the base and the modifiers, joined by '|'.
func (r RetType) String() string {
	var b strings.Builder
	if int(r.Base()) < len(retBaseNames) {
		b.WriteString(retBaseNames[r.Base()])
	} else {
		fmt.Fprintf(&b, "ret_%d", uint32(r.Base()))
	}
	for _, m := range retModNames {
		if r&m.mod != 0 {
			b.WriteByte('|')
			b.WriteString(m.name)
		}
	}
	return b.String()
}

// MarshalText is String.
func (r RetType) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what String writes.
func (r *RetType) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), "|")
	found := false
	for t, name := range retBaseNames {
		if name == parts[0] {
			*r, found = RetType(t), true
		}
	}
	if !found {
		return fmt.Errorf("unknown return class %q", parts[0])
	}
	for _, mod := range parts[1:] {
		found = false
		for _, m := range retModNames {
			if m.name == mod {
				*r |= m.mod
				found = true
			}
		}
		if !found {
			return fmt.Errorf("unknown return modifier %q in %q", mod, text)
		}
	}
	return nil
}
