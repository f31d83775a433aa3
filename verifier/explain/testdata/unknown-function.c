//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

static long (*bpf_of_another_kernel)(void) = (void *)9999;

SEC("tc")
int call_the_future(struct __sk_buff *skb)
{
	return bpf_of_another_kernel();
}
