//go:build ignore

/* SPDX-License-Identifier: MIT */
/* Arrays so long that only their start is listed. */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

long results[5];

#define LONG (262144 + 10)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LONG);
	__type(key, u32);
	__type(value, u64);
} plain SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LONG);
	__type(key, u32);
	__type(value, u64);
} per_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, LONG);
	__type(key, u32);
	__type(value, u32);
} sparse SEC(".maps");

/* Writes to both ends of what is listed. */
SEC("tc")
int long_arrays(struct __sk_buff *skb)
{
	u32 key = 262143, none = 0;
	u64 value = 5;

	results[0] = bpf_map_update_elem(&plain, &key, &value, 0);
	results[1] = bpf_map_update_elem(&per_cpu, &key, &value, 0);
	key = LONG - 1;
	value = 6;
	results[2] = bpf_map_update_elem(&plain, &key, &value, 0);
	results[3] = bpf_map_update_elem(&per_cpu, &key, &value, 0);
	results[4] = !!bpf_map_lookup_elem(&plain, &none);
	return 0;
}

/* The same with redirects. */
SEC("xdp")
int long_devmap(struct xdp_md *xdp)
{
	results[0] = bpf_redirect_map(&sparse, 1, XDP_PASS);
	results[1] = bpf_redirect_map(&sparse, LONG, XDP_PASS);
	return XDP_PASS;
}
