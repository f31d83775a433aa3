package verifier

import (
	"slices"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/verifier/state"
)

// ctxField is a field of a context, or of a socket's public struct.
type ctxField struct {
	name string
	// last, where set, is the last of a run of fields that share the rule.
	last string
	// typ is what a load gives, where it is no number.
	typ state.Type
	// sizes are the sizes of access; nil lets a field of 4 bytes be read in parts and
	// written whole.
	sizes []int
	// whole is the size of an access that takes the padding behind the field along; 0
	// for none.
	whole int
	// writable lists the program types that may write it; readable those that may read
	// it, nil meaning all.
	writable, readable []ebpf.ProgramType
}

// Program types that share rules.
var (
	tcTypes    = []ebpf.ProgramType{ebpf.SchedCLS, ebpf.SchedACT}
	cbTypes    = []ebpf.ProgramType{ebpf.SchedCLS, ebpf.SchedACT, ebpf.SocketFilter, ebpf.CGroupSKB, ebpf.LWTIn, ebpf.LWTOut, ebpf.LWTXmit}
	markTypes  = []ebpf.ProgramType{ebpf.SchedCLS, ebpf.SchedACT, ebpf.CGroupSKB, ebpf.LWTIn, ebpf.LWTOut, ebpf.LWTXmit}
	stampTypes = []ebpf.ProgramType{ebpf.SchedCLS, ebpf.SchedACT, ebpf.CGroupSKB}
	dataTypes  = []ebpf.ProgramType{ebpf.SchedCLS, ebpf.SchedACT, ebpf.CGroupSKB, ebpf.LWTIn, ebpf.LWTOut, ebpf.LWTXmit}
	sockTypes  = []ebpf.ProgramType{ebpf.CGroupSKB}
	none       = []ebpf.ProgramType{}
)

var (
	word   = []int{4}
	double = []int{8}
	byte1  = []int{1}
)

// skbFields are the fields of struct __sk_buff with rules of their own; the other
// ones are numbers of 4 bytes that may be read in parts (bpf_skb_is_valid_access and
// those of the program types).
var skbFields = []ctxField{
	{name: "mark", writable: markTypes},
	{name: "queue_mapping", writable: tcTypes},
	{name: "priority", writable: markTypes},
	{name: "tc_index", writable: tcTypes},
	{name: "cb", sizes: []int{1, 2, 4, 8}, writable: cbTypes},
	{name: "tc_classid", writable: tcTypes, readable: tcTypes},
	{name: "data", typ: state.PtrToPacket, sizes: word, readable: dataTypes},
	{name: "data_end", typ: state.PtrToPacketEnd, sizes: word, readable: dataTypes},
	{name: "data_meta", typ: state.PtrToPacketMeta, sizes: word, readable: tcTypes},
	{name: "family", readable: sockTypes},
	{name: "remote_ip4", last: "local_ip6", sizes: word, readable: sockTypes},
	{name: "remote_port", last: "local_port", readable: sockTypes},
	{name: "flow_keys", readable: none},
	{name: "tstamp", sizes: double, writable: stampTypes, readable: stampTypes},
	{name: "wire_len", readable: tcTypes},
	{name: "sk", typ: state.PtrToSockCommon | state.MaybeNull, sizes: double},
	{name: "tstamp_type", sizes: byte1, readable: tcTypes},
	{name: "hwtstamp", sizes: double, readable: stampTypes},
}

// xdpFields are those of struct xdp_md.
var xdpFields = []ctxField{
	{name: "data", typ: state.PtrToPacket, sizes: word},
	{name: "data_end", typ: state.PtrToPacketEnd, sizes: word},
	{name: "data_meta", typ: state.PtrToPacketMeta, sizes: word},
	{name: "ingress_ifindex", last: "rx_queue_index", sizes: word},
	{name: "egress_ifindex", sizes: word},
}

// ctxStruct is the context of a program type.
func ctxStruct(t ebpf.ProgramType) (name string, fields []ctxField) {
	switch t {
	case ebpf.XDP:
		return "xdp_md", xdpFields
	case ebpf.SchedCLS, ebpf.SchedACT, ebpf.SocketFilter, ebpf.CGroupSKB, ebpf.LWTIn, ebpf.LWTOut, ebpf.LWTXmit:
		return "__sk_buff", skbFields
	}
	return "", nil
}

