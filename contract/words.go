package contract

// Word is a rule that the kernel's verifier keeps, with a program that keeps it or
// breaks it, and what becomes of that.
type Word struct {
	// Program is in testdata/words.c, or in Object where that is set.
	Program, Object string
	// Rule says what the program does.
	Rule string
	// Kernel is how the verifier's last lines begin, none where it accepts.
	Kernel []string
	// Machine is what the machine does with the program where nothing verifies it
	// first: the name of a fault, Refused, or Runs.
	Machine string
}

// What the machine may do instead of a fault.
const (
	Runs    = "runs"
	Refused = "refused at load"
)

// Words are the rules. A program that the kernel refuses and the machine runs does
// nothing wrong in the run that it makes: only a verifier knows that another would.
var Words = []Word{
	{
		Program: "alloc_never_released", Rule: "A connection that alloc gave is never released.",
		Kernel:  []string{"Unreleased reference id=2 alloc_insn=", "BPF_EXIT instruction in main prog would lead to reference leak"},
		Machine: "reference leak",
	},
	{
		Program: "lookup_never_released", Rule: "A connection that lookup gave is never released.",
		Kernel:  []string{"Unreleased reference id=4 alloc_insn=", "BPF_EXIT instruction in main prog would lead to reference leak"},
		Machine: "reference leak",
	},
	{
		Program: "lost_in_subprogram", Rule: "A connection is lost in a subprogram.",
		Kernel:  []string{"Unreleased reference id=2 alloc_insn=", "BPF_EXIT instruction in main prog would lead to reference leak"},
		Machine: "reference leak",
	},
	{
		Program: "insert_result_lost", Rule: "The result of insert is lost.",
		Kernel:  []string{"Unreleased reference id=4 alloc_insn=", "BPF_EXIT instruction in main prog would lead to reference leak"},
		Machine: "reference leak",
	},
	{
		Program: "held_across_tail_call", Rule: "A connection is held across a tail call.",
		Kernel:  []string{"Unreleased reference id=4 alloc_insn=", "tail_call would lead to reference leak"},
		Machine: "reference leak",
	},
	{
		Program: "lost_in_callback", Rule: "A connection is acquired in a callback of bpf_loop and lost.",
		Kernel:  []string{"Unreleased reference id=2 alloc_insn=", "BPF_EXIT instruction in main prog would lead to reference leak"},
		Machine: "reference leak",
	},
	{
		Program: "released_in_callback", Rule: "A connection that was acquired before is released in a callback of bpf_loop.",
		Kernel:  []string{"Unreleased reference id=4 alloc_insn=", "BPF_EXIT instruction in main prog would lead to reference leak"},
		Machine: Runs,
	},
	{
		Program: "read_of_null", Rule: "A member is read through a pointer that may be NULL.",
		Kernel:  []string{"R0 invalid mem access 'ptr_or_null_'"},
		Machine: "NULL dereference",
	},
	{
		Program: "release_of_null", Rule: "What may be NULL is released.",
		Kernel:  []string{"Possibly NULL pointer passed to trusted arg0"},
		Machine: "NULL dereference",
	},
	{
		Program: "insert_of_null", Rule: "What may be NULL is inserted.",
		Kernel:  []string{"Possibly NULL pointer passed to trusted arg0"},
		Machine: "NULL dereference",
	},
	{
		Program: "released_twice", Rule: "A connection is released twice.",
		Kernel:  []string{"max struct nesting depth exceeded", "arg#0 pointer type STRUCT nf_conn must point to scalar, or struct with scalar"},
		Machine: "use after release",
	},
	{
		Program: "read_after_release", Rule: "A member is read after release.",
		Kernel:  []string{"R6 invalid mem access 'scalar'"},
		Machine: "use after release",
	},
	{
		Program: "set_timeout_after_insert", Rule: "bpf_ct_set_timeout is called for what was inserted.",
		Kernel:  []string{"max struct nesting depth exceeded", "arg#0 pointer type STRUCT nf_conn___init must point to scalar, or struct with scalar"},
		Machine: "use after release",
	},
	{
		Program: "release_of_init", Rule: "A struct nf_conn___init is released.",
		Kernel:  []string{"kernel function bpf_ct_release args#0 expected pointer to STRUCT nf_conn but R1 has a pointer to STRUCT nf_conn___init"},
		Machine: "bad argument",
	},
	{
		Program: "change_timeout_of_init", Rule: "bpf_ct_change_timeout is called for a struct nf_conn___init.",
		Kernel:  []string{"kernel function bpf_ct_change_timeout args#0 expected pointer to STRUCT nf_conn but R1 has a pointer to STRUCT nf_conn___init"},
		Machine: "bad argument",
	},
	{
		Program: "change_status_of_init", Rule: "bpf_ct_change_status is called for a struct nf_conn___init.",
		Kernel:  []string{"kernel function bpf_ct_change_status args#0 expected pointer to STRUCT nf_conn but R1 has a pointer to STRUCT nf_conn___init"},
		Machine: "bad argument",
	},
	{
		Program: "insert_of_conn", Rule: "A struct nf_conn is inserted.",
		Kernel:  []string{"kernel function bpf_ct_insert_entry args#0 expected pointer to STRUCT nf_conn___init but R1 has a pointer to STRUCT nf_conn"},
		Machine: "bad argument",
	},
	{
		Program: "set_timeout_of_conn", Rule: "bpf_ct_set_timeout is called for a struct nf_conn.",
		Kernel:  []string{"kernel function bpf_ct_set_timeout args#0 expected pointer to STRUCT nf_conn___init but R1 has a pointer to STRUCT nf_conn"},
		Machine: "bad argument",
	},
	{
		Program: "set_status_of_conn", Rule: "bpf_ct_set_status is called for a struct nf_conn.",
		Kernel:  []string{"kernel function bpf_ct_set_status args#0 expected pointer to STRUCT nf_conn___init but R1 has a pointer to STRUCT nf_conn"},
		Machine: "bad argument",
	},
	{
		Program: "write_mark", Rule: "ct->mark is written, on either type.",
		Machine: Runs,
	},
	{
		Program: "write_status", Rule: "ct->status is written.",
		Kernel:  []string{"no write support to nf_conn at off 128"},
		Machine: "write to read-only memory",
	},
	{
		Program: "write_timeout", Rule: "ct->timeout is written.",
		Kernel:  []string{"no write support to nf_conn at off 8"},
		Machine: "write to read-only memory",
	},
	{
		Program: "release_of_inside", Rule: "The pointer plus 8 is released.",
		Kernel:  []string{"R1 must have zero offset when passed to release func or trusted arg to kfunc"},
		Machine: "bad argument",
	},
	{
		Program: "opts_null", Rule: "The options are NULL, of 16 bytes.",
		Kernel:  []string{"R4 type=scalar expected=fp", "arg#3 arg#4 memory, len pair leads to invalid memory access"},
		Machine: "bad argument",
	},
	{
		Program: "tuple_null", Rule: "The tuple is NULL, of 12 bytes.",
		Kernel:  []string{"R2 type=scalar expected=fp", "arg#1 arg#2 memory, len pair leads to invalid memory access"},
		Machine: "bad argument",
	},
	{
		Program: "opts_null_size_0", Rule: "The options are NULL, of 0 bytes.",
		Machine: Runs,
	},
	{
		Program: "tuple_null_size_0", Rule: "The tuple is NULL, of 0 bytes.",
		Machine: Runs,
	},
	{
		Program: "tuple_in_packet", Rule: "The tuple lies in the packet.",
		Machine: Runs,
	},
	{
		Program: "tuple_uninitialised", Rule: "The tuple is uninitialised stack.",
		Machine: Runs,
	},
	{
		Program: "ctx_null", Rule: "The context is NULL.",
		Kernel:  []string{"arg#0 expected pointer to ctx, but got scalar"},
		Machine: "bad argument",
	},
	{
		Program: "ctx_on_stack", Rule: "The context is a pointer to the stack.",
		Kernel:  []string{"arg#0 expected pointer to ctx, but got fp"},
		Machine: "bad argument",
	},
	{
		Program: "opts_too_long", Rule: "The options are said to have 4096 bytes, and lie on the stack.",
		Kernel:  []string{"invalid read from stack R4 off=-56 size=4096", "arg#3 arg#4 memory, len pair leads to invalid memory access"},
		Machine: "access out of bounds",
	},
	{
		Program: "skb_kfunc_from_xdp", Rule: "A function for struct __sk_buff is called by an XDP program.",
		Kernel:  []string{"arg#0 pointer type STRUCT __sk_buff must point to scalar, or struct with scalar"},
		Machine: "bad argument",
	},
	{
		Program: "xdp_kfunc_from_tc", Rule: "A function for struct xdp_md is called by a tc program.",
		Kernel:  []string{"R1 type=ctx expected=fp"},
		Machine: "bad argument",
	},
	{
		Program: "from_cgroup_skb", Rule: "A program of type cgroup_skb calls one.",
		Kernel:  []string{"calling kernel function bpf_skb_ct_lookup is not allowed"},
		Machine: Refused,
	},
	{
		Program: "from_socket_filter", Rule: "A socket filter calls one.",
		Kernel:  []string{"calling kernel function bpf_skb_ct_lookup is not allowed"},
		Machine: Refused,
	},
	{
		Program: "under_spin_lock", Rule: "One is called under a spin lock.",
		Kernel:  []string{"function calls are not allowed while holding a lock"},
		Machine: "lock violation",
	},
	{
		Program: "without_gpl", Object: "unlicensed", Rule: "The program's licence is not compatible with the GPL.",
		Kernel:  []string{"cannot call kernel function from non-GPL compatible program"},
		Machine: Runs,
	},
	{
		Program: "found_by_subprogram", Rule: "A connection is acquired in a subprogram, returned, and released by the caller.",
		Machine: Runs,
	},
	{
		Program: "put", Object: "kptr", Rule: "A map value has a struct nf_conn __kptr *.",
		Kernel:  []string{"no such file or directory"},
		Machine: Refused,
	},
}
