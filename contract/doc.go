// Package contract is what bpfct promises of the conntrack kfuncs, sentence by
// sentence: what the documentation says and what Linux was measured to do. Each
// sentence has a test that runs on bpfct and on the running kernel; docs/contract.md
// lists them.
//
// The documentation of bpf_skb_ct_alloc, from which all this grew, is called the seed
// in names of tests.
//
// Start at [Sentences]. The tests share one program, contract/internal/ops, that
// makes any sequence of calls.
package contract

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/words.c testdata/unlicensed.c testdata/kptr.c testdata/example.c
