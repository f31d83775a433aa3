//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct_conntrack.h"

char LICENSE[] SEC("license") = "MIT";

SEC("tc")
int without_gpl(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));

	if (ct)
		bpf_ct_release(ct);
	return 0;
}
