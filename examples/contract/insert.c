//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * bpf_ct_insert_entry: the connection becomes an entry of the table, which then holds one
 * reference beside the program's. The pointer to the new one is used up, whatever comes of it:
 * NULL where the tuple, or that of the answers, is another entry's already.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

int use = 0;          /* 2: the table's and ours */
__u64 status = 0;     /* IPS_CONFIRMED */
bool twice = false;   /* a second entry of the same tuple was let in: never */

SEC("tc")
int insert_tc(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn___init *new;
	struct nf_conn *ct, *again;

	new = bpf_skb_ct_alloc(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return TC_ACT_SHOT;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return TC_ACT_SHOT;
	use = ct->ct_general.use.refs.counter;
	status = ct->status;
	bpf_ct_release(ct);

	new = bpf_skb_ct_alloc(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return TC_ACT_SHOT;
	again = bpf_ct_insert_entry(new);
	if (again) {
		twice = true;
		bpf_ct_release(again);
	}
	return TC_ACT_OK;
}

SEC("xdp")
int insert_xdp(struct xdp_md *md)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(2000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn___init *new;
	struct nf_conn *ct, *again;

	new = bpf_xdp_ct_alloc(md, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return XDP_DROP;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return XDP_DROP;
	use = ct->ct_general.use.refs.counter;
	status = ct->status;
	bpf_ct_release(ct);

	new = bpf_xdp_ct_alloc(md, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return XDP_DROP;
	again = bpf_ct_insert_entry(new);
	if (again) {
		twice = true;
		bpf_ct_release(again);
	}
	return XDP_PASS;
}
