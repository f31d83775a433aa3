//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * bpf_ct_set_status: bits of the status of a connection that was not inserted yet, here as if
 * answers had been seen. Bits that are not a program's to set are left out without a word,
 * IPS_EXPECTED, IPS_CONFIRMED and IPS_DYING are -EBUSY.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

int set = -1, confirmed = 0;
__u64 status = 0;

SEC("tc")
int set_status_tc(struct __sk_buff *skb)
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
	set = bpf_ct_set_status(new, IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT);
	confirmed = bpf_ct_set_status(new, IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED);
	status = new->ct.status;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return TC_ACT_SHOT;
	bpf_ct_release(ct);
	return TC_ACT_OK;
}

SEC("xdp")
int set_status_xdp(struct xdp_md *md)
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
	set = bpf_ct_set_status(new, IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT);
	confirmed = bpf_ct_set_status(new, IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED);
	status = new->ct.status;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return XDP_DROP;
	bpf_ct_release(ct);
	return XDP_PASS;
}
