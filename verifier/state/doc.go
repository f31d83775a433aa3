// Package state is what the verifier knows at one instruction: of every register,
// every byte of stack, every call frame, and what the program holds and owes.
//
// State is the whole; Frame, Reg and Slot are its parts. Here are copying, the
// comparison that lets the verifier prune (equal.go), and the text that the kernel's
// log has for each (print.go). The rules that change a state are the verifier's.
package state
