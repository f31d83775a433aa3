//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

struct locked {
	struct bpf_spin_lock lock;
	u64 last;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct locked);
} state SEC(".maps");

SEC("tc")
int note_time(struct __sk_buff *skb)
{
	u32 key = 0;
	struct locked *v = bpf_map_lookup_elem(&state, &key);

	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	v->last = bpf_ktime_get_ns();
	bpf_spin_unlock(&v->lock);
	return 0;
}
