//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int load_too_much(struct __sk_buff *skb)
{
	u32 ports;

	bpf_skb_load_bytes(skb, 34, &ports, 64);
	return ports & 1;
}
