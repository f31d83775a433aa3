// Package record finds the fields of a BTF type that the kernel manages itself:
// spin locks, timers, kptrs, list heads and nodes, rbtree roots and nodes,
// reference counts.
//
// Such fields make a map value, or an object made by bpf_obj_new, more than
// bytes: they are skipped when a value is copied, and what they own is freed
// with it. The machine and the verifier both read them from here. Start at
// Parse.
package record
