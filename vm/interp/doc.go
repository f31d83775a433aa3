// Package interp is the reference engine: it executes BPF programs one
// instruction at a time, plainly, and lets no byte be touched that the program
// has no right to.
//
// Compile translates a program to a decoded form: operands are extended, jump
// targets are indices, and what the kernel refuses wherever it stands (unknown
// opcodes, jumps out of a function) is refused; what it refuses only where a path
// leads to it (reserved fields, a write to r10) is a fault there. Execution is one loop over that form (exec.go); loads and stores go through the objects of
// vm.Memory (access.go), which is what finds a program's errors.
//
// It may use vm and nothing above it. Start at Engine, then exec.
package interp
