// Package ctkfunc is the conntrack kfuncs: bpf_skb_ct_alloc, bpf_xdp_ct_alloc,
// bpf_skb_ct_lookup, bpf_xdp_ct_lookup, bpf_ct_insert_entry, bpf_ct_release,
// bpf_ct_set_timeout, bpf_ct_change_timeout, bpf_ct_set_status,
// bpf_ct_change_status and bpf_ct_set_nat_info.
//
// What they do to a connection is package conntrack's. Here are the argument
// checks with their errors and order, and the view: the guest memory behind a
// struct nf_conn pointer, laid out as the profile's BTF says. The views that a
// program holds are filled after each kfunc that it calls; their one writable
// field, mark, is written through. All who hold one connection
// share its view, so that equal connections are equal pointers.
//
// Start at Register, then alloc and lookup in entry.go, and view.go.
package ctkfunc
