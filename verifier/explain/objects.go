package explain

import "github.com/bpfct/bpfct/internal/errno"

// objects are the classes about fields and stack objects that the kernel manages.
func objects() []Class {
	return []Class{
		{
			Name: "special-field", Errnos: []errno.Errno{errno.EACCES, errno.EINVAL},
			Messages: []string{
				"{field}%s cannot be accessed directly by load/store", "{field}%s cannot be accessed indirectly by helper", "direct access to {field}%s is disallowed",
				"{field}%s access cannot have variable offset", "{field}%s access misaligned expected=%d off=%d", "{field}%s access size must be BPF_DW",
			},
			What: "a field that the kernel keeps ({field}) is accessed like plain memory",
			Why:  "Locks, timers, list heads, tree nodes and kernel pointers in a value are used through their own functions; a plain read or write, also a copy of the whole value, would break them.",
			Help: []string{"use the functions for it (bpf_spin_lock, bpf_timer_start, bpf_kptr_xchg, bpf_list_push_front); copy the other members one by one"},
		},
		{
			Name: "field-missing", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{
				"map '%s' has no valid {field}%s", "map '%s' has no valid kptr", "{field}%s not found at offset=%d", "off %d doesn't point to 'struct {field}%s' that is at %d",
				"off=%d doesn't point to kptr", "tracing progs cannot use {field}%s yet", "socket filter progs cannot use {field}%s yet",
			},
			What: "a map's value has no such field at the place that is passed",
			Why:  "The functions for locks, timers and kernel pointers take the address of such a field in a map's value or an object of the program's own.",
			Help: []string{"pass the address of the member itself; the map must have BTF types for key and value"},
		},
		{
			Name: "kptr-type", Errnos: []errno.Errno{errno.EINVAL, errno.EACCES},
			Messages: []string{"invalid kptr access, R{reg}%d type={have}%s expected={want}%s", "store to referenced kptr disallowed", "BPF_ST imm must be 0 when storing to kptr at off=%d"},
			What:     "a pointer is stored in a map's value that does not fit the field",
			Why:      "A kptr field takes pointers of exactly its type. One that owns (__kptr) changes only by bpf_kptr_xchg.",
			Help:     []string{"old = bpf_kptr_xchg(&v->ct, ct); and give back old if it is not NULL"},
		},
		{
			Name: "dynptr", Errnos: []errno.Errno{errno.EINVAL, errno.EACCES},
			Messages: []string{
				"cannot overwrite referenced dynptr", "Expected an initialized dynptr as arg #{arg}%d", "Dynptr has to be an uninitialized dynptr",
				"Expected a dynptr of type %s as arg #{arg}%d", "cannot pass in dynptr at an offset=%d", "dynptr has to be at a constant offset",
				"arg#{arg}%d expected pointer to stack or const struct bpf_dynptr", "Invalid dynptr%s",
			},
			What: "a dynptr is used before it is made, after it is void, or overwritten",
			Why:  "A dynptr lives on the stack. It must be made before it is used, must not be overwritten as plain memory, and one that reserves ring buffer memory must be submitted or discarded.",
			Help: []string{"initialise it with bpf_dynptr_from_skb, _xdp, _mem or bpf_ringbuf_reserve_dynptr, and pass its address unchanged"},
		},
		{
			Name: "iterator", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"expected an initialized iter_%s as arg #{arg}%d", "expected uninitialized iter_%s as arg #{arg}%d", "arg#{arg}%d expected pointer to an iterator on stack"},
			What:     "an iterator is used out of its order",
			Why:      "An iterator is made by its _new function, stepped by _next and given back by _destroy, on every path.",
			Help:     []string{"use bpf_for or bpf_for_each, which do all three"},
		},
		{
			Name: "own-object", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"arg#{arg}%d expected pointer to allocated object", "arg#{arg}%d expected pointer to map value or allocated object", "allocated object must be referenced", "R{reg}%d must be a pointer to an allocated object%s"},
			What:     "an object made by bpf_obj_new is wanted",
			Why:      "Lists, trees and bpf_obj_drop take objects that the program allocated and still owns.",
			Help:     []string{"pass the pointer that bpf_obj_new returned, after a test for NULL"},
			facts:    origins,
		},
	}
}
