//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * One program for each rule that the kernel's verifier keeps about references to
 * connections, most of them breaking it. What the kernel says to each stands in
 * words.go. Each does its wrong when it runs, too, so that the machine sees it.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

#define TUPLE {.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1000), bpf_htons(80)}}
#define OPTS {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP}

#define ARGS                                \
	struct bpf_sock_tuple tuple = TUPLE; \
	struct bpf_ct_opts opts = OPTS;

#define ALLOC(ctx) bpf_skb_ct_alloc(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts))
#define LOOKUP(ctx) bpf_skb_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts))

/* An entry that is in the table, held. */
static __always_inline struct nf_conn *made(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn___init *in = ALLOC(skb);

	return in ? bpf_ct_insert_entry(in) : NULL;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} jumps SEC(".maps");

struct locked {
	struct bpf_spin_lock lock;
	u32 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct locked);
} locks SEC(".maps");

u32 sink = 0;

SEC("tc")
int alloc_never_released(struct __sk_buff *skb)
{
	ARGS

	return !ALLOC(skb);
}

SEC("tc")
int lookup_never_released(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn *ct = made(skb);

	if (ct)
		bpf_ct_release(ct);
	return !LOOKUP(skb);
}

static __noinline int loses(struct __sk_buff *skb)
{
	ARGS

	return ALLOC(skb) != NULL;
}

SEC("tc")
int lost_in_subprogram(struct __sk_buff *skb)
{
	return loses(skb);
}

SEC("tc")
int insert_result_lost(struct __sk_buff *skb)
{
	return !made(skb);
}

SEC("tc")
int held_across_tail_call(struct __sk_buff *skb)
{
	struct nf_conn *ct = made(skb);

	if (!ct)
		return 1;
	bpf_tail_call(skb, &jumps, 0);
	bpf_ct_release(ct);
	return 0;
}

static long acquires(u64 i, void *data)
{
	struct __sk_buff *skb = *(struct __sk_buff **)data;
	ARGS

	return !ALLOC(skb);
}

SEC("tc")
int lost_in_callback(struct __sk_buff *skb)
{
	struct __sk_buff *data = skb;

	bpf_loop(1, acquires, &data, 0);
	return 0;
}

static long releases(u64 i, void *data)
{
	bpf_ct_release(*(struct nf_conn **)data);
	return 0;
}

SEC("tc")
int released_in_callback(struct __sk_buff *skb)
{
	struct nf_conn *ct = made(skb);

	if (!ct)
		return 1;
	bpf_loop(1, releases, &ct, 0);
	return 0;
}

