//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

extern void bpf_throw(u64 cookie) __ksym;

static int each(u64 i, void *unused)
{
	bpf_throw(i);
	return 0;
}

SEC("tc")
int throw_in_callback(struct __sk_buff *skb)
{
	bpf_loop(4, each, NULL, 0);
	return 0;
}
