//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int move_the_stack(struct __sk_buff *skb)
{
	asm volatile("r10 += -8");
	return 0;
}
