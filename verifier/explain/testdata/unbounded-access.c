//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64[64]);
} table SEC(".maps");

SEC("tc")
int index_by_mark(struct __sk_buff *skb)
{
	u32 key = 0;
	u64 *values = bpf_map_lookup_elem(&table, &key);

	if (!values)
		return 0;
	return values[skb->mark];
}
