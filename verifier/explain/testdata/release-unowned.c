//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

SEC("tc")
int drop_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (sk)
		bpf_sk_release(sk);
	return 0;
}