SEC("tc")
int read_of_null(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn *ct = LOOKUP(skb);

	sink = ct->mark;
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int release_of_null(struct __sk_buff *skb)
{
	ARGS

	bpf_ct_release(LOOKUP(skb));
	return 0;
}

SEC("tc")
int insert_of_null(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn *ct;

	opts.l4proto = IPPROTO_ICMP;
	ct = bpf_ct_insert_entry(ALLOC(skb));
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int released_twice(struct __sk_buff *skb)
{
	struct nf_conn *ct = made(skb);

	if (!ct)
		return 1;
	bpf_ct_release(ct);
	bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int read_after_release(struct __sk_buff *skb)
{
	struct nf_conn *ct = made(skb);

	if (!ct)
		return 1;
	bpf_ct_release(ct);
	sink = ct->mark;
	return 0;
}

SEC("tc")
int set_timeout_after_insert(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn___init *in = ALLOC(skb);
	struct nf_conn *ct;

	if (!in)
		return 1;
	ct = bpf_ct_insert_entry(in);
	if (!ct)
		return 1;
	bpf_ct_set_timeout(in, 1000);
	bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int release_of_init(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn___init *in = ALLOC(skb);

	if (!in)
		return 1;
	bpf_ct_release((struct nf_conn *)in);
	return 0;
}

SEC("tc")
int change_timeout_of_init(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn___init *in = ALLOC(skb);
	struct nf_conn *ct;

	if (!in)
		return 1;
	bpf_ct_change_timeout((struct nf_conn *)in, 1000);
	ct = bpf_ct_insert_entry(in);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int change_status_of_init(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn___init *in = ALLOC(skb);
	struct nf_conn *ct;

	if (!in)
		return 1;
	bpf_ct_change_status((struct nf_conn *)in, 8);
	ct = bpf_ct_insert_entry(in);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int insert_of_conn(struct __sk_buff *skb)
{
	struct nf_conn *ct = made(skb);

	if (!ct)
		return 1;
	ct = bpf_ct_insert_entry((struct nf_conn___init *)ct);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int set_timeout_of_conn(struct __sk_buff *skb)
{
	struct nf_conn *ct = made(skb);

	if (!ct)
		return 1;
	bpf_ct_set_timeout((struct nf_conn___init *)ct, 1000);
	bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int set_status_of_conn(struct __sk_buff *skb)
{
	struct nf_conn *ct = made(skb);

	if (!ct)
		return 1;
	bpf_ct_set_status((struct nf_conn___init *)ct, 8);
	bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int write_mark(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn___init *in = ALLOC(skb);
	struct nf_conn *ct;

	if (!in)
		return 1;
	((struct nf_conn *)in)->mark = 1;
	ct = bpf_ct_insert_entry(in);
	if (!ct)
		return 2;
	ct->mark = 2;
	bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int write_status(struct __sk_buff *skb)
{
	struct nf_conn *ct = made(skb);

	if (!ct)
		return 1;
	ct->status = 8;
	bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int write_timeout(struct __sk_buff *skb)
{
	struct nf_conn *ct = made(skb);

	if (!ct)
		return 1;
	ct->timeout = 8;
	bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int release_of_inside(struct __sk_buff *skb)
{
	struct nf_conn *ct = made(skb);

	if (!ct)
		return 1;
	bpf_ct_release((struct nf_conn *)((char *)ct + 8));
	return 0;
}

SEC("tc")
int opts_null(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = TUPLE;
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), NULL, BPFCT_OPTS_SZ);

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int tuple_null(struct __sk_buff *skb)
{
	struct bpf_ct_opts opts = OPTS;
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, NULL, 12, &opts, sizeof(opts));

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int opts_null_size_0(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = TUPLE;
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), NULL, 0);

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int tuple_null_size_0(struct __sk_buff *skb)
{
	struct bpf_ct_opts opts = OPTS;
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, NULL, 0, &opts, sizeof(opts));

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int tuple_in_packet(struct __sk_buff *skb)
{
	struct bpf_ct_opts opts = OPTS;
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct nf_conn *ct;

	if (data + 32 > end)
		return 1;
	ct = bpf_skb_ct_lookup(skb, data + 14, 12, &opts, sizeof(opts));
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int tuple_uninitialised(struct __sk_buff *skb)
{
	struct bpf_ct_opts opts = OPTS;
	struct bpf_sock_tuple tuple;
	struct nf_conn *ct = LOOKUP(skb);

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int ctx_null(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn *ct = LOOKUP(NULL);

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int ctx_on_stack(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn *ct = LOOKUP((void *)&tuple);

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int opts_too_long(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), &opts, 4096);

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("xdp")
int skb_kfunc_from_xdp(struct xdp_md *md)
{
	ARGS
	struct nf_conn *ct = LOOKUP((struct __sk_buff *)md);

	if (ct)
		bpf_ct_release(ct);
	return 2;
}

SEC("tc")
int xdp_kfunc_from_tc(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn *ct = bpf_xdp_ct_lookup((struct xdp_md *)skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("cgroup_skb/ingress")
int from_cgroup_skb(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn *ct = LOOKUP(skb);

	if (ct)
		bpf_ct_release(ct);
	return 1;
}

SEC("socket")
int from_socket_filter(struct __sk_buff *skb)
{
	ARGS
	struct nf_conn *ct = LOOKUP(skb);

	if (ct)
		bpf_ct_release(ct);
	return 1;
}

SEC("tc")
int under_spin_lock(struct __sk_buff *skb)
{
	ARGS
	u32 key = 0;
	struct locked *l = bpf_map_lookup_elem(&locks, &key);
	struct nf_conn *ct;

	if (!l)
		return 1;
	bpf_spin_lock(&l->lock);
	ct = LOOKUP(skb);
	bpf_spin_unlock(&l->lock);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

static __noinline struct nf_conn *finds(struct __sk_buff *skb)
{
	ARGS

	return LOOKUP(skb);
}

SEC("tc")
int found_by_subprogram(struct __sk_buff *skb)
{
	struct nf_conn *ct = finds(skb);

	if (ct)
		bpf_ct_release(ct);
	return 0;
}
