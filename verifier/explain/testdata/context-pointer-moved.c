//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int pick_field(struct __sk_buff *skb)
{
	u32 *fields = (u32 *)skb;

	asm volatile("%0 += 8" : "+r"(fields));
	return *fields;
}
