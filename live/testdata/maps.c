/* SPDX-License-Identifier: MIT */
/* Maps of several kinds, a tail call and globals of every section. */
#include "bpfct.h"

BPFCT_LICENSE;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, u64);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} per_cpu SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} inner_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, u32);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = {[3] = &inner_map},
};

int target(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(u32));
	__array(values, int(void *));
} jumps SEC(".maps") = {
	.values = {[1] = (void *)&target},
};

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 2);
	__uint(value_size, sizeof(u32));
} queue SEC(".maps");

const volatile u32 factor = 3;
u32 runs = 100;
u64 zeroes[2];

SEC("tc")
int target(struct __sk_buff *skb)
{
	return 40 + skb->cb[0];
}

SEC("tc")
int count(struct __sk_buff *skb)
{
	u32 cpu = bpf_get_smp_processor_id(), one = 1, key;
	u64 value = factor, *slot;

	key = runs++;
	zeroes[1] = value;
	bpf_map_update_elem(&hash, &key, &value, BPF_ANY);
	slot = bpf_map_lookup_elem(&per_cpu, &one);
	if (slot)
		*slot += cpu + 1;
	skb->mark = key;
	skb->cb[0] = 2;
	bpf_tail_call(skb, &jumps, 1);
	return 7;
}

extern int LINUX_KERNEL_VERSION __kconfig;

SEC("tc")
int version(struct __sk_buff *skb)
{
	return LINUX_KERNEL_VERSION;
}

extern void init_net __ksym __weak;

SEC("tc")
int symbol(struct __sk_buff *skb)
{
	return &init_net != NULL;
}
