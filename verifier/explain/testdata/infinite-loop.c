//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int wait_for_ever(struct __sk_buff *skb)
{
	for (;;)
		asm volatile("");
}
