//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("tc")
int write_beyond(struct __sk_buff *skb)
{
	u32 *record = bpf_ringbuf_reserve(&events, 8, 0);

	if (!record)
		return 0;
	record[2] = skb->len;
	bpf_ringbuf_submit(record, 0);
	return 0;
}
