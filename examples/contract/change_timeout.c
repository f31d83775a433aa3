//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * bpf_ct_change_timeout: how long an entry of the table lasts from now on, in milliseconds.
 * -EPERM where it was fixed by IPS_FIXED_TIMEOUT.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

int changed = -1;     /* 0 */
int fixed = 0;        /* -EPERM */

SEC("tc")
int change_timeout_tc(struct __sk_buff *skb)
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
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return TC_ACT_SHOT;
	changed = bpf_ct_change_timeout(ct, 3600000);
	bpf_ct_change_status(ct, IPS_CONFIRMED | IPS_FIXED_TIMEOUT);
	fixed = bpf_ct_change_timeout(ct, 1000);
	bpf_ct_release(ct);
	return TC_ACT_OK;
}

SEC("xdp")
int change_timeout_xdp(struct xdp_md *md)
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
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return XDP_DROP;
	changed = bpf_ct_change_timeout(ct, 3600000);
	bpf_ct_change_status(ct, IPS_CONFIRMED | IPS_FIXED_TIMEOUT);
	fixed = bpf_ct_change_timeout(ct, 1000);
	bpf_ct_release(ct);
	return XDP_PASS;
}
