// Package probe asks the running kernel what its helpers and kfuncs take.
//
// Two ways, both as root. [Memory] reads the verifier's own tables, the struct
// bpf_func_proto of every helper and the flags of every kfunc, out of the
// kernel's memory with bpf_probe_read_kernel. [Prober] loads small programs
// and reads the verifier's words: who may call what. The generator of the
// profiles uses both; the tests of package kernel compare with both.
package probe
