//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * A reference that goes into a map and comes back: what the documentation allows.
 * Kernels that know no destructor of struct nf_conn refuse the map.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

struct holder {
	struct nf_conn __kptr *ct;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct holder);
} held SEC(".maps");

u32 use = 0;
u32 mark = 0;

/* Makes an entry and leaves the reference in the map. */
SEC("tc")
int put(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1000), bpf_htons(80)}};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct nf_conn___init *in;
	struct nf_conn *ct;
	struct holder *h;
	u32 key = 0;

	h = bpf_map_lookup_elem(&held, &key);
	if (!h)
		return 1;
	in = bpf_skb_ct_alloc(skb, &tuple, sizeof(tuple.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	if (!in)
		return 2;
	ct = bpf_ct_insert_entry(in);
	if (!ct)
		return 3;
	ct->mark = 42;
	ct = bpf_kptr_xchg(&h->ct, ct);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

/* Takes it out again and releases it. */
SEC("tc")
int take(struct __sk_buff *skb)
{
	struct nf_conn *ct;
	struct holder *h;
	u32 key = 0;

	h = bpf_map_lookup_elem(&held, &key);
	if (!h)
		return 1;
	ct = bpf_kptr_xchg(&h->ct, NULL);
	if (!ct)
		return 2;
	use = ct->ct_general.use.refs.counter;
	mark = ct->mark;
	bpf_ct_release(ct);
	return 0;
}
