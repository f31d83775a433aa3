//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

struct plain {
	u32 lock;
	u32 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct plain);
} state SEC(".maps");

SEC("tc")
int lock_a_number(struct __sk_buff *skb)
{
	u32 key = 0;
	struct plain *v = bpf_map_lookup_elem(&state, &key);

	if (!v)
		return 0;
	bpf_spin_lock((struct bpf_spin_lock *)&v->lock);
	v->n++;
	bpf_spin_unlock((struct bpf_spin_lock *)&v->lock);
	return 0;
}
