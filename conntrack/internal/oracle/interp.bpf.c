//go:build ignore

// SPDX-License-Identifier: MIT
//
// An interpreter of conntrack operations: it reads an array of them from a map,
// performs each with the kernel's functions and writes down what came of it.
// Every operation takes and returns its own references, since a program cannot
// keep any in a map.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;
typedef u8 __u8;
typedef signed char __s8;
typedef short __s16;
typedef s32 __s32;
typedef long long __s64;

#include <bpf/bpf_helpers.h>

#define BPF_MAP_TYPE_ARRAY 2

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
union nf_inet_addr { u32 all[4]; };
struct nf_conntrack { struct { struct { int counter; } refs; } use; };
struct nf_conntrack_zone { u16 id; u8 flags; u8 dir; };
union nf_conntrack_man_proto { u16 all; };
struct nf_conntrack_man { union nf_inet_addr u3; union nf_conntrack_man_proto u; u16 l3num; };
struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct { union nf_inet_addr u3; union { u16 all; } u; u8 protonum; u8 dir; } dst;
};
struct nf_conntrack_tuple_hash { u64 hnnode[2]; struct nf_conntrack_tuple tuple; };
struct nf_conn {
	struct nf_conntrack ct_general;
	u32 timeout;
	struct nf_conntrack_zone zone;
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	u32 mark;
};
struct nf_conn___init { struct nf_conn ct; };
struct __sk_buff { u32 len; };
#pragma clang attribute pop

struct bpf_sock_tuple { u32 words[9]; };
enum nf_nat_manip_type { MANIP_SRC, MANIP_DST };

struct bpf_ct_opts___local {
	s32 netns_id;
	s32 error;
	u8 l4proto;
	u8 dir;
	u16 zone_id;
	u8 zone_dir;
	u8 reserved[3];
};

extern struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *, struct bpf_sock_tuple *, u32,
	struct bpf_ct_opts___local *, u32) __ksym;
extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *, struct bpf_sock_tuple *, u32,
	struct bpf_ct_opts___local *, u32) __ksym;
extern struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *) __ksym;
extern void bpf_ct_release(struct nf_conn *) __ksym;
extern void bpf_ct_set_timeout(struct nf_conn___init *, u32) __ksym;
extern int bpf_ct_change_timeout(struct nf_conn *, u32) __ksym;
extern int bpf_ct_set_status(const struct nf_conn___init *, u32) __ksym;
extern int bpf_ct_change_status(struct nf_conn *, u32) __ksym;
extern int bpf_ct_set_nat_info(struct nf_conn___init *, union nf_inet_addr *, int, enum nf_nat_manip_type) __ksym;

/* What to do with one connection; a bit of `flags` says which of it. */
#define DO_TIMEOUT 1 /* set_timeout or change_timeout */
#define DO_STATUS 2
#define DO_MARK 4
#define DO_NAT(i) (8 << (i)) /* one of three */
/* The same after insert. */
#define DO_TIMEOUT2 64
#define DO_STATUS2 128
#define DO_MARK2 256

struct nat { u32 addr[4]; s32 port; u32 manip; };

struct spec {
	u32 tuple[9]; /* 12 or 36 bytes of it */
	u8 v6, l4proto;
	u16 zone_id;
	u8 zone_dir, pad[3];
	u32 flags;
	u32 timeout, status, mark;
	u32 timeout2, status2, mark2;
	struct nat nat[3];
};

/* Kinds of operations. */
#define OP_INSERT 0 /* alloc a and insert it */
#define OP_LOOKUP 1 /* look a up */
#define OP_PAIR 2   /* alloc a, alloc b, insert a, insert b */
#define OP_HELD 3   /* alloc and insert a; look b up meanwhile */

struct op { u32 kind; struct spec a, b; };

struct view {
	u32 status, timeout, mark, use;
	u32 tuple[2][10]; /* src, dst, ports, l3num and protonum */
	u16 zone_id; u8 zone_flags, zone_dir;
};

struct result {
	s32 error;   /* opts.error */
	u32 got;     /* alloc or lookup gave a pointer */
	u32 dir, zone_dir;
	struct view before; /* of what alloc gave */
	s32 status_ret, nat_ret[3];
	struct view made;   /* of the same right before insert */
	u32 inserted;
	struct view after; /* of what insert or lookup gave */
	s32 timeout2_ret, status2_ret;
	struct view last;
};

struct results { struct result a, b; u64 jiffies0, jiffies1; };

