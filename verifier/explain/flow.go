package explain

import "github.com/bpfct/bpfct/internal/errno"

// flow are the classes about the way a program takes.
func flow() []Class {
	return []Class{
		{
			Name: "infinite-loop", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"infinite loop detected at insn %d", "back-edge from insn %d to %d"},
			What:     "a loop never ends",
			Why:      "The kernel walks loops round by round and must see them end: something that the condition depends on has to change in each round.",
			Help:     []string{"count with a variable that the loop's condition tests against a constant, or use bpf_for, bpf_loop or can_loop"},
			at:       "the loop comes back here with nothing changed",
		},
		{
			Name: "too-complex", Errnos: []errno.Errno{errno.E2BIG, errno.ENOMEM},
			Messages: []string{"BPF program is too large. Processed %d insn", "The sequence of %d jumps is too complex."},
			What:     "there are more paths than the kernel is willing to look at",
			Why:      "The kernel looks at each path by itself, a million instructions in sum. Loops count once a round, and each branch in them doubles what follows.",
			Help: []string{
				"use bpf_loop or bpf_for for the loop: its body is then looked at a few times only",
				"move parts into global functions (not static), which are looked at once",
			},
			at: "the kernel gives up here",
		},
		{
			Name: "stack-depth", Errnos: []errno.Errno{errno.EACCES},
			Messages: []string{"combined stack size of {calls}%d calls is {have}%d. Too large", "stack size of subprog %d is {have}%d. Too large", "tail_calls are not allowed when call stack of previous frames is %d bytes. Too large", "the call stack of %d frames is too deep !"},
			What:     "the functions on a call chain need more stack than there is ({have} bytes, 512 are there)",
			Why:      "All functions that are called from one another share 512 bytes of stack.",
			Help:     []string{"keep large structures in a per-CPU array map instead of on the stack"},
		},
		{
			Name: "unreachable-code", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"unreachable insn %d", "jump out of range from insn %d to %d", "last insn is not an exit or jmp", "invalid destination in call: insn %d",
				"jump into the middle of ldimm64 insn %d", "invalid insn idx %d insn_cnt %d", "recursive call from %s() to %s()", "recursive call"},
			What: "the program's control flow is malformed",
			Why:  "Every instruction must be reachable, jumps must stay in their function, and each function must end in an exit or a jump.",
			Help: []string{"that is seldom made from C: look at inline assembly, and at functions without a return"},
		},
		{
			Name: "division-by-zero", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"div by zero", "invalid shift %d"},
			What:     "a number is divided by the constant 0 (or shifted by more bits than it has)",
			Why:      "Division by a constant zero and shifts by more than the width are refused.",
			Help:     []string{"test for 0, and mind that a path on which the value is 0 may be dead but is looked at all the same"},
		},
		{
			Name: "return-value", Errnos: []errno.Errno{errno.EINVAL, errno.EACCES},
			Messages: []string{
				"At program exit the register R0 has %s", "At subprogram exit the register R0 %s", "At callback return the register R0 %s",
				"At program exit the register R{reg}%d %s", "At callback return the register R{reg}%d %s", "R0 leaks addr as return value",
				"At async callback the register R{reg}%d %s", "In program exit the register R{reg}%d has %s",
			},
			What: "the value that is returned is not one that may be",
			Why:  "Some program types, callbacks and global functions may return certain numbers only, and never a pointer.",
			Help: []string{"return a constant, or test that the value lies in the range"},
		},
		{
			Name: "global-function", outer: true, Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{
				"Caller passes invalid args into func#%d ('{func}%s')", "Global function {func}%s() doesn't return scalar. Only those are supported.",
				"Arg#%d type %s in %s() is not supported yet.", "arg#%d reference type('%s') size cannot be determined: %d",
			},
			What: "a global function of the program is called or declared in a way that cannot be checked",
			Why:  "A function that is not static is looked at by itself, knowing of its arguments only what its declaration says, and each call must fit that.",
			Help: []string{"declare arguments with __arg_nonnull, __arg_ctx and so on, or make the function static"},
		},
		{
			Name: "exceptions", Errnos: []errno.Errno{errno.EINVAL},
			Messages: []string{"bpf_throw kfunc (insn %d) cannot be called from callback subprog %d", "cannot call exception cb directly", "insn %d cannot call exception cb directly", "exception cb cannot return reference"},
			What:     "exceptions are used where they cannot be",
			Why:      "bpf_throw ends the program at once. It cannot be used in callbacks, nor while something is held.",
			Help:     []string{"return an error to the caller instead"},
		},
	}
}
