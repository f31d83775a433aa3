/* SPDX-License-Identifier: MIT */
/* What kfuncs are passed: the connection tracker's, memory with its size, strings, callbacks. */
#include "bpfct_conntrack.h"
#include <bpf/bpf_core_read.h>

struct bpf_wq {
	u64 __opaque[2];
} __attribute__((aligned(8)));

#pragma clang diagnostic ignored "-Wunused-variable"
#pragma clang diagnostic ignored "-Wunused-but-set-variable"

struct bpf_wq_item {
	struct bpf_wq w;
	u64 n;
};

struct timed {
	struct bpf_timer t;
	u64 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, struct bpf_wq_item);
	__uint(max_entries, 4);
} works SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, struct bpf_wq_item);
	__uint(max_entries, 4);
} works2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, struct timed);
	__uint(max_entries, 4);
} timers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, struct timed);
	__uint(max_entries, 4);
} timers2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, u64);
	__uint(max_entries, 4);
} numbers SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, struct timed);
	__uint(max_entries, 1);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, int);
	__type(value, int);
	__uint(max_entries, 2);
	__array(values, struct inner);
} outer SEC(".maps");

int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
int bpf_wq_set_callback_impl(struct bpf_wq *wq, int(callback)(void *map, int *key, void *value), unsigned int flags, void *aux) __ksym;
u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym;
int bpf_stream_vprintk_impl(int id, const char *fmt, const void *args, u32 len, void *aux) __ksym;
struct bpf_map {
	int x___none;
} __attribute__((preserve_access_index));
s64 bpf_map_sum_elem_count(const struct bpf_map *map) __ksym;
int bpf_strcmp(const char *a, const char *b) __ksym;
int bpf_copy_from_user_str(void *dst, u32 size, const void *p, u64 flags) __ksym;
struct kmem_cache { int x___none; } __attribute__((preserve_access_index));
struct kmem_cache *bpf_get_kmem_cache(u64 addr) __ksym;

char text[8];
const char fmt[] = "%d %s";
const volatile char chars[4] = { 'a', 'b', 'c', 'd' };
const volatile char words[16] = "hello";

#define CT                                                                                                             \
	struct bpf_sock_tuple tuple = {};                                                                              \
	struct bpf_ct_opts opts = { .l4proto = 6, .netns_id = -1 };                                                    \
	struct nf_conn *ct

#define INIT                                                                                                           \
	struct bpf_sock_tuple tuple = {};                                                                              \
	struct bpf_ct_opts opts = { .l4proto = 6, .netns_id = -1 };                                                    \
	struct nf_conn___init *init = bpf_skb_ct_alloc(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));          \
	struct nf_conn *ct;                                                                                            \
	if (!init)                                                                                                     \
		return 0

SEC("tc") int lookup(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));

	if (!ct)
		return opts.error;
	bpf_ct_change_timeout(ct, 3);
	bpf_ct_change_status(ct, 8);
	ct->mark = 3;
	bpf_ct_release(ct);
	return 1;
}

SEC("tc") int lookup_leak(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts)); return ct != NULL; }
SEC("tc") int lookup_unchecked(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts)); bpf_ct_release(ct); return 0; }
SEC("tc") int lookup_read_unchecked(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts)); return ct->mark; }
SEC("tc") int lookup_twice(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (!ct)
		return 0;
	bpf_ct_release(ct);
	bpf_ct_release(ct);
	return 0;
}

SEC("tc") int lookup_after(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (!ct)
		return 0;
	bpf_ct_release(ct);
	return ct->mark;
}

SEC("tc") int lookup_moved(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (!ct)
		return 0;
	bpf_ct_release((void *)ct + 8);
	return 0;
}

SEC("tc") int lookup_status(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (!ct)
		return 0;
	*(volatile u64 *)((void *)ct + 128) = 3;
	bpf_ct_release(ct);
	return 0;
}

SEC("tc") int lookup_beyond(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (!ct)
		return 0;
	*(volatile u64 *)&ct->mark = 3;
	bpf_ct_release(ct);
	return 0;
}

