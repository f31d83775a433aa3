//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int skip_a_line(struct __sk_buff *skb)
{
	asm volatile("goto +1; r0 = 5;");
	return 0;
}