// accessCtx is an access to the program's context.
func (e *env) accessCtx(r *state.Reg, op *memOp) error {
	if err := e.checkFixedOffset(op.regno, r, false); err != nil {
		return err
	}
	name, fields := ctxStruct(e.prog.Type)
	f, ok := e.findField(name, fields, op)
	if !ok || !e.fieldAllowed(f, op) {
		return e.reject(errno.EACCES, "invalid bpf_context access off=%d size=%d", op.off, op.size)
	}
	if op.how == write || op.value < 0 {
		return nil
	}
	if f.typ == state.NotInit {
		e.loadUnknown(op)
		return nil
	}
	d := e.reg(uint8(op.value))
	d.MarkPointer(f.typ)
	if f.typ.Has(state.MaybeNull) {
		d.ID = e.newID()
	}
	return nil
}

// findField is the field that an access falls into; a field that is in no table is a
// number with no rule of its own.
func (e *env) findField(name string, fields []ctxField, op *memOp) (ctxField, bool) {
	total, err := e.prof.Sizeof(name)
	if name == "" || err != nil || op.off < 0 || op.off >= int(total) || op.off%op.size != 0 {
		return ctxField{}, false
	}
	for _, f := range fields {
		off, size, err := e.prof.Field(name, f.name)
		if err != nil {
			continue
		}
		end := off + size
		if f.last != "" {
			if lo, ls, err := e.prof.Field(name, f.last); err == nil {
				end = lo + ls
			}
		}
		if uint32(op.off) >= off && uint32(op.off) < end {
			// An access may not reach into the next field.
			return f, uint32(op.off+op.size) <= end || op.size == f.whole && uint32(op.off) == off
		}
	}
	// Padding belongs to no field.
	return ctxField{}, e.hasMember(name, uint32(op.off))
}

// fieldAllowed applies a field's rule.
func (e *env) fieldAllowed(f ctxField, op *memOp) bool {
	t := e.prog.Type
	if f.readable != nil && !slices.Contains(f.readable, t) {
		return false
	}
	if f.name == "egress_ifindex" && e.prog.AttachType != ebpf.AttachXDPDevMap {
		return false
	}
	if op.how == write && !slices.Contains(f.writable, t) {
		return false
	}
	if f.typ != state.NotInit && op.signed {
		return false
	}
	if f.sizes != nil {
		return slices.Contains(f.sizes, op.size)
	}
	if op.how == write {
		return op.size == 4
	}
	return op.size <= 4
}

// sockFields are the fields of struct bpf_sock that may be read in parts; all others
// are read whole.
var sockFields = []ctxField{
	{name: "bound_dev_if", sizes: word},
	{name: "family", last: "protocol"},
	{name: "mark", last: "priority", sizes: word},
	{name: "src_ip4", last: "src_port"},
	{name: "dst_port", whole: 4}, // it was 4 bytes once
	{name: "dst_ip4", last: "dst_ip6"},
	{name: "state", last: "rx_queue_mapping"},
}

// accessSocket is a load of a socket's public struct (check_sock_access).
func (e *env) accessSocket(r *state.Reg, op *memOp) error {
	if r.SMin < 0 {
		return e.reject(errno.EACCES,
			"R%d min value is negative, either use unsigned index or do a if (index >=0) check.", op.regno)
	}
	if !e.socketFieldAllowed(r.Type, op) {
		return e.reject(errno.EACCES, "R%d invalid %s access off=%d size=%d", op.regno, r.Type, op.off, op.size)
	}
	e.loadUnknown(op)
	return nil
}

func (e *env) socketFieldAllowed(t state.Type, op *memOp) bool {
	switch t {
	case state.PtrToTCPSock:
		if _, ok := e.findField("bpf_tcp_sock", nil, op); !ok {
			return false
		}
		for _, name := range []string{"bytes_received", "bytes_acked"} {
			if off, _, err := e.prof.Field("bpf_tcp_sock", name); err == nil && int(off) == op.off {
				return op.size == 8
			}
		}
		return op.size == 4
	case state.PtrToXDPSock:
		_, ok := e.findField("bpf_xdp_sock", nil, op)
		return ok && op.size == 4
	}
	f, ok := e.findField("bpf_sock", sockFields, op)
	if !ok {
		return false
	}
	if t == state.PtrToSockCommon {
		// A request or time-wait socket has no more than the addresses and the state.
		lo, _, err1 := e.prof.Field("bpf_sock", "type")
		hi, n, err2 := e.prof.Field("bpf_sock", "priority")
		if err1 != nil || err2 != nil || uint32(op.off) >= lo && uint32(op.off) < hi+n {
			return false
		}
	}
	if f.sizes != nil {
		return slices.Contains(f.sizes, op.size)
	}
	return op.size <= 4
}

// hasMember reports whether a member of a struct covers the byte at off.
func (e *env) hasMember(name string, off uint32) bool {
	t, err := e.prof.TypeByName(name)
	if err != nil {
		return false
	}
	return memberCovers(t, off)
}
