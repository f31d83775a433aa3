//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("cgroup_skb/ingress")
int return_length(struct __sk_buff *skb)
{
	return skb->len;
}
