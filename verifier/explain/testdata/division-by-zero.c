//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int divide(struct __sk_buff *skb)
{
	u64 n = skb->len;

	asm volatile("%0 /= 0" : "+r"(n));
	return n;
}
