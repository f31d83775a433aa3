package explain

import "github.com/bpfct/bpfct/internal/errno"

// calls are the classes about what is called and with what.
func calls() []Class {
	return []Class{
		{
			Name: "wrong-kernel-type", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{
				"kernel function {func}%s args#{arg}%d expected pointer to {want}%s but R{reg}%d has a pointer to {have}%s",
				"R{reg}%d is of type {have}%s but {want}%s is expected",
			},
			What: "a pointer to {have} is passed where {want} is wanted",
			Why: `The kernel compares the types by its own type information. For connections there are two: one that
was allocated and is not inserted yet is a struct nf_conn___init, one that is in the table a struct
nf_conn. set_timeout, set_status, set_nat_info and insert_entry take the first; change_timeout,
change_status and release the second.`,
			Help: []string{
				"before bpf_ct_insert_entry use the bpf_ct_set_ functions, on what it returned the bpf_ct_change_ functions",
				"an allocated connection is given back by inserting it and releasing the result",
			},
			facts: origins,
		},
		{
			Name: "memory-and-length", outer: true, Errnos: []errno.Errno{errno.EINVAL, errno.EACCES},
			Messages: []string{"arg#{arg}%d arg#%d memory, len pair leads to invalid memory access"},
			What:     "a pointer and the length passed with it do not go together",
			Why:      "Where a function takes memory and its length, that many bytes must be readable (or writable) at the pointer, NULL only with length 0.",
			Help:     []string{"pass sizeof() of the very object whose address is passed; NULL only together with 0"},
			facts:    origins,
		},
		{
			Name: "not-a-map", Errnos: []errno.Errno{errno.EBADF, errno.EINVAL},
			Messages: []string{"fd %d is not pointing to valid bpf_map", "invalid map_ptr to access map->key", "R{reg}%d type={type}%s expected=map_ptr"},
			What:     "something that is no map is used as one",
			Why:      "A program refers to maps by name and the loader fills in the map. A map that was not made leaves a number that is none.",
			Help:     []string{"define the map in section .maps and load the object with a loader"},
		},
		{
			Name: "argument-type", Errnos: []errno.Errno{errno.EACCES, errno.EINVAL},
			Messages: []string{
				"R{reg}%d type={type}%s expected={want}%s", "arg#{arg}%d expected pointer to {want}%s", "arg#{arg}%d is {type}%s, expected %s",
				"R{reg}%d must be a known constant", "R{reg}%d is not a scalar", "R{reg}%d must be a rcu pointer", "R{reg}%d must be referenced or trusted",
				"R{reg}%d doesn't point to a const string", "R{reg}%d is not a pointer to {want}%s",
				"arg#{arg}%d must be a rcu pointer", "arg#{arg}%d reference type('%s') does not match",
			},
			What: "an argument is not what the function takes",
			Why:  "Each argument has a kind: memory on the stack or in a map, a map, the context, a socket, a constant. What is passed must be of that kind on every path.",
			Help: []string{"compare the call with the function's prototype (bpfct objdump shows it beside the call)"}, facts: origins,
		},
		{
			Name: "packet-to-helper", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{"helper access to the packet is not allowed"},
			What:     "a pointer into the packet is passed to a function that does not take one",
			Why:      "Only some functions may be given packet memory, and only in program types that may access the packet directly.",
			Help:     []string{"copy the bytes to the stack and pass that"},
		},
		{
			Name: "function-not-allowed", Errnos: []errno.Errno{errno.EACCES, errno.EINVAL},
			Messages: []string{
				"calling kernel function {func}%s is not allowed", "program of this type cannot use helper {func}%s#%d", "metadata kfuncs require device-bound program", "helper call is not allowed in probe",
			},
			What: "the function cannot be called from a program of this type",
			Why:  "Each helper and kernel function is for certain program types, and exists from some kernel version on.",
			Help: []string{"bpfct profiles NAME --functions lists what tc and XDP programs may call on a kernel", "bpf_skb_ct_ functions are for tc, bpf_xdp_ct_ functions for XDP"},
		},
		{
			Name: "unknown-function", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"invalid func {func}%s#%d", "unknown func {func}%s#%d"},
			What:     "a function is called that the kernel does not have",
			Why: `A helper is called by its number, and this kernel has none of that number. A relocation that the
loader could not do, a field that this kernel's structures lack, a weak function that is not there,
leaves such a call in its place, too: it only matters if the program can get there.`,
			Help: []string{
				"ask before the use: bpf_ksym_exists(function), bpf_core_field_exists(s->field), bpf_core_enum_value_exists(...)",
				"bpfct profiles NAME --functions lists what a kernel has",
			},
		},
		{
			Name: "licence", Errnos: []errno.Errno{errno.EINVAL, errno.EACCES},
			Messages: []string{
				"cannot call kernel function from non-GPL compatible program", "cannot call GPL-restricted function from non-GPL compatible program",
			},
			What: "the program's licence does not let it call this function",
			Why:  "Kernel functions, and helpers that are marked so, can only be called by programs whose licence section is compatible with the GPL.",
			Help: []string{`char LICENSE[] SEC("license") = "GPL"; or "Dual MIT/GPL", "Dual BSD/GPL"`},
		},
		{
			Name: "map-helper-mismatch", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"cannot pass map_type %d into func {func}%s#%d", "tail_call abusing map_ptr", "only one cgroup storage of each type is allowed"},
			What:     "the function does not take maps of this type",
			Why:      "Some functions work on one type of map only, and some maps only with their own functions.",
			Help:     []string{"check the map's type; bpf_redirect_map takes device, CPU and socket maps, bpf_tail_call program arrays"},
		},
		{
			Name: "too-many-maps", Errnos: []errno.Errno{errno.E2BIG},
			Messages: []string{"The total number of maps per program has reached the limit of %d"},
			What:     "the program uses more maps than one may",
			Why:      "A program may use 64 maps.",
			Help:     []string{"join maps, or split the program"},
		},
	}
}
