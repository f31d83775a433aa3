package explain

import "github.com/bpfct/bpfct/internal/errno"

// contexts are the classes about the context and the kernel's structures.
func contexts() []Class {
	return []Class{
		{
			Name: "context-access", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{"invalid bpf_context access off={off}%d size={size}%d"},
			What:     "byte {off} of the context cannot be accessed like this",
			Why: `Which fields of struct __sk_buff or xdp_md a program may read or write, and with which size, depends
on its type. Most are read-only; data, data_end and data_meta are read as whole words.`,
			Help: []string{"look the field up for this program type; read it with its own type and write only mark, priority, cb and the like"},
		},
		{
			Name: "context-pointer-moved", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{
				"dereference of modified ctx ptr R{reg}%d off={off}%d disallowed", "negative offset ctx ptr R{reg}%d off={off}%d disallowed",
				"variable ctx access var_off=%s off=%d size=%d", "dereference of modified {type}%s ptr R{reg}%d off={off}%d disallowed",
				"negative offset {type}%s ptr R{reg}%d off={off}%d disallowed", "variable {type}%s access var_off=%s disallowed",
			},
			What: "a changed pointer to the context or a kernel object is used",
			Why:  "The context and kernel objects are accessed by constant offsets from the pointer as it was received.",
			Help: []string{"use ctx->field directly; keep the compiler from joining offsets by reading the field into a variable early"},
		},
		{
			Name: "field-not-writable", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{"no write support to {type}%s at off {off}%d", "only read is supported", "only read from {type}%s is supported", "cannot write into {type}%s at off %d"},
			What:     "a field of a kernel structure is written that programs may only read",
			Why: `Programs read kernel structures but write only what the kernel lets them: of struct nf_conn the mark.
The rest is changed by calling functions: bpf_ct_set_timeout, bpf_ct_change_status and so on.`,
			Help:  []string{"use the kernel function that changes it, such as bpf_ct_set_status or bpf_ct_change_timeout; ct->mark may be written directly"},
			facts: origins,
		},
		{
			Name: "context-argument", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"arg#{arg}%d expected pointer to ctx, but got {type}%s"},
			What:     "something else than the program's context is passed as the context",
			Why:      "The argument must be the very pointer that the program was called with.",
			Help:     []string{"pass ctx itself through to where it is used, unchanged"},
			facts:    origins,
		},
	}
}