SEC("tc") int opts_null(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, 12, NULL, 16); return 0; }
SEC("tc") int opts_null_zero(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, 12, NULL, 0); if (ct) bpf_ct_release(ct); return 0; }
SEC("tc") int tuple_null(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, NULL, 12, &opts, 16); return 0; }
SEC("tc") int size_negative(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, -1, &opts, 16); return 0; }
SEC("tc") int size_variable(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, ctx->len, &opts, 16); return 0; }
SEC("tc") int size_bounded(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, ctx->len & 15, &opts, 16); if (ct) bpf_ct_release(ct); return 0; }
SEC("tc") int size_pointer(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, (long)ctx, &opts, 16); return 0; }
SEC("tc") int size_large(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, 4096); return 0; }
SEC("tc") int ctx_null(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(NULL, &tuple, 12, &opts, 16); return 0; }
SEC("tc") int ctx_stack(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup((void *)&tuple, &tuple, 12, &opts, 16); return 0; }
SEC("tc") int ctx_moved(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup((void *)ctx + 4, &tuple, 12, &opts, 16); return 0; }
SEC("tc") int tuple_ctx(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, (void *)ctx, 12, &opts, 16); return 0; }
SEC("tc") int tuple_rodata(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, (void *)words, 12, &opts, 16); return 0; }
SEC("tc") int tuple_bss(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, (void *)text, 8, &opts, 16); if (ct) bpf_ct_release(ct); return 0; }
SEC("tc") int tuple_bss_large(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, (void *)text, 12, &opts, 16); return 0; }
SEC("tc") int tuple_value_or_null(struct __sk_buff *ctx)
{
	int k = 0;
	CT = bpf_skb_ct_lookup(ctx, bpf_map_lookup_elem(&numbers, &k), 8, &opts, 16);

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc") int tuple_value_or_null_large(struct __sk_buff *ctx)
{
	int k = 0;
	CT = bpf_skb_ct_lookup(ctx, bpf_map_lookup_elem(&numbers, &k), 12, &opts, 16);

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc") int tuple_packet(struct __sk_buff *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 12 > end)
		return 0;
	CT = bpf_skb_ct_lookup(ctx, data, 12, &opts, 16);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc") int tuple_packet_beyond(struct __sk_buff *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 11 > end)
		return 0;
	CT = bpf_skb_ct_lookup(ctx, data, 12, &opts, 16);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc") int xdp_in_tc(struct __sk_buff *ctx) { CT = bpf_xdp_ct_lookup((void *)ctx, &tuple, 12, &opts, 16); return 0; }
SEC("xdp") int skb_in_xdp(struct xdp_md *ctx) { CT = bpf_skb_ct_lookup((void *)ctx, &tuple, 12, &opts, 16); return 0; }
SEC("xdp") int xdp_lookup(struct xdp_md *ctx) { CT = bpf_xdp_ct_lookup(ctx, &tuple, 12, &opts, 16); if (ct) bpf_ct_release(ct); return 0; }
SEC("cgroup_skb/egress") int cgroup_lookup(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, 16); return 0; }
SEC("socket") int socket_lookup(struct __sk_buff *ctx) { CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, 16); return 0; }

