//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

__attribute__((noinline)) int first(int *values)
{
	return values ? values[0] : 0;
}

SEC("tc")
int call_with_a_byte(struct __sk_buff *skb)
{
	char byte = skb->len;

	return first((int *)&byte);
}
