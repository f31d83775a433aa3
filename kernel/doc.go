// Package kernel says what one version of Linux offers to a BPF program.
//
// A [Profile] is data: the kernel's BTF, its tick rate, its limits and
// constants, and one table with the [Prototype] of every helper and kfunc. The
// verifier and the machine both decide by that table; neither has a list of
// its own. Look a profile up by name with [Lookup], then ask it:
//
//	prof, err := kernel.Lookup("6.18")
//	off, size, err := prof.Field("nf_conn", "tuplehash[0].tuple.src.u3.ip")
//	proto, ok := prof.Kfunc("bpf_skb_ct_alloc")
//
// A profile lives in a directory under profiles/ and is embedded; a further
// version is a further directory and no code. The tables are made by
// kernel/internal/gen, which asks the kernel that it runs on, and the tests
// ask again.
//
// This package knows nothing of programs, maps or packets and may be used by
// every room above it. Everything that it hands out is shared and must not be
// modified.
package kernel
