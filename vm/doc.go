// Package vm is the machine that a BPF program runs on: guest memory, virtual
// CPUs, loaded programs, and the ledger of what a program may touch and still
// owes.
//
// A Machine belongs to one host. It has a Memory, in which every byte belongs
// to an Object: a stack frame, a context, a packet, map values, the view of a
// connection. A guest address is an offset in that 32-bit space; page 0 is never
// mapped. A CPU runs one program at a time and is what helpers and kfuncs
// receive; these live in packages below this directory and register themselves by
// name in a Registry. An Engine executes instructions; vm/interp is the reference.
//
// The machine does not trust a program. What leaves its object, uses one after
// its release, or keeps a reference at exit ends the run with a Fault that names
// instruction, source line, register and object.
//
// Start at Machine, then CPU and Object.
package vm
