//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

extern int bpf_copy_from_user_str(void *dst, u32 dst__sz, const void *user, u64 flags) __ksym;

SEC("tc")
int read_user_memory(struct __sk_buff *skb)
{
	char text[16];

	return bpf_copy_from_user_str(text, sizeof(text), NULL, 0) > 0;
}
