//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int read_spilled_half(struct __sk_buff *skb)
{
	/* Half of a pointer that was saved. */
	asm volatile("*(u64 *)(r10 - 8) = %[ctx];"
		     "r0 = *(u32 *)(r10 - 8);"
		     :: [ctx]"r"(skb) : "r0", "memory");
	return 0;
}
