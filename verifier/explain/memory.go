package explain

import "github.com/bpfct/bpfct/internal/errno"

// memory are the classes about bounds.
func memory() []Class {
	return []Class{
		{
			Name: "packet-bounds", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{
				"invalid access to packet, off={off}%d size={size}%d, R{reg}%d(id=%d,off=%d,r={range}%d)", "R{reg}%d offset is outside of the packet",
			},
			What: "the packet is accessed beyond what was compared with data_end",
			Why: `A pointer into the packet may be used for as many bytes as a comparison with data_end has shown to
be there, on this very path. The comparison counts for the pointer that it was made with and for
copies of it, not for one to which another variable number was added afterwards.`,
			Help: []string{
				"compare before the access: if (data + off + size > data_end) return ...;",
				"keep the comparison and the access on the same pointer: compilers sometimes make two of one expression",
			},
			at:    "this reads or writes bytes that were not checked",
			facts: origins,
		},
		{
			Name: "map-value-bounds", Errnos: []errno.Errno{errno.EACCES, errno.EINVAL},
			Messages: []string{
				"invalid access to map value, value_size={have}%d off={off}%d size={size}%d",
				"invalid access to map value pointer, value_size={have}%d off={off}%d",
				"invalid access to map key, key_size={have}%d off={off}%d size={size}%d",
			},
			What: "an access to a map's value leaves it: the value has {have} bytes, byte {off} is accessed",
			Why:  "Every access to a map's value must lie within the value for all numbers that the index can be.",
			Help: []string{"bound the index before it is used: if (i >= ARRAY_SIZE) return ...; with the very variable that is used as index"},
			at:   "this access leaves the value", facts: origins,
		},
		{
			Name: "memory-bounds", Errnos: []errno.Errno{errno.EACCES, errno.EINVAL},
			Messages: []string{
				"invalid access to memory, mem_size={have}%d off={off}%d size={size}%d", "access beyond the end of member %s (mend:%d) in struct %s with off %d size %d",
				"access beyond struct %s at off %d size %d", "struct %s doesn't have field at offset %d", "R{reg}%d invalid {type}%s buffer access: off=%d, size=%d",
				"R{reg}%d invalid {type}%s access off=%d size=%d",
			},
			What:  "an access leaves the object that the pointer points to",
			Why:   "Every access must lie within the object: a ring buffer record, an argument of a function, a socket, a kernel structure.",
			Help:  []string{"compare the size that was reserved or passed with what is accessed"},
			facts: origins,
		},
		{
			Name: "unbounded-access", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{
				"R{reg}%d unbounded memory access, make sure to bounds check any such access",
				"R{reg}%d unbounded memory access, use 'var &= const' or 'if (var < const)'",
				"R{reg}%d min value is negative, either use unsigned index or do a if (index >=0) check.",
				"R{reg}%d min value is negative, either use unsigned or 'var &= const'",
				"R{reg}%d min value is outside of the allowed memory range", "R{reg}%d max value is outside of the allowed memory range",
				"R{reg}%d invalid zero-sized read: u64=[%d,%d]",
			},
			What: "an index or length is not bounded well enough",
			Why: `An index or a length must be known to lie in a range for which every access is inside the memory.
What the kernel knows comes from constants, masks and comparisons on this path. A signed number
without a test may be negative.`,
			Help: []string{
				"use an unsigned type, and test it: if (len > sizeof(buf)) return ...; (if (len < 1 || ...) where 0 is not allowed)",
				"let the compiler not undo it: mask the value (i &= 63) or test right before the use",
			},
			at: "this may leave the memory", facts: origins,
		},
		{
			Name: "stack-bounds", Errnos: []errno.Errno{errno.EACCES, errno.EINVAL},
			Messages: []string{
				"invalid write to stack R{reg}%d off={off}%d size={size}%d", "invalid read from stack R{reg}%d off={off}%d size={size}%d",
				"invalid indirect access to stack R{reg}%d off={off}%d size={size}%d", "invalid zero-size %s", "invalid unbounded variable-offset %s stack R{reg}%d",
			},
			What: "an access to the stack leaves it",
			Why:  "A function has 512 bytes of stack below r10. Each access must lie within, and what is passed to a function must be as large as the length says.",
			Help: []string{"pass sizeof() of the very variable whose address is passed"},
		},
		{
			Name: "uninitialized-stack", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{
				"invalid read from stack R{reg}%d off %d+%d size %d", "invalid read from stack off %d+%d size %d", "corrupted spill memory",
				"invalid size of register fill", "invalid size of register spill", "attempt to corrupt spilled pointer on stack",
			},
			What: "bytes of the stack are read that were never written, or a saved pointer is read in part",
			Why:  "What is read from the stack must have been written on this path; a saved pointer must be read as a whole.",
			Help: []string{"initialise the variable, padding included: struct key k = {}; or __builtin_memset(&k, 0, sizeof(k));"},
		},
		{
			Name: "misaligned-access", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{"misaligned %s access off %s size %d", "misaligned packet access off %s size %d"},
			What:     "an access is not aligned",
			Why:      "Accesses to the stack through saved registers, atomic operations and, on some machines, all accesses must be aligned to their size.",
			Help:     []string{"align the structure, or copy with __builtin_memcpy"},
		},
		{
			Name: "read-only-memory", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{
				"write into map forbidden, value_size=%d off=%d size=%d", "R{reg}%d cannot write into {type}%s", "cannot write into {type}%s",
				"cannot write into packet", "R{reg}%d cannot write into rdonly_mem", "read from map forbidden, value_size=%d off=%d size=%d",
			},
			What: "memory is written (or read) that the program may not write (or read)",
			Why:  "Constants (.rodata), maps with BPF_F_RDONLY_PROG, the packet in some program types and read-only arguments cannot be written.",
			Help: []string{"copy what is to be changed to the stack first; take const away from a variable that is to be changed"},
		},
	}
}
