// Programs that cannot be loaded, one for each reason.
#include "bpfct.h"

BPFCT_LICENSE;

extern int bpf_ct_frobnicate(struct __sk_buff *skb) __ksym;
static long (*bpf_no_such_helper)(void) = (void *)9999;

SEC("tc")
int unknown_kfunc(struct __sk_buff *skb)
{
	return bpf_ct_frobnicate(skb);
}

SEC("tc")
int unknown_helper(struct __sk_buff *skb)
{
	return bpf_no_such_helper();
}

SEC("tc")
int foreign_helper(struct __sk_buff *skb)
{
	return bpf_xdp_adjust_head((void *)skb, 0);
}

/* Linux has it, bpfct has no processes. */
SEC("tc")
int not_run(struct __sk_buff *skb)
{
	return bpf_send_signal(9);
}

SEC("kprobe/nf_conntrack_in")
int wrong_type(void *ctx)
{
	return 0;
}
