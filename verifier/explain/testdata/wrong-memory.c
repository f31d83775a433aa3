//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int read_the_end(struct __sk_buff *skb)
{
	char *end = (void *)(long)skb->data_end;

	return *end;
}