SEC("tc") int insert(struct __sk_buff *ctx)
{
	union nf_inet_addr a = {};
	INIT;

	bpf_ct_set_nat_info(init, &a, 5, NF_NAT_MANIP_SRC);
	bpf_ct_set_timeout(init, 10000);
	bpf_ct_set_status(init, 8);
	init->ct.mark = 7;
	ct = bpf_ct_insert_entry(init);
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("tc") int insert_lost(struct __sk_buff *ctx) { INIT; ct = bpf_ct_insert_entry(init); return ct != NULL; }
SEC("tc") int insert_none(struct __sk_buff *ctx) { INIT; ct = NULL; return ct != NULL; }
SEC("tc") int insert_release(struct __sk_buff *ctx) { INIT; ct = (void *)init; bpf_ct_release(ct); return 0; }
SEC("tc") int insert_after(struct __sk_buff *ctx) { INIT; ct = bpf_ct_insert_entry(init); bpf_ct_set_timeout(init, 3); return 0; }
SEC("tc") int insert_twice(struct __sk_buff *ctx) { INIT; ct = bpf_ct_insert_entry(init); bpf_ct_insert_entry(init); return 0; }
SEC("tc") int change_init(struct __sk_buff *ctx) { INIT; ct = (void *)init; bpf_ct_change_timeout(ct, 3); return 0; }
SEC("tc") int status_init(struct __sk_buff *ctx) { INIT; ct = (void *)init; bpf_ct_change_status(ct, 3); return 0; }
SEC("tc") int timeout_pointer(struct __sk_buff *ctx) { INIT; ct = NULL; bpf_ct_set_timeout(init, (long)ctx); return 0; }
SEC("tc") int nat_null(struct __sk_buff *ctx) { INIT; ct = NULL; bpf_ct_set_nat_info(init, NULL, 3, 0); return 0; }
SEC("tc") int nat_small(struct __sk_buff *ctx) { u64 x = 0; INIT; ct = NULL; bpf_ct_set_nat_info(init, (void *)&x, 3, 0); return 0; }
SEC("tc") int nat_ct(struct __sk_buff *ctx) { INIT; ct = NULL; bpf_ct_set_nat_info(init, (void *)init, 3, 0); return 0; }
SEC("tc") int set_of_lookup(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (ct)
		bpf_ct_set_timeout((void *)ct, 3);
	return 0;
}

SEC("tc") int insert_of_lookup(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (ct)
		bpf_ct_insert_entry((void *)ct);
	return 0;
}

SEC("tc") int release_ctx(struct __sk_buff *ctx) { bpf_ct_release((void *)ctx); return 0; }
SEC("tc") int release_number(struct __sk_buff *ctx) { bpf_ct_release((void *)8); return 0; }
SEC("tc") int release_null(struct __sk_buff *ctx) { bpf_ct_release(NULL); return 0; }
SEC("tc") int release_stack(struct __sk_buff *ctx) { u64 x = 0; bpf_ct_release((void *)&x); return 0; }
SEC("tc") int release_map(struct __sk_buff *ctx) { bpf_ct_release((void *)&numbers); return 0; }
SEC("tc") int release_sock(struct __sk_buff *ctx) { if (!ctx->sk) return 0; bpf_ct_release((void *)ctx->sk); return 0; }
SEC("tc") int release_owned_sock(struct __sk_buff *ctx)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk = bpf_sk_lookup_tcp(ctx, &tuple, 12, -1, 0);

	if (sk)
		bpf_ct_release((void *)sk);
	return 0;
}

SEC("tc") int in_tail_call(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (!ct)
		return 0;
	bpf_loop(0, NULL, NULL, 0);
	return 0;
}

static __noinline struct nf_conn *find(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));
	return ct;
}

SEC("tc") int from_function(struct __sk_buff *ctx)
{
	struct nf_conn *ct = find(ctx);

	if (ct)
		bpf_ct_release(ct);
	return 0;
}

static __noinline void give(struct nf_conn *ct) { bpf_ct_release(ct); }
SEC("tc") int to_function(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (ct)
		give(ct);
	return 0;
}

static int take(int i, void *c)
{
	struct __sk_buff **p = c;

	*p = 0;
	return 0;
}

SEC("tc") int over_loop(struct __sk_buff *ctx)
{
	void *x = ctx;
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (!ct)
		return 0;
	bpf_loop(4, take, &x, 0);
	bpf_ct_release(ct);
	return x != NULL;
}

SEC("tc") int map_count(struct __sk_buff *ctx) { return bpf_map_sum_elem_count((void *)&numbers); }
SEC("tc") int map_count_ctx(struct __sk_buff *ctx) { return bpf_map_sum_elem_count((void *)ctx); }
SEC("tc") int map_count_value(struct __sk_buff *ctx)
{
	int k = 0;

	return bpf_map_sum_elem_count(bpf_map_lookup_elem(&numbers, &k));
}

SEC("tc") int stream(struct __sk_buff *ctx)
{
	u64 args[2] = {};

	return bpf_stream_vprintk_impl(1, fmt, args, sizeof(args), NULL);
}

