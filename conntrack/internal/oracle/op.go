// Package oracle asks the running kernel what its connection tracking does:
// it runs sequences of operations in a network namespace of its own and gives
// back what each returned. Tests compare; nothing else imports it.
//
// An [Op] and its [Results] are laid out as in interp.bpf.c, byte for byte.
package oracle

import "fmt"

// Which parts of a [Spec] count.
const (
	DoTimeout = 1 << iota // Timeout before insert
	DoStatus              // Status before insert
	DoMark                // Mark before insert
	DoNAT0                // NAT[0], and so on
	DoNAT1
	DoNAT2
	DoTimeout2 // Timeout2 after insert or lookup
	DoStatus2
	DoMark2
)

// Kinds of operations.
const (
	OpInsert = iota // alloc A and insert it
	OpLookup        // look A up
	OpPair          // alloc A, alloc B, insert A, insert B
	OpHeld          // alloc and insert A; look B up before A is released
)

// NAT is one call of bpf_ct_set_nat_info. Only manips 0 and 1 are ever made.
type NAT struct {
	Addr  [16]byte
	Port  int32
	Manip uint32
}

// Spec is one connection and what to do with it.
type Spec struct {
	Tuple                    [36]byte // struct bpf_sock_tuple
	V6, Proto                uint8
	ZoneID                   uint16
	ZoneDir                  uint8
	_                        [3]byte
	Flags                    uint32
	Timeout, Status, Mark    uint32
	Timeout2, Status2, Mark2 uint32
	NAT                      [3]NAT
}

// Op is one operation.
type Op struct {
	Kind uint32
	A, B Spec
}

// GoString is short: a generated sequence has many of them.
func (o Op) GoString() string {
	s := fmt.Sprintf("{%d %#v", o.Kind, o.A)
	if o.Kind >= OpPair {
		s += fmt.Sprintf(" %#v", o.B)
	}
	return s + "}"
}

// GoString is short.
func (s Spec) GoString() string {
	n := 12
	if s.V6 != 0 {
		n = 36
	}
	out := fmt.Sprintf("%x/%d", s.Tuple[:n], s.Proto)
	if s.ZoneID != 0 || s.ZoneDir != 0 {
		out += fmt.Sprintf(" zone %d/%d", s.ZoneID, s.ZoneDir)
	}
	for i, w := range []struct {
		name string
		v    uint32
	}{{"timeout", s.Timeout}, {"status", s.Status}, {"mark", s.Mark}, {}, {}, {}, {"timeout2", s.Timeout2}, {"status2", s.Status2}, {"mark2", s.Mark2}} {
		if s.Flags>>i&1 != 0 && w.name != "" {
			out += fmt.Sprintf(" %s %#x", w.name, w.v)
		}
	}
	for i, n := range s.NAT {
		if s.Flags&(DoNAT0<<i) != 0 {
			out += fmt.Sprintf(" nat%d %x:%d", n.Manip, n.Addr, n.Port)
		}
	}
	return out
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
	Proto            uint16
}

// Result is what became of one connection.
type Result struct {
	Error        int32 // opts.error
	Got          uint32
	Dir, ZoneDir uint32 // opts.dir (9 where left) and opts.ct_zone_dir
	Before       View
	StatusRet    int32
	NATRet       [3]int32
	Made         View // before insert
	Inserted     uint32
	After        View
	Timeout2Ret  int32
	Status2Ret   int32
	Last         View
}

// Results are of both connections of an operation, with the time before and
// after it.
type Results struct {
	A, B               Result
	Jiffies0, Jiffies1 uint64
}
