//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct slot {
	struct task_struct __kptr *task;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct slot);
} slots SEC(".maps");

SEC("tc")
int overwrite(struct __sk_buff *skb)
{
	u32 key = 0;
	struct slot *v = bpf_map_lookup_elem(&slots, &key);

	if (!v)
		return 0;
	*(volatile u64 *)&v->task = skb->len;
	return v->task ? v->task->pid & 1 : 0;
}