SEC("tc") int stream_bss(struct __sk_buff *ctx) { return bpf_stream_vprintk_impl(1, text, NULL, 0, NULL); }
SEC("tc") int stream_open_end(struct __sk_buff *ctx) { return bpf_stream_vprintk_impl(1, (void *)chars, NULL, 0, NULL); }
SEC("tc") int stream_stack(struct __sk_buff *ctx) { char c[8] = {}; return bpf_stream_vprintk_impl(1, c, NULL, 0, NULL); }
SEC("tc") int stream_variable(struct __sk_buff *ctx) { return bpf_stream_vprintk_impl(1, (void *)words + (ctx->len & 3), NULL, 0, NULL); }
SEC("tc") int stream_null_args(struct __sk_buff *ctx) { return bpf_stream_vprintk_impl(1, fmt, NULL, 8, NULL); }
SEC("tc") int compare(struct __sk_buff *ctx) { return bpf_strcmp((void *)words, (void *)ctx); }
SEC("tc") int sleeps(struct __sk_buff *ctx) { char b[8]; return bpf_copy_from_user_str(b, 8, NULL, 0); }
SEC("tc") int cache(struct __sk_buff *ctx) { return bpf_get_kmem_cache(3) != NULL; }
SEC("tc") int cache_read(struct __sk_buff *ctx) { struct kmem_cache *c = bpf_get_kmem_cache(3); return *(volatile int *)((void *)c + 28); }

void *bpf_rdonly_cast(const void *p, u32 id) __ksym;
struct nf_conn___m { struct nf_conn *master; } __attribute__((preserve_access_index));

SEC("tc") int write_untrusted(struct __sk_buff *ctx)
{
	struct nf_conn *ct = bpf_rdonly_cast(ctx, bpf_core_type_id_kernel(struct nf_conn));

	ct->mark = 3;
	return 0;
}

SEC("tc") int write_walked(struct __sk_buff *ctx)
{
	CT = bpf_skb_ct_lookup(ctx, &tuple, 12, &opts, sizeof(opts));

	if (!ct)
		return 0;
	((struct nf_conn___m *)ct)->master->mark = 3;
	bpf_ct_release(ct);
	return 0;
}

SEC("tc") int write_untrusted_walked(struct __sk_buff *ctx)
{
	struct nf_conn___m *ct = bpf_rdonly_cast(ctx, bpf_core_type_id_kernel(struct nf_conn));

	ct->master->mark = 3;
	return 0;
}

static int later(void *map, int *key, void *value) { return 0; }
static int later_wrong(void *map, int *key, void *value) { return 1; }
static int later_value(void *map, int *key, void *value) { struct bpf_wq_item *w = value; w->n = *key; bpf_wq_start(&w->w, 0); return 0; }

#define WORK(m)                                                                                                        \
	int k = 0;                                                                                                     \
	struct bpf_wq_item *w = bpf_map_lookup_elem(&m, &k);                                                           \
	if (!w)                                                                                                        \
		return 0

SEC("tc") int wq(struct __sk_buff *ctx) { WORK(works); bpf_wq_init(&w->w, &works, 0); bpf_wq_set_callback_impl(&w->w, later, 0, NULL); bpf_wq_start(&w->w, 0); return 0; }
SEC("tc") int wq_value(struct __sk_buff *ctx) { WORK(works); bpf_wq_set_callback_impl(&w->w, later_value, 0, NULL); return 0; }
SEC("tc") int wq_wrong_return(struct __sk_buff *ctx) { WORK(works); bpf_wq_set_callback_impl(&w->w, later_wrong, 0, NULL); return 0; }
SEC("tc") int wq_other_map(struct __sk_buff *ctx) { WORK(works); bpf_wq_init(&w->w, &works2, 0); return 0; }
SEC("tc") int wq_moved(struct __sk_buff *ctx) { WORK(works); bpf_wq_init((void *)&w->n, &works, 0); return 0; }
SEC("tc") int wq_variable(struct __sk_buff *ctx) { WORK(works); bpf_wq_init((void *)w + (ctx->len & 8), &works, 0); return 0; }
SEC("tc") int wq_no_map(struct __sk_buff *ctx) { WORK(works); bpf_wq_init(&w->w, ctx, 0); return 0; }
SEC("tc") int wq_stack(struct __sk_buff *ctx) { struct bpf_wq w = {}; bpf_wq_start(&w, 0); return 0; }
SEC("tc") int wq_null(struct __sk_buff *ctx) { int k = 0; bpf_wq_start(bpf_map_lookup_elem(&works, &k), 0); return 0; }
SEC("tc") int wq_no_callback(struct __sk_buff *ctx) { WORK(works); bpf_wq_set_callback_impl(&w->w, (void *)w, 0, NULL); return 0; }

#define TIMER(m)                                                                                                       \
	int k = 0;                                                                                                     \
	struct timed *t = bpf_map_lookup_elem(&m, &k);                                                                 \
	if (!t)                                                                                                        \
		return 0

