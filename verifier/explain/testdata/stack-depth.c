//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

static __noinline int inner(struct __sk_buff *skb)
{
	char buffer[300];

	bpf_skb_load_bytes(skb, 0, buffer, sizeof(buffer));
	return buffer[7];
}

SEC("tc")
int outer(struct __sk_buff *skb)
{
	char buffer[300];

	bpf_skb_load_bytes(skb, 0, buffer, sizeof(buffer));
	return inner(skb) + buffer[7];
}
