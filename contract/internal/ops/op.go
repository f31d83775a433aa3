package ops

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// Code is what an Op does.
type Code uint32

// The calls. Alloc and Lookup need an empty slot, the Set functions (but SetMark)
// and Insert one with an allocated connection, Release and the Change functions one
// with a connection that was inserted or found.
const (
	Alloc Code = iota + 1
	Lookup
	Insert
	Release
	SetTimeout
	ChangeTimeout
	SetStatus
	ChangeStatus
	SetNATInfo
	SetMark // not a call: a write to ct->mark
	Read    // only look
)

var codeNames = [...]string{
	Alloc: "alloc", Lookup: "lookup", Insert: "insert", Release: "release", SetTimeout: "set_timeout",
	ChangeTimeout: "change_timeout", SetStatus: "set_status", ChangeStatus: "change_status",
	SetNATInfo: "set_nat_info", SetMark: "mark =", Read: "read",
}

// String is the name of the kfunc without what all have in common.
func (c Code) String() string {
	if int(c) < len(codeNames) && codeNames[c] != "" {
		return codeNames[c]
	}
	return fmt.Sprintf("Code(%d)", uint32(c))
}

// Flags of an Op: NULL with size 0 is passed.
const (
	NullTuple = 1
	NullOpts  = 2
)

// Limits of an Op.
const (
	Slots     = 3
	TupleRoom = 40
	OptsRoom  = 32
	// MaxOps is how many one run may have.
	MaxOps = 256
)

// Op is one call. It lies in memory as ops.c has it.
type Op struct {
	Code  Code
	Slot  uint32
	Flags uint32
	// Arg is milliseconds, a status, a mark or a manip (of which bit 0 counts).
	Arg uint32
	// Port and Addr are of SetNATInfo, Port in host order.
	Port int32
	// TupleSize and OptsSize are what the call is told; the rest of the room behind
	// must not be touched.
	TupleSize, OptsSize uint32
	Addr                [16]byte
	Tuple               [TupleRoom]byte
	Opts                [OptsRoom]byte
}

// View is what a program reads of a struct nf_conn.
type View struct {
	Status, Timeout, Mark, Use uint32
	Tuple                      [2]TupleView
	ZoneID                     uint16
	ZoneFlags, ZoneDir         uint8
}

// TupleView is a struct nf_conntrack_tuple in short.
type TupleView struct {
	Src, Dst         [16]byte
	SrcPort, DstPort [2]byte // network order
	L3Num            uint16
	Proto, Dir       uint8
}

// Result is what an Op left.
type Result struct {
	// Before and After are jiffies.
	Before, After uint64
	// Ret is what the call returned, 1 for a pointer and 0 for NULL.
	Ret int32
	// Done is 1 if the slot had what the call needs, so that it was made.
	Done uint32
	// Same has a bit for each slot whose pointer is that of the op's slot.
	Same uint32
	// View is what the slot holds afterwards, all zero for nothing.
	View View
	// Opts is the options' memory with what stands behind it.
	Opts [OptsRoom]byte
}

// Options is struct bpf_ct_opts.
type Options struct {
	NetnsID int32
	Error   int32
	Proto   uint8
	Dir     uint8
	ZoneID  uint16
	ZoneDir uint8
	// Reserved is what stands behind the last member.
	Reserved [3]byte
}

// Canary fills what a call must not touch.
const Canary = 0xa5

// SetOpts writes o in front of canaries, and says that it has size bytes.
func (op *Op) SetOpts(o Options, size uint32) {
	for i := range op.Opts {
		op.Opts[i] = Canary
	}
	b := op.Opts[:0]
	b = binary.LittleEndian.AppendUint32(b, uint32(o.NetnsID))
	b = binary.LittleEndian.AppendUint32(b, uint32(o.Error))
	b = append(b, o.Proto, o.Dir)
	b = binary.LittleEndian.AppendUint16(b, o.ZoneID)
	b = append(b, o.ZoneDir)
	b = append(b, o.Reserved[:]...)
	op.OptsSize = size
	if size < uint32(len(b)) {
		for i := size; i < uint32(len(b)); i++ {
			op.Opts[i] = Canary
		}
	}
}

// Error is opts.error after the call.
func (r *Result) Error() int32 { return int32(binary.LittleEndian.Uint32(r.Opts[4:])) }

// Dir is opts.dir after the call.
func (r *Result) Dir() uint8 { return r.Opts[9] }

// SetTuple writes a struct bpf_sock_tuple in front of canaries, and its size.
func (op *Op) SetTuple(src, dst netip.AddrPort) {
	for i := range op.Tuple {
		op.Tuple[i] = Canary
	}
	b := op.Tuple[:0]
	b = append(b, src.Addr().AsSlice()...)
	b = append(b, dst.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	op.TupleSize = uint32(len(b))
}

// SetAddr sets the address of SetNATInfo.
func (op *Op) SetAddr(a netip.Addr) {
	op.Addr = [16]byte{}
	copy(op.Addr[:], a.AsSlice())
}

// String is the op on one line.
func (op *Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d: %v", op.Slot, op.Code)
	switch op.Code {
	case Alloc, Lookup:
		if op.Flags&NullTuple != 0 {
			b.WriteString(" NULL")
		} else {
			fmt.Fprintf(&b, " %s", TupleText(op.Tuple[:min(op.TupleSize, TupleRoom)]))
		}
		if op.Flags&NullOpts != 0 {
			b.WriteString(" NULL")
		} else {
			fmt.Fprintf(&b, " opts %d: %x", op.OptsSize, op.Opts[:min(max(op.OptsSize, 16), OptsRoom)])
		}
	case SetNATInfo:
		fmt.Fprintf(&b, " %s %x port %d", [2]string{"src", "dst"}[op.Arg&1], op.Addr, op.Port)
	case SetTimeout, ChangeTimeout:
		fmt.Fprintf(&b, " %d ms", op.Arg)
	case SetStatus, ChangeStatus, SetMark:
		fmt.Fprintf(&b, " %#x", op.Arg)
	}
	return b.String()
}

// TupleText is a struct bpf_sock_tuple in words, of another size in hexadecimal.
func TupleText(t []byte) string {
	n := 0
	switch len(t) {
	case 12:
		n = 4
	case 36:
		n = 16
	default:
		return fmt.Sprintf("tuple %d: %x", len(t), t)
	}
	src, _ := netip.AddrFromSlice(t[:n])
	dst, _ := netip.AddrFromSlice(t[n : 2*n])
	return fmt.Sprintf("%v > %v",
		netip.AddrPortFrom(src, binary.BigEndian.Uint16(t[2*n:])),
		netip.AddrPortFrom(dst, binary.BigEndian.Uint16(t[2*n+2:])))
}