#define MAX_OPS 4096

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, MAX_OPS); __type(key, u32); __type(value, struct op); } ops SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, MAX_OPS); __type(key, u32); __type(value, struct results); } out SEC(".maps");

u32 count = 0;

static __always_inline void view(struct view *v, struct nf_conn *ct)
{
	v->status = ct->status;
	v->timeout = ct->timeout;
	v->mark = ct->mark;
	v->use = ct->ct_general.use.refs.counter;
	v->zone_id = ct->zone.id;
	v->zone_flags = ct->zone.flags;
	v->zone_dir = ct->zone.dir;
#pragma unroll
	for (int d = 0; d < 2; d++) {
#pragma unroll
		for (int i = 0; i < 4; i++) {
			v->tuple[d][i] = ct->tuplehash[d].tuple.src.u3.all[i];
			v->tuple[d][4 + i] = ct->tuplehash[d].tuple.dst.u3.all[i];
		}
		v->tuple[d][8] = ct->tuplehash[d].tuple.src.u.all | (u32)ct->tuplehash[d].tuple.dst.u.all << 16;
		v->tuple[d][9] = ct->tuplehash[d].tuple.src.l3num | (u32)ct->tuplehash[d].tuple.dst.protonum << 16;
	}
}

static __always_inline struct nf_conn___init *alloc(struct __sk_buff *skb, struct spec *s, struct result *r)
{
	struct bpf_ct_opts___local opts = { .netns_id = -1, .l4proto = s->l4proto, .dir = 9,
				.zone_id = s->zone_id, .zone_dir = s->zone_dir };
	struct nf_conn___init *ct;
	int i;

	ct = bpf_skb_ct_alloc(skb, (void *)s->tuple, s->v6 ? 36 : 12, &opts, sizeof(opts));
	r->error = opts.error;
	r->dir = opts.dir;
	r->zone_dir = opts.zone_dir;
	if (!ct)
		return ct;
	r->got = 1;
	view(&r->before, (struct nf_conn *)ct);
	if (s->flags & DO_TIMEOUT)
		bpf_ct_set_timeout(ct, s->timeout);
	if (s->flags & DO_STATUS)
		r->status_ret = bpf_ct_set_status(ct, s->status);
	if (s->flags & DO_MARK)
		((struct nf_conn *)ct)->mark = s->mark;
#pragma unroll
	for (i = 0; i < 3; i++)
		/* Another manip would corrupt the kernel's memory. */
		if (s->flags & DO_NAT(i))
			r->nat_ret[i] = bpf_ct_set_nat_info(ct, (union nf_inet_addr *)s->nat[i].addr,
							    s->nat[i].port, s->nat[i].manip & 1);
	view(&r->made, (struct nf_conn *)ct);
	return ct;
}

static __always_inline void after(struct nf_conn *ct, struct spec *s, struct result *r)
{
	view(&r->after, ct);
	if (s->flags & DO_TIMEOUT2)
		r->timeout2_ret = bpf_ct_change_timeout(ct, s->timeout2);
	if (s->flags & DO_STATUS2)
		r->status2_ret = bpf_ct_change_status(ct, s->status2);
	if (s->flags & DO_MARK2)
		ct->mark = s->mark2;
	view(&r->last, ct);
}

static __always_inline struct nf_conn *lookup(struct __sk_buff *skb, struct spec *s, struct result *r)
{
	struct bpf_ct_opts___local opts = { .netns_id = -1, .l4proto = s->l4proto, .dir = 9,
				.zone_id = s->zone_id, .zone_dir = s->zone_dir };
	struct nf_conn *ct;

	ct = bpf_skb_ct_lookup(skb, (void *)s->tuple, s->v6 ? 36 : 12, &opts, sizeof(opts));
	r->error = opts.error;
	r->dir = opts.dir;
	r->zone_dir = opts.zone_dir;
	if (ct)
		r->got = 1;
	return ct;
}

static __noinline int op_insert(struct __sk_buff *skb, struct op *o, struct results *r)
{
	struct nf_conn___init *in;
	struct nf_conn *ct;

	in = alloc(skb, &o->a, &r->a);
	if (!in)
		return 0;
	ct = bpf_ct_insert_entry(in);
	if (!ct)
		return 0;
	r->a.inserted = 1;
	after(ct, &o->a, &r->a);
	bpf_ct_release(ct);
	return 0;
}