SEC("tc") int timer(struct __sk_buff *ctx) { TIMER(timers); bpf_timer_init(&t->t, &timers, 0); bpf_timer_set_callback(&t->t, later); bpf_timer_start(&t->t, 1, 0); bpf_timer_cancel(&t->t); return 0; }
SEC("tc") int timer_other_map(struct __sk_buff *ctx) { TIMER(timers); bpf_timer_init(&t->t, &timers2, 0); return 0; }
SEC("tc") int timer_moved(struct __sk_buff *ctx) { TIMER(timers); bpf_timer_start((void *)&t->n, 1, 0); return 0; }
SEC("tc") int timer_variable(struct __sk_buff *ctx) { TIMER(timers); bpf_timer_start((void *)t + (ctx->len & 8), 1, 0); return 0; }
SEC("tc") int timer_none(struct __sk_buff *ctx) { int k = 0; void *t = bpf_map_lookup_elem(&numbers, &k); if (t) bpf_timer_start(t, 1, 0); return 0; }
SEC("tc") int timer_stack(struct __sk_buff *ctx) { struct bpf_timer t = {}; bpf_timer_start(&t, 1, 0); return 0; }
SEC("tc") int timer_read(struct __sk_buff *ctx) { TIMER(timers); return *(volatile u64 *)&t->t; }
SEC("tc") int timer_wrong_return(struct __sk_buff *ctx) { TIMER(timers); bpf_timer_set_callback(&t->t, later_wrong); return 0; }
SEC("tc") int timer_inner(struct __sk_buff *ctx)
{
	int k = 0;
	void *m = bpf_map_lookup_elem(&outer, &k), *n;
	struct timed *t;

	if (!m)
		return 0;
	t = bpf_map_lookup_elem(m, &k);
	if (!t)
		return 0;
	bpf_timer_init(&t->t, m, 0);
	return 0;
}

SEC("tc") int timer_inner_other(struct __sk_buff *ctx)
{
	int k = 0, j = 1;
	void *m = bpf_map_lookup_elem(&outer, &k), *n = bpf_map_lookup_elem(&outer, &j);
	struct timed *t;

	if (!m || !n)
		return 0;
	t = bpf_map_lookup_elem(m, &k);
	if (!t)
		return 0;
	bpf_timer_init(&t->t, n, 0);
	return 0;
}

static __always_inline int print(const char *f, int n)
{
	u64 args[3] = {};
	char out[32];

	return bpf_snprintf(out, sizeof(out), f, args, n);
}

SEC("tc") int snprintf_right(struct __sk_buff *ctx) { return print("%d %lx %%", 16); }
SEC("tc") int snprintf_few(struct __sk_buff *ctx) { return print("%d %lx", 8); }
SEC("tc") int snprintf_many(struct __sk_buff *ctx) { return print("%d", 16); }
SEC("tc") int snprintf_odd(struct __sk_buff *ctx) { return print("%d", 12); }
SEC("tc") int snprintf_unknown(struct __sk_buff *ctx) { return print("%q", 8); }
SEC("tc") int snprintf_open(struct __sk_buff *ctx) { return print("%", 8); }
SEC("tc") int snprintf_string(struct __sk_buff *ctx) { return print("%sa", 8); }
SEC("tc") int snprintf_string_end(struct __sk_buff *ctx) { return print("%s,", 8); }
SEC("tc") int snprintf_pointer(struct __sk_buff *ctx) { return print("%p %pi4", 16); }
SEC("tc") int snprintf_pointer_wrong(struct __sk_buff *ctx) { return print("%pz", 8); }
SEC("tc") int snprintf_address_wrong(struct __sk_buff *ctx) { return print("%pi5", 8); }
SEC("tc") int snprintf_control(struct __sk_buff *ctx) { return print("\x01", 0); }
SEC("tc") int snprintf_wide(struct __sk_buff *ctx) { return print("%-08llx %c", 16); }
SEC("tc") int snprintf_lll(struct __sk_buff *ctx) { return print("%llld", 8); }
SEC("tc") int snprintf_float(struct __sk_buff *ctx) { return print("%f", 8); }
SEC("tc") int snprintf_kernel(struct __sk_buff *ctx) { return print("%pks %pus %pB", 24); }
SEC("tc") int snprintf_short(struct __sk_buff *ctx) { return print("%hd", 8); }

BPFCT_LICENSE;
