//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * bpf_skb_ct_alloc and bpf_xdp_ct_alloc: a new connection 10.0.0.1:1000 > 10.0.0.2:80 (2000
 * for XDP). The pointer may be NULL, then opts.error says why. It is no entry of the table
 * before bpf_ct_insert_entry, and has no function of its own to release it: inserting is how
 * one gets rid of it.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

int error = 0;        /* why there was none */
__u32 timeout = 0;    /* in jiffies: 10 seconds unless bpf_ct_set_timeout says otherwise */
__u64 status = 0;     /* not yet IPS_CONFIRMED */

SEC("tc")
int alloc_tc(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn___init *new;
	struct nf_conn *ct;

	new = bpf_skb_ct_alloc(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new) {
		error = opts.error;
		return TC_ACT_SHOT;
	}
	timeout = new->ct.timeout;
	status = new->ct.status;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return TC_ACT_SHOT;
	bpf_ct_release(ct);
	return TC_ACT_OK;
}

SEC("xdp")
int alloc_xdp(struct xdp_md *md)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(2000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn___init *new;
	struct nf_conn *ct;

	new = bpf_xdp_ct_alloc(md, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new) {
		error = opts.error;
		return XDP_DROP;
	}
	timeout = new->ct.timeout;
	status = new->ct.status;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return XDP_DROP;
	bpf_ct_release(ct);
	return XDP_PASS;
}
