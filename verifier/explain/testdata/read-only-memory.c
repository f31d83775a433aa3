//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

const volatile u32 limit = 100;

SEC("tc")
int raise_limit(struct __sk_buff *skb)
{
	*(volatile u32 *)&limit = skb->len;
	return 0;
}
