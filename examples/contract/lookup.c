//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * bpf_skb_ct_lookup and bpf_xdp_ct_lookup: the connection that a packet belongs to, found by
 * the tuple of either direction; opts.dir says which. A counted reference is returned, or NULL
 * with the reason in opts.error. Each program asks for what is not there, then makes it and
 * finds it by the tuple of an answer.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

int missing = 0;      /* -ENOENT */
__u8 dir = 0xff;      /* 1: the tuple is that of a reply */

SEC("tc")
int lookup_tc(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct bpf_sock_tuple answer = {
		.ipv4 = {bpf_htonl(0x0a000002), bpf_htonl(0x0a000001), bpf_htons(80), bpf_htons(1000)},
	};
	struct nf_conn___init *new;
	struct nf_conn *ct;

	ct = bpf_skb_ct_lookup(skb, &answer, sizeof(answer.ipv4), &opts, sizeof(opts));
	if (ct) {
		bpf_ct_release(ct);
		return TC_ACT_SHOT;
	}
	missing = opts.error;
	new = bpf_skb_ct_alloc(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return TC_ACT_SHOT;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return TC_ACT_SHOT;
	bpf_ct_release(ct);
	ct = bpf_skb_ct_lookup(skb, &answer, sizeof(answer.ipv4), &opts, sizeof(opts));
	if (!ct)
		return TC_ACT_SHOT;
	dir = opts.dir;
	bpf_ct_release(ct);
	return TC_ACT_OK;
}

SEC("xdp")
int lookup_xdp(struct xdp_md *md)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(2000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct bpf_sock_tuple answer = {
		.ipv4 = {bpf_htonl(0x0a000002), bpf_htonl(0x0a000001), bpf_htons(80), bpf_htons(2000)},
	};
	struct nf_conn___init *new;
	struct nf_conn *ct;

	ct = bpf_xdp_ct_lookup(md, &answer, sizeof(answer.ipv4), &opts, sizeof(opts));
	if (ct) {
		bpf_ct_release(ct);
		return XDP_DROP;
	}
	missing = opts.error;
	new = bpf_xdp_ct_alloc(md, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return XDP_DROP;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return XDP_DROP;
	bpf_ct_release(ct);
	ct = bpf_xdp_ct_lookup(md, &answer, sizeof(answer.ipv4), &opts, sizeof(opts));
	if (!ct)
		return XDP_DROP;
	dir = opts.dir;
	bpf_ct_release(ct);
	return XDP_PASS;
}
