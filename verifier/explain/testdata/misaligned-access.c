//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int saved_askew(struct __sk_buff *skb)
{
	asm volatile("*(u64 *)(r10 - 12) = %[n];" :: [n]"r"(1l) : "memory");
	return 0;
}
