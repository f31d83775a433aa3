//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int read_what_a_call_forgot(struct __sk_buff *skb)
{
	u64 n;

	asm volatile("r2 = 7;"
		     "call %[helper];"
		     "%[n] = r2;"
		     : [n]"=r"(n) : [helper]"i"(bpf_ktime_get_ns) : "r0", "r1", "r2", "r3", "r4", "r5");
	return n;
}
