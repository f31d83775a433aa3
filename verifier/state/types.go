package state

import "strings"

// Type is the type of a register: a base in the low byte and flags above it.
type Type uint32

// The bases, named as in the kernel (enum bpf_reg_type).
const (
	NotInit Type = iota // nothing was written to it
	ScalarValue
	PtrToCtx
	ConstPtrToMap
	PtrToMapValue
	PtrToMapKey
	PtrToStack
	PtrToPacketMeta
	PtrToPacket
	PtrToPacketEnd
	PtrToFlowKeys
	PtrToSocket
	PtrToSockCommon
	PtrToTCPSock
	PtrToTPBuffer
	PtrToXDPSock
	PtrToBTFID // a kernel object, or one of the program's own (MemAlloc)
	PtrToMem   // memory of a known size
	PtrToArena
	PtrToBuf
	PtrToFunc
	ConstPtrToDynptr // a dynptr that the caller owns

	baseMask Type = 0xff
)

// The flags.
const (
	MaybeNull Type = 1 << (8 + iota) // PTR_MAYBE_NULL
	ReadOnly                         // MEM_RDONLY
	Ringbuf                          // MEM_RINGBUF
	User                             // MEM_USER
	Percpu                           // MEM_PERCPU
	Untrusted                        // PTR_UNTRUSTED
	Alloc                            // MEM_ALLOC: made by bpf_obj_new
	Trusted                          // PTR_TRUSTED
	RCU                              // MEM_RCU
	NonOwnRef                        // NON_OWN_REF: in a list or tree that owns it
)

// Base is t without flags.
func (t Type) Base() Type { return t & baseMask }

// Flags is t without its base.
func (t Type) Flags() Type { return t &^ baseMask }

// Has reports whether t has all flags of f.
func (t Type) Has(f Type) bool { return t&f == f }

var baseNames = [...]string{
	NotInit: "?", ScalarValue: "scalar", PtrToCtx: "ctx", ConstPtrToMap: "map_ptr", PtrToMapValue: "map_value",
	PtrToMapKey: "map_key", PtrToStack: "fp", PtrToPacketMeta: "pkt_meta", PtrToPacket: "pkt", PtrToPacketEnd: "pkt_end",
	PtrToFlowKeys: "flow_keys", PtrToSocket: "sock", PtrToSockCommon: "sock_common", PtrToTCPSock: "tcp_sock",
	PtrToTPBuffer: "tp_buffer", PtrToXDPSock: "xdp_sock", PtrToBTFID: "ptr_", PtrToMem: "mem", PtrToArena: "arena",
	PtrToBuf: "buf", PtrToFunc: "func", ConstPtrToDynptr: "dynptr_ptr",
}

var flagPrefixes = []struct {
	flag Type
	text string
}{
	{ReadOnly, "rdonly_"}, {Ringbuf, "ringbuf_"}, {User, "user_"}, {Percpu, "percpu_"},
	{RCU, "rcu_"}, {Untrusted, "untrusted_"}, {Trusted, "trusted_"},
}

// String is the type as the kernel's messages name it: "trusted_ptr_or_null_".
func (t Type) String() string {
	var b strings.Builder
	for _, p := range flagPrefixes {
		if t.Has(p.flag) {
			b.WriteString(p.text)
		}
	}
	if int(t.Base()) < len(baseNames) {
		b.WriteString(baseNames[t.Base()])
	}
	if t.Has(MaybeNull) {
		if t.Base() == PtrToBTFID {
			b.WriteString("or_null_")
		} else {
			b.WriteString("_or_null")
		}
	}
	return b.String()
}

// IsPacket reports whether t points into a packet or its metadata.
func (t Type) IsPacket() bool { return t.Base() == PtrToPacket || t.Base() == PtrToPacketMeta }

// IsSocket reports whether t is one of the socket views (type_is_sk_pointer).
func (t Type) IsSocket() bool {
	return t == PtrToSocket || t == PtrToSockCommon || t == PtrToTCPSock || t == PtrToXDPSock
}

// IsPointer reports whether t is a pointer of any kind.
func (t Type) IsPointer() bool { return t.Base() != NotInit && t.Base() != ScalarValue }

// isOfMap reports whether t is a map or lies in one.
func (t Type) isOfMap() bool {
	switch t.Base() {
	case ConstPtrToMap, PtrToMapKey, PtrToMapValue:
		return true
	}
	return false
}
