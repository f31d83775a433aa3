//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct_conntrack.h"

char LICENSE[] SEC("license") = "Proprietary";

SEC("tc")
int find_connection(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1000), bpf_htons(80)}};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));

	if (ct)
		bpf_ct_release(ct);
	return 0;
}
