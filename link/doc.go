// Package link resolves the programs of a BPF object against one kernel
// profile, without loading anything.
//
// The object is read by github.com/cilium/ebpf; [LoadSpec] wraps that reader
// so that a truncated or hostile file is an error and never a panic. [Link]
// then does what a loader does before it hands a program to the kernel: CO-RE
// relocations against the profile's BTF, kfuncs by name, kernel symbols,
// .kconfig, calls between functions, references to maps. The result is a flat
// list of instructions in which each one knows what it calls, where it jumps
// and which line of C it comes from:
//
//	spec, err := link.LoadFile("nat.bpf.o")
//	obj, err := link.Link(spec, prof, link.Options{})
//	for i, ins := range obj.Programs["nat_egress"].Insns { ... }
//
// What the kernel refuses only when it reaches the instruction (a field that
// the kernel lacks, a weak kfunc that is not there) is left in the program as
// a poisoned instruction, see [Insn.Poison].
//
// The package may use kernel and the libraries; the machine and the verifier
// stand on it. It works the same on every operating system.
package link
