//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * bpf_ct_set_timeout: how long the entry will last, in milliseconds, for a connection that was
 * not inserted yet. It is rounded up to the kernel's ticks, and runs from the insert on.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

__u32 before = 0, after = 0; /* in jiffies */

SEC("tc")
int set_timeout_tc(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn___init *new;
	struct nf_conn *ct;

	new = bpf_skb_ct_alloc(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return TC_ACT_SHOT;
	before = new->ct.timeout;
	bpf_ct_set_timeout(new, 60001);
	after = new->ct.timeout;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return TC_ACT_SHOT;
	bpf_ct_release(ct);
	return TC_ACT_OK;
}

SEC("xdp")
int set_timeout_xdp(struct xdp_md *md)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(2000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn___init *new;
	struct nf_conn *ct;

	new = bpf_xdp_ct_alloc(md, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return XDP_DROP;
	before = new->ct.timeout;
	bpf_ct_set_timeout(new, 60001);
	after = new->ct.timeout;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return XDP_DROP;
	bpf_ct_release(ct);
	return XDP_PASS;
}
