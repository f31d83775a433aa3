//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int load_into_nothing(struct __sk_buff *skb)
{
	bpf_skb_load_bytes(skb, 0, NULL, 4);
	return 0;
}
