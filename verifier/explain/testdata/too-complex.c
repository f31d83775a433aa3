//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int work_long(struct __sk_buff *skb)
{
	u64 sum = 0;

	for (u32 i = 0; i < 1000000; i++)
		asm volatile(".rept 1000; %0 += 1; .endr" : "+r"(sum));
	return sum;
}
