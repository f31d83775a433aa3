package explain

import (
	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/kernel"
)

// pointers are the classes about what a register holds.
func pointers() []Class {
	return []Class{
		{
			Name: "may-be-null", Errnos: []errno.Errno{errno.EACCES, errno.EINVAL},
			Messages: []string{
				"R{reg}%d invalid mem access '{type}%s_or_null'", "R{reg}%d invalid mem access '{type}%sptr_or_null_'",
				"Possibly NULL pointer passed to trusted arg{arg}%d",
				"R{reg}%d pointer arithmetic on {type}%s_or_null prohibited, null-check it first",
				"R{reg}%d pointer arithmetic on {type}%s_or_null_ prohibited, null-check it first",
				"R{reg}%d type={type}%s_or_null expected={want}%s", "R{reg}%d type={type}%s_or_null_ expected={want}%s",
			},
			What: "{origin|a pointer} is used, but may be NULL",
			Why: `Look-ups and allocations can fail and then return NULL. The kernel lets a program use such a
pointer only on paths where it was compared with NULL.`,
			Help:  []string{"test the pointer first: if (!p) return ...; a test before another call that may change it does not count"},
			at:    "it is used here without a test on this path",
			facts: maybeNull,
		},
		{
			Name: "not-a-pointer", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{"R{reg}%d invalid mem access '{type}scalar'", "R{reg}%d invalid mem access 'scalar'"},
			What:     "memory is read or written through a value that is not a pointer (any more)",
			Why: `The kernel follows what each register holds. A number is no pointer, whatever the C type says. A
pointer becomes a number when what it points to was given back, when a call may have moved the
packet, when it was stored where its kind is not kept (in a packet or in plain map memory), or when
arithmetic is done on it that is not allowed for pointers.`,
			Help: []string{
				"use what was given back before the call that takes it, not after",
				"read data and data_end from the context again after a call that changes the packet, and check the bounds again",
			},
			at:    "here it is used as a pointer",
			facts: turnedScalar,
		},
		{
			Name: "wrong-memory", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{"R{reg}%d invalid mem access '{type}%s'"},
			What:     "memory is accessed through a pointer that does not allow it ({type})",
			Why:      "A pointer to a map, to the end of the packet, to a function or the like cannot be read or written through.",
			Help:     []string{"look a map's value up first; compare with data_end, never read through it"},
			facts:    origins,
		},
		{
			Name: "uninitialized-register", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{"R{reg}%d !read_ok"},
			What:     "a value is used that was never set on this path",
			Why: `A register must be written before it is read. A call to a helper or kernel function forgets what
was in r1 to r5, and a function without a return value leaves r0 unset.`,
			Help: []string{"initialise the variable where it is declared, and return a value from every function"},
			facts: func(q *query) []note {
				r, ok := q.register()
				if !ok || r > asm.R5 {
					return nil
				}
				i := q.origin(q.end, r)
				if i < 0 || callName(q.steps[i].in) == "" {
					return nil
				}
				return []note{{i, "the call of " + callName(q.steps[i].in) + " forgets it here"}}
			},
		},
		{
			Name: "pointer-arithmetic", Errnos: []errno.Errno{errno.EACCES, errno.EINVAL},
			Messages: []string{
				"R{reg}%d pointer arithmetic on {type}%s prohibited", "R{reg}%d pointer += pointer prohibited", "R{reg}%d pointer -= pointer prohibited",
				"R{reg}%d tried to subtract pointer from scalar", "R{reg}%d bitwise operator %s on pointer prohibited",
				"R{reg}%d pointer arithmetic with %s operator prohibited", "R{reg}%d 32-bit pointer arithmetic prohibited",
				"R{reg}%d subtraction from stack pointer prohibited", "math between {type}%s pointer and register with unbounded min value is not allowed",
				"math between {type}%s pointer and %d is not allowed", "R{reg}%d partial copy of pointer",
				"value %d makes {type}%s pointer be out of bounds", "{type}%s pointer offset %d is not allowed",
			},
			What: "arithmetic is done on a pointer that the kernel cannot follow",
			Why: `To a pointer into a packet, a map value or the stack a bounded number may be added or taken away,
nothing else; to other pointers nothing at all. Two pointers cannot be added, nor a pointer taken from a number.`,
			Help:  []string{"bound the number first (if (i >= MAX) return ...; or i &= MAX - 1), and index the array with it"},
			facts: origins,
		},
		{
			Name: "frame-pointer", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{"frame pointer is read only"},
			What:     "r10, the frame pointer, is written",
			Why:      "r10 points to the end of the function's stack and cannot be changed.",
			Help:     []string{"copy r10 to another register and change that"},
		},
	}
}

func register(n int) asm.Register { return asm.Register(n) }

// turnedScalar notes where a number that is used as a pointer comes from, and what made
// it one.
func turnedScalar(q *query) []note {
	out := released(q)
	if len(out) != 1 {
		return out
	}
	from := out[0].step
	in := q.steps[from].in
	if in.OpCode.Class() == asm.LdXClass {
		out[0].text = "read here"
	} else if in.OpCode.Class().IsALU() {
		out[0].text = "computed here"
	}
	for i := q.end - 1; i > from; i-- {
		if callHas(q.steps[i].in, kernel.ChangesPacket) {
			return append(out, note{i, callName(q.steps[i].in) + " may move the packet: pointers into it are void from here on"})
		}
	}
	return out
}
