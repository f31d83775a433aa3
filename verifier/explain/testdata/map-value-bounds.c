//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

struct counters {
	u64 n[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counters);
} counts SEC(".maps");

SEC("tc")
int count_by_queue(struct __sk_buff *skb)
{
	u32 key = 0, queue = skb->queue_mapping;
	struct counters *c = bpf_map_lookup_elem(&counts, &key);

	if (!c || queue > 4)
		return 0;
	c->n[queue]++;
	return 0;
}
