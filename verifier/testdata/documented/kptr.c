/* SPDX-License-Identifier: MIT */
/* Connections kept in a map, as the documentation promises and no kernel yet does. */
#include "bpfct_conntrack.h"

struct value {
	u64 n;
	struct nf_conn __kptr *ct;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, int);
	__type(value, struct value);
	__uint(max_entries, 4);
} kept SEC(".maps");

#define VALUE                                                                                                          \
	int k = 1;                                                                                                     \
	struct value *v = bpf_map_lookup_elem(&kept, &k);                                                              \
	if (!v)                                                                                                        \
		return 0

#define FOUND                                                                                                          \
	struct bpf_sock_tuple tuple = {};                                                                              \
	struct bpf_ct_opts opts = { .l4proto = 6, .netns_id = -1 };                                                    \
	struct nf_conn *ct = bpf_skb_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, BPFCT_OPTS_SZ_OLD);             \
	if (!ct)                                                                                                       \
		return 0

SEC("tc") int store(struct __sk_buff *ctx)
{
	VALUE;
	FOUND;
	ct->mark = 7;
	ct = bpf_kptr_xchg(&v->ct, ct);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc") int store_new(struct __sk_buff *ctx)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts opts = { .l4proto = 6, .netns_id = -1 };
	struct nf_conn___init *init;
	struct nf_conn *ct;
	VALUE;

	init = bpf_skb_ct_alloc(ctx, &tuple, sizeof(tuple.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	if (!init)
		return 0;
	bpf_ct_set_timeout(init, 10000);
	ct = bpf_ct_insert_entry(init);
	if (!ct)
		return 0;
	ct = bpf_kptr_xchg(&v->ct, ct);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc") int take(struct __sk_buff *ctx)
{
	struct nf_conn *ct;
	VALUE;

	ct = bpf_kptr_xchg(&v->ct, NULL);
	if (!ct)
		return 0;
	k = ct->mark;
	bpf_ct_change_timeout(ct, 1000);
	bpf_ct_release(ct);
	return k;
}

SEC("tc") int look(struct __sk_buff *ctx)
{
	struct nf_conn *ct;
	VALUE;

	ct = v->ct;
	return ct ? ct->mark : 0;
}

SEC("tc") int old_lost(struct __sk_buff *ctx) { VALUE; FOUND; bpf_kptr_xchg(&v->ct, ct); return 0; }
SEC("tc") int taken_lost(struct __sk_buff *ctx) { VALUE; bpf_kptr_xchg(&v->ct, NULL); return 0; }

SEC("tc") int old_unchecked(struct __sk_buff *ctx)
{
	VALUE;
	FOUND;
	bpf_ct_release(bpf_kptr_xchg(&v->ct, ct));
	return 0;
}

SEC("tc") int used_after(struct __sk_buff *ctx)
{
	struct nf_conn *old;
	VALUE;
	FOUND;
	old = bpf_kptr_xchg(&v->ct, ct);
	if (old)
		bpf_ct_release(old);
	return ct->mark;
}

SEC("tc") int released_after(struct __sk_buff *ctx)
{
	struct nf_conn *old;
	VALUE;
	FOUND;
	old = bpf_kptr_xchg(&v->ct, ct);
	if (old)
		bpf_ct_release(old);
	bpf_ct_release(ct);
	return 0;
}

SEC("tc") int stored_after_release(struct __sk_buff *ctx)
{
	VALUE;
	FOUND;
	bpf_ct_release(ct);
	bpf_kptr_xchg(&v->ct, ct);
	return 0;
}

SEC("tc") int stored_unchecked(struct __sk_buff *ctx)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts opts = { .l4proto = 6, .netns_id = -1 };
	struct nf_conn *ct;
	VALUE;
	ct = bpf_skb_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	ct = bpf_kptr_xchg(&v->ct, ct);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc") int stored_new(struct __sk_buff *ctx)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts opts = { .l4proto = 6, .netns_id = -1 };
	struct nf_conn___init *init;
	VALUE;
	init = bpf_skb_ct_alloc(ctx, &tuple, sizeof(tuple.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	if (!init)
		return 0;
	bpf_kptr_xchg(&v->ct, (void *)init);
	return 0;
}

SEC("tc") int stored_moved(struct __sk_buff *ctx) { VALUE; FOUND; bpf_kptr_xchg(&v->ct, (void *)ct + 8); return 0; }
SEC("tc") int stored_elsewhere(struct __sk_buff *ctx) { VALUE; FOUND; bpf_kptr_xchg((void *)&v->n, ct); return 0; }
SEC("tc") int stored_variable(struct __sk_buff *ctx) { VALUE; FOUND; bpf_kptr_xchg((void *)v + (ctx->len & 8), ct); return 0; }
SEC("tc") int stored_task(struct __sk_buff *ctx) { VALUE; bpf_kptr_xchg(&v->ct, bpf_get_current_task_btf()); return 0; }
SEC("tc") int stored_number(struct __sk_buff *ctx) { VALUE; bpf_kptr_xchg(&v->ct, (void *)8); return 0; }
SEC("tc") int stored_directly(struct __sk_buff *ctx) { VALUE; FOUND; v->ct = ct; return 0; }
SEC("tc") int cleared_directly(struct __sk_buff *ctx) { VALUE; v->ct = NULL; return 0; }
SEC("tc") int looked_at_released(struct __sk_buff *ctx) { struct nf_conn *ct; VALUE; ct = v->ct; if (ct) bpf_ct_release(ct); return 0; }
SEC("tc") int looked_at_changed(struct __sk_buff *ctx) { struct nf_conn *ct; VALUE; ct = v->ct; if (ct) bpf_ct_change_timeout(ct, 3); return 0; }
SEC("tc") int looked_at_marked(struct __sk_buff *ctx) { struct nf_conn *ct; VALUE; ct = v->ct; if (ct) ct->mark = 3; return 0; }
SEC("tc") int looked_at_unchecked(struct __sk_buff *ctx) { VALUE; return v->ct->mark; }
SEC("tc") int looked_at_restored(struct __sk_buff *ctx) { struct nf_conn *ct; VALUE; ct = v->ct; if (ct) bpf_kptr_xchg(&v->ct, ct); return 0; }
SEC("tc") int half_read(struct __sk_buff *ctx) { VALUE; return *(volatile u32 *)&v->ct; }
SEC("tc") int passed(struct __sk_buff *ctx) { VALUE; return bpf_csum_diff(0, 0, (void *)v, 16, 0); }

BPFCT_LICENSE;
