//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int read_unmade(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u32 n = 0;

	bpf_dynptr_read(&n, sizeof(n), &packet, 0, 0);
	return n;
}
