// A kfunc that no kernel has, and one that is declared otherwise than it is.
#include "defs.h"

void bpf_ct_frobnicate(void *) __ksym;
void bpf_ct_release(int a, int b, int c) __ksym;

SEC("tc")
int unknown(struct __sk_buff *skb)
{
	bpf_ct_frobnicate(skb);
	return 0;
}

SEC("tc")
int mismatch(struct __sk_buff *skb)
{
	bpf_ct_release(1, 2, 3);
	return 0;
}
