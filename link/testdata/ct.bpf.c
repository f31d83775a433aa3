// Conntrack kfuncs, maps, global variables, functions and a callback.
#include "defs.h"

struct bpf_sock_tuple {
	__u32 saddr, daddr;
	__u16 sport, dport;
};

// The contract of 12 bytes, on kernels with 16 too.
struct bpf_ct_opts___local {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
} CORE;

struct nf_conn {
	unsigned long status;
	__u32 mark;
} CORE;

struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *, struct bpf_sock_tuple *, __u32,
				  struct bpf_ct_opts___local *, __u32) __ksym;
void bpf_ct_release(struct nf_conn *) __ksym;
void bpf_rcu_read_lock(void) __ksym __weak;
void bpf_no_such_kfunc(struct nf_conn *) __ksym __weak;

struct {
	__uint(type, 1);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

int test_error;
int test_mark;
const volatile int port = 80;

__noinline int global_sum(int a, int b)
{
	return a + b + test_error;
}

static __noinline int count(__u32 i, void *ctx)
{
	*(int *)ctx += i;
	return 0;
}

SEC("tc")
int lookup(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = { .saddr = 1, .daddr = 2, .sport = 3, .dport = port };
	struct bpf_ct_opts___local opts = { .netns_id = -1, .l4proto = 6 };
	__u32 key = 0;
	int sum = 0;
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple), &opts, 12);

	test_error = opts.error;
	if (ct) {
		test_mark = ct->mark;
		bpf_ct_release(ct);
	}
	bpf_loop(4, count, &sum, 0);
	__u64 *n = bpf_map_lookup_elem(&counters, &key);
	if (n)
		*n += global_sum(sum, port);
	return 0;
}

SEC("tc")
int reserved(struct __sk_buff *skb)
{
	struct bpf_ct_opts___local opts = { .netns_id = -1, .l4proto = 6 };
	struct bpf_sock_tuple tuple = {};

	opts.reserved[0] = 1;
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple), &opts, 12);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("xdp")
int weak(struct xdp_md *ctx)
{
	if (ksym_exists(bpf_no_such_kfunc))
		bpf_no_such_kfunc(0);
	if (ksym_exists(bpf_rcu_read_lock))
		return 2;
	return 1;
}
