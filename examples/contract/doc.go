// Package contract has the smallest program for each of the conntrack kfuncs, for tc
// and for XDP. They run with
//
//	bpfct run examples/contract/lookup.o --entries
//	sudo bpfct diff examples/contract/lookup.o
//
// and say what happened in their global variables. What all of it means, sentence by
// sentence, stands in docs/contract.md.
package contract

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild alloc.c lookup.c insert.c release.c set_timeout.c change_timeout.c set_status.c change_status.c set_nat_info.c
