//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int shorten(struct __sk_buff *skb)
{
	skb->len = 64;
	return 0;
}
