// Package live runs tc and XDP programs on the kernel of this machine, in a
// network namespace that nobody else sees, so that what bpfct does can be
// compared with what Linux does.
//
// Start with [Available], which says what this machine lacks, and [NewHost],
// which makes a Host: a fresh network namespace on an operating system thread
// of its own. Load a collection with [Netns.LoadCollection], run its programs
// on packets with [Netns.Run], then read maps with [DumpMap] and connections
// with [Netns.Entries].
//
// Nothing is pinned, no program is attached and nothing outside of the new
// namespaces is touched. A namespace lives as long as the thread that made
// it, so everything is gone after [Host.Close] and also when the process is
// killed; the kernel does its clearing away a moment after.
//
// Linux does the work and root is needed. On other systems the same API
// exists and answers [ErrNotSupported].
package live

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/ct.c testdata/graph.c testdata/maps.c
