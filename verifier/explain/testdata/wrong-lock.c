//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

struct locked {
	struct bpf_spin_lock lock;
	u64 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct locked);
} state SEC(".maps");

SEC("tc")
int unlock_another(struct __sk_buff *skb)
{
	u32 key = 0;
	struct locked *a = bpf_map_lookup_elem(&state, &key), *b;

	key = 1;
	b = bpf_map_lookup_elem(&state, &key);
	if (!a || !b)
		return 0;
	bpf_spin_lock(&a->lock);
	a->n++;
	bpf_spin_unlock(&b->lock);
	return 0;
}
