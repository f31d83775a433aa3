//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int look_nowhere(struct __sk_buff *skb)
{
	u32 key = 0;

	return bpf_map_lookup_elem(NULL, &key) != NULL;
}
