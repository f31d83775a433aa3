// Package verifier decides whether a program is safe, as Linux' verifier does: the
// same verdict, at the same instruction, in the same words.
//
// Verify takes a linked program. It checks the control flow (verifier/cfg), then
// walks every path that matters from the first instruction on, keeping what is known
// in a state (verifier/state, verifier/bounds): walk.go has the walk, prune.go the
// comparison with states seen before, precision.go finds out which numbers mattered.
// What an instruction may do is in a file for each family:
//
//	regs.go        what reading and writing a register asks for
//	alu.go         arithmetic on numbers; pointer.go with pointers
//	loadimm.go     constants: numbers, maps, functions, kernel symbols
//	branch.go      conditional jumps and what they teach: linked.go of equal numbers,
//	               nullness.go of pointers, packetbranch.go of a packet's length
//	stack.go       reads and writes of the stack
//	memory.go      loads and stores through pointers, by kind
//	context.go     the fields of struct __sk_buff and xdp_md
//	btfaccess.go   kernel objects by their BTF
//	helper.go      calls of helpers; args.go what they may be given
//	kfunc.go       calls of kfuncs; kfuncargs.go what they may be given
//	callback.go    functions that helpers call back
//	subprog.go     functions of the program, global ones on their own
//	refs.go        what a program owes: references, locks, sections
//	locks.go       locks, and sections that are left as they were entered
//	dynptr.go, iterator.go   objects on the stack; stackobj.go where they may be
//	graph.go       objects of the program's own, lists and trees that hold them
//	kptr.go        pointers that maps hold; structs.go what may be taken for what
//	timer.go, strings.go     timers and work queues, constant strings
//
// What helpers and kfuncs take and give is data in package kernel; no rule here knows
// a single one by name unless the kernel treats it apart. Start at Verify.
package verifier
