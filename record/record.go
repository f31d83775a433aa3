package record

import (
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// Kind says what the kernel keeps in a field.
type Kind uint8

// The kinds of special fields, named for their C types or type tags.
const (
	SpinLock    Kind = iota + 1 // struct bpf_spin_lock
	ResSpinLock                 // struct bpf_res_spin_lock
	Timer                       // struct bpf_timer
	Workqueue                   // struct bpf_wq
	TaskWork                    // struct bpf_task_work
	KptrUnref                   // a pointer tagged kptr_untrusted
	KptrRef                     // a pointer tagged kptr
	KptrPercpu                  // a pointer tagged percpu_kptr
	Uptr                        // a pointer tagged uptr
	ListHead                    // struct bpf_list_head
	ListNode                    // struct bpf_list_node
	RBRoot                      // struct bpf_rb_root
	RBNode                      // struct bpf_rb_node
	Refcount                    // struct bpf_refcount
)

type kindInfo struct {
	kind        Kind
	size, align uint32
	// single tells that a type may have one such field.
	single bool
}

var structKinds = map[string]kindInfo{
	"bpf_spin_lock":     {SpinLock, 4, 4, true},
	"bpf_res_spin_lock": {ResSpinLock, 4, 4, true},
	"bpf_timer":         {Timer, 16, 8, true},
	"bpf_wq":            {Workqueue, 16, 8, true},
	"bpf_task_work":     {TaskWork, 8, 8, true},
	"bpf_list_head":     {ListHead, 16, 8, false},
	"bpf_list_node":     {ListNode, 24, 8, false},
	"bpf_rb_root":       {RBRoot, 16, 8, false},
	"bpf_rb_node":       {RBNode, 32, 8, false},
	"bpf_refcount":      {Refcount, 4, 4, false},
}

var tagKinds = map[string]Kind{
	"kptr_untrusted": KptrUnref,
	"kptr":           KptrRef,
	"percpu_kptr":    KptrPercpu,
	"uptr":           Uptr,
}

// String is the C type or tag of the kind.
func (k Kind) String() string {
	for name, info := range structKinds {
		if info.kind == k {
			return name
		}
	}
	for tag, kind := range tagKinds {
		if kind == k {
			return tag
		}
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// isRoot reports whether the field is a list or tree.
func (k Kind) isRoot() bool { return k == ListHead || k == RBRoot }

// IsKptr reports whether the field is a pointer that bpf_kptr_xchg or a store
// may change.
func (k Kind) IsKptr() bool { return k == KptrUnref || k == KptrRef || k == KptrPercpu }

// Field is one special field.
type Field struct {
	Kind   Kind
	Offset uint32 // bytes from the start of the outer type
	Size   uint32 // bytes
	// Type is what a kptr points to, or what a list or rbtree holds; nil for
	// the other kinds.
	Type btf.Type
	// Node is the byte offset of the list or rbtree node in Type, and NodeName
	// its member name, as the contains declaration tag says. For heads and roots only.
	Node     uint32
	NodeName string
}

// Record is all special fields of a type, by rising offset.
type Record struct {
	Fields []Field
}

// MaxFields is how many special fields a type may have (BTF_FIELDS_MAX).
const MaxFields = 11

// Find returns the first field of the given kind, nil when there is none.
func (r *Record) Find(k Kind) *Field {
	if r == nil {
		return nil
	}
	for i := range r.Fields {
		if r.Fields[i].Kind == k {
			return &r.Fields[i]
		}
	}
	return nil
}

// At returns the field that starts at the given offset, nil when there is none.
func (r *Record) At(off uint32) *Field {
	if r == nil {
		return nil
	}
	for i := range r.Fields {
		if r.Fields[i].Offset == off {
			return &r.Fields[i]
		}
	}
	return nil
}
