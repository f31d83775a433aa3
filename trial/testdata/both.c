//go:build ignore

/* SPDX-License-Identifier: MIT */
/* Programs whose every result must be the same on bpfct and on the kernel. */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_WRONLY_PROG);
	__type(key, u32);
	__type(value, u64[3]);
} written SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_WRONLY_PROG);
	__type(key, u32);
	__type(value, u64);
} counted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_WRONLY_PROG);
	__type(value, u64);
} queued SEC(".maps");

long results[8];
u64 peeked;

/* A map that programs may only write to can be looked up and peeked into; only
 * loads through the pointer are forbidden. */
SEC("tc")
int write_only(struct __sk_buff *skb)
{
	u32 key = 1;
	u64 value = 5;
	u64 *v = bpf_map_lookup_elem(&written, &key);

	if (!v)
		return 1;
	v[0] = skb->len;
	results[0] = bpf_skb_load_bytes(skb, 0, &v[1], sizeof(*v));
	results[1] = bpf_map_update_elem(&counted, &key, &value, BPF_NOEXIST);
	v = bpf_map_lookup_percpu_elem(&counted, &key, 0);
	if (!v)
		return 2;
	*v = 9;
	results[2] = bpf_map_push_elem(&queued, &value, 0);
	results[3] = bpf_map_peek_elem(&queued, &peeked);
	results[4] = bpf_map_pop_elem(&queued, &value);
	results[5] = bpf_map_peek_elem(&queued, &value);
	return 0;
}

/* One connection in each of the namespaces 3 and 4, and in that of the packet, each in
 * a zone of its own, with directions that no zone should have among them. */
SEC("xdp")
int namespaces(struct xdp_md *xdp)
{
	struct bpf_sock_tuple tuple = {.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1), bpf_htons(80)}};
	u32 i;

	for (i = 0; i < 3; i++) {
		struct bpf_ct_opts opts = {.netns_id = i ? i + 2 : BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_UDP,
			.ct_zone_id = i + 1, .ct_zone_dir = i * 2 + 1};
		struct nf_conn___init *init = bpf_xdp_ct_alloc(xdp, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
		struct nf_conn *ct;

		results[i] = opts.error;
		if (!init)
			continue;
		bpf_ct_set_timeout(init, 100000);
		ct = bpf_ct_insert_entry(init);
		if (!ct)
			continue;
		ct->mark = i + 10;
		bpf_ct_release(ct);
	}
	return XDP_PASS;
}

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u32);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, u32);
	__type(value, u32);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 8);
	__type(value, u32);
} seen SEC(".maps");

/* Maps that cannot be listed, or only in part. */
SEC("xdp")
int unlisted(struct xdp_md *xdp)
{
	u32 value = 7;

	results[0] = bpf_redirect_map(&sockets, 0, XDP_PASS);
	results[1] = bpf_redirect_map(&devices, 1, XDP_DROP);
	results[2] = bpf_perf_event_output(xdp, &events, 0, &value, sizeof(value));
	results[3] = bpf_map_push_elem(&seen, &value, 0);
	results[4] = bpf_map_peek_elem(&seen, &value);
	return XDP_PASS;
}