static __noinline int op_lookup(struct __sk_buff *skb, struct op *o, struct results *r)
{
	struct nf_conn *ct = lookup(skb, &o->a, &r->a);

	if (!ct)
		return 0;
	after(ct, &o->a, &r->a);
	bpf_ct_release(ct);
	return 0;
}

static __noinline int op_pair(struct __sk_buff *skb, struct op *o, struct results *r)
{
	struct nf_conn___init *ia, *ib;
	struct nf_conn *a = 0, *b = 0;

	ia = alloc(skb, &o->a, &r->a);
	ib = alloc(skb, &o->b, &r->b);
	if (ia)
		a = bpf_ct_insert_entry(ia);
	if (ib)
		b = bpf_ct_insert_entry(ib);
	if (a) {
		r->a.inserted = 1;
		after(a, &o->a, &r->a);
		bpf_ct_release(a);
	}
	if (b) {
		r->b.inserted = 1;
		after(b, &o->b, &r->b);
		bpf_ct_release(b);
	}
	return 0;
}

static __noinline int op_held(struct __sk_buff *skb, struct op *o, struct results *r)
{
	struct nf_conn___init *in;
	struct nf_conn *a, *b;

	in = alloc(skb, &o->a, &r->a);
	if (!in)
		return 0;
	a = bpf_ct_insert_entry(in);
	if (!a)
		return 0;
	r->a.inserted = 1;
	after(a, &o->a, &r->a);
	b = lookup(skb, &o->b, &r->b);
	if (b) {
		after(b, &o->b, &r->b);
		bpf_ct_release(b);
	}
	view(&r->a.last, a);
	bpf_ct_release(a);
	return 0;
}

struct loop { struct __sk_buff *skb; };

static long step(u64 i, void *ctx)
{
	struct __sk_buff *skb = ((struct loop *)ctx)->skb;
	u32 key = i;
	struct op *o = bpf_map_lookup_elem(&ops, &key);
	struct results *r = bpf_map_lookup_elem(&out, &key);

	if (!o || !r)
		return 1;
	r->jiffies0 = bpf_jiffies64();
	switch (o->kind) {
	case OP_INSERT: op_insert(skb, o, r); break;
	case OP_LOOKUP: op_lookup(skb, o, r); break;
	case OP_PAIR: op_pair(skb, o, r); break;
	case OP_HELD: op_held(skb, o, r); break;
	}
	r->jiffies1 = bpf_jiffies64();
	return 0;
}

SEC("tc")
int interp(struct __sk_buff *skb)
{
	struct loop l = { skb };

	bpf_loop(count, step, &l, 0);
	return 0;
}

/* For the benchmark: each run is one operation on the n-th of a row of tuples. */
u32 bench_n = 0;       /* runs so far */
u32 bench_mask = 0;    /* lookups choose among mask + 1 */
u32 bench_found = 0;
u32 bench_failed = 0;
u32 bench_status = 0;  /* of those inserted */

static __always_inline void bench_tuple(u32 *t, u32 n)
{
	t[0] = 10 | (n & 0xffff00) | (n << 24);
	t[1] = 0x0200000a;
	t[2] = ((n >> 24) + 1024) | 80 << 16;
}

SEC("tc")
int bench_insert(struct __sk_buff *skb)
{
	struct bpf_ct_opts___local opts = { .netns_id = -1, .l4proto = 17 };
	struct nf_conn___init *in;
	struct nf_conn *ct;
	u32 t[3];

	bench_tuple(t, bench_n++);
	in = bpf_skb_ct_alloc(skb, (void *)t, sizeof(t), &opts, sizeof(opts));
	if (!in) {
		bench_failed++;
		return 0;
	}
	bpf_ct_set_timeout(in, 3600000);
	if (bench_status)
		bpf_ct_set_status(in, bench_status);
	ct = bpf_ct_insert_entry(in);
	if (ct)
		bpf_ct_release(ct);
	else
		bench_failed++;
	return 0;
}

SEC("tc")
int bench_lookup(struct __sk_buff *skb)
{
	struct bpf_ct_opts___local opts = { .netns_id = -1, .l4proto = 17 };
	struct nf_conn *ct;
	u32 t[3];

	bench_tuple(t, bpf_get_prandom_u32() & bench_mask);
	ct = bpf_skb_ct_lookup(skb, (void *)t, sizeof(t), &opts, sizeof(opts));
	if (ct) {
		bench_found++;
		bpf_ct_release(ct);
	}
	return 0;
}

SEC("tc")
int bench_empty(struct __sk_buff *skb)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
