// Package ops makes sequences of calls of the conntrack kfuncs, on bpfct and on
// the running kernel, by one program that reads them from a map and writes what
// came of each.
//
// An [Op] is a call, a [Run] is those that one program makes, and a [Side] is who
// makes them: [NewVM], [NewKernel]. [Diff] tells how two differ.
package ops

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild ops.c
