//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * Opens a translated connection for each first packet of UDP, and leaves the packet itself to
 * the host: it and the answers are translated by netfilter.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

const volatile __be32 to = 0;

SEC("tc")
int snat(struct __sk_buff *skb)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_UDP};
	struct bpf_sock_tuple t = {};
	union nf_inet_addr addr = {.ip = to};
	struct nf_conn___init *new;
	struct nf_conn *ct;
	u8 proto = 0;

	if (bpf_skb_load_bytes(skb, 23, &proto, 1) || proto != IPPROTO_UDP)
		return TC_ACT_OK;
	if (bpf_skb_load_bytes(skb, 26, &t.ipv4.saddr, 8) || bpf_skb_load_bytes(skb, 34, &t.ipv4.sport, 4))
		return TC_ACT_SHOT;
	ct = bpf_skb_ct_lookup(skb, &t, sizeof(t.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	if (ct) {
		bpf_ct_release(ct);
		return TC_ACT_OK;
	}
	new = bpf_skb_ct_alloc(skb, &t, sizeof(t.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	if (!new)
		return TC_ACT_SHOT;
	bpf_ct_set_timeout(new, 30000);
	bpf_ct_set_nat_info(new, &addr, 0, NF_NAT_MANIP_SRC);
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return TC_ACT_SHOT;
	bpf_ct_release(ct);
	return TC_ACT_OK;
}
