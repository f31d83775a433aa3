//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int add_pointers(struct __sk_buff *skb)
{
	long data = skb->data, end = skb->data_end;

	return *(char *)(data + end);
}
