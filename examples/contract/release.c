//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * bpf_ct_release: gives a reference back. Each pointer that insert or lookup returned needs
 * one, on every path; the entry stays as long as the table has it.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

int held_once = 0, held_twice = 0, held_again = 0;

SEC("tc")
int release_tc(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn___init *new;
	struct nf_conn *ct, *same;

	new = bpf_skb_ct_alloc(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return TC_ACT_SHOT;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return TC_ACT_SHOT;
	held_once = ct->ct_general.use.refs.counter;
	same = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!same) {
		bpf_ct_release(ct);
		return TC_ACT_SHOT;
	}
	held_twice = ct->ct_general.use.refs.counter;
	bpf_ct_release(same);
	held_again = ct->ct_general.use.refs.counter;
	bpf_ct_release(ct);
	return TC_ACT_OK;
}

SEC("xdp")
int release_xdp(struct xdp_md *md)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(2000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn___init *new;
	struct nf_conn *ct, *same;

	new = bpf_xdp_ct_alloc(md, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return XDP_DROP;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return XDP_DROP;
	held_once = ct->ct_general.use.refs.counter;
	same = bpf_xdp_ct_lookup(md, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!same) {
		bpf_ct_release(ct);
		return XDP_DROP;
	}
	held_twice = ct->ct_general.use.refs.counter;
	bpf_ct_release(same);
	held_again = ct->ct_general.use.refs.counter;
	bpf_ct_release(ct);
	return XDP_PASS;
}
