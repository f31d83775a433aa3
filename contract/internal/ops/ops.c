//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * An interpreter of calls: it reads an array of them from a map, makes each
 * with the kernel's functions and writes down everything that can be seen of
 * it afterwards. Connections live in three slots, each empty, or with one that
 * was allocated, or with one that was inserted or found. Between two runs
 * nothing is held. Layout as in op.go, byte for byte.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

enum code {
	ALLOC = 1,
	LOOKUP,
	INSERT,
	RELEASE,
	SET_TIMEOUT,
	CHANGE_TIMEOUT,
	SET_STATUS,
	CHANGE_STATUS,
	SET_NAT_INFO,
	SET_MARK,
	READ,
};

#define NULL_TUPLE 1 /* flags of an op: NULL with size 0 */
#define NULL_OPTS 2

#define TUPLE_ROOM 40
#define OPTS_ROOM 32

struct op {
	u32 code, slot, flags;
	u32 arg; /* milliseconds, status, mark or manip */
	s32 port;
	u32 tuple_sz, opts_sz;
	u8 addr[16];
	u8 tuple[TUPLE_ROOM];
	u8 opts[OPTS_ROOM];
	};

struct view {
	u32 status, timeout, mark, use;
	u32 tuple[2][10]; /* src, dst, ports, then l3num, protonum and dir */
	u16 zone_id;
	u8 zone_flags, zone_dir;
};

struct result {
	u64 before, after; /* jiffies */
	s32 ret;           /* what the call returned; 1 for a pointer, 0 for NULL */
	u32 done;          /* the slot had what the op needs */
	u32 same;          /* bit n: slot n has the same pointer */
	struct view view;  /* of the slot afterwards, if there is anything in it */
	u8 opts[OPTS_ROOM];
};

#define MAX_OPS 256

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_OPS);
	__type(key, u32);
	__type(value, struct op);
} ops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_OPS);
	__type(key, u32);
	__type(value, struct result);
} results SEC(".maps");

u32 first = 0;   /* what to perform: from first on */
u32 count = 0;   /* so many */
u32 current = 0; /* what is being performed */

struct bpf_iter_num {
	u64 opaque;
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

#define LOOK_ADDR(d, i)                                                                 \
	v->tuple[d][i] = ct->tuplehash[d].tuple.src.u3.all[i];                          \
	v->tuple[d][4 + i] = ct->tuplehash[d].tuple.dst.u3.all[i];

#define LOOK_TUPLE(d)                                                                   \
	LOOK_ADDR(d, 0)                                                                 \
	LOOK_ADDR(d, 1)                                                                 \
	LOOK_ADDR(d, 2)                                                                 \
	LOOK_ADDR(d, 3)                                                                 \
	v->tuple[d][8] = ct->tuplehash[d].tuple.src.u.all |                             \
			 (u32)ct->tuplehash[d].tuple.dst.u.all << 16;                   \
	v->tuple[d][9] = ct->tuplehash[d].tuple.src.l3num |                             \
			 (u32)ct->tuplehash[d].tuple.dst.protonum << 16 |               \
			 (u32)ct->tuplehash[d].tuple.dst.dir << 24;

static __noinline int look(struct view *v, struct nf_conn *ct)
{
	v->status = ct->status;
	v->timeout = ct->timeout;
	v->mark = ct->mark;
	v->use = ct->ct_general.use.refs.counter;
	v->zone_id = ct->zone.id;
	v->zone_flags = ct->zone.flags;
	v->zone_dir = ct->zone.dir;
	/* An index must be a constant for CO-RE to relocate what it is an index of. */
	LOOK_TUPLE(0)
	LOOK_TUPLE(1)
	return 0;
}

/* One of the calls that take a tuple and options. */
#define WITH_OPTS(name, ret_type, ctx_type, kfunc)                                      \
	static __noinline ret_type *name(ctx_type *ctx, struct op *o, struct result *r) \
	{                                                                               \
		u32 tuple_sz = o->tuple_sz, opts_sz = o->opts_sz;                       \
                                                                                        \
		if (tuple_sz > TUPLE_ROOM || opts_sz > OPTS_ROOM)                       \
			return NULL;                                                    \
		if (o->flags & NULL_TUPLE) {                                            \
			if (o->flags & NULL_OPTS)                                       \
				return kfunc(ctx, NULL, 0, NULL, 0);                    \
			return kfunc(ctx, NULL, 0, (void *)r->opts, opts_sz);           \
		}                                                                       \
		if (o->flags & NULL_OPTS)                                               \
			return kfunc(ctx, (void *)o->tuple, tuple_sz, NULL, 0);         \
		return kfunc(ctx, (void *)o->tuple, tuple_sz, (void *)r->opts, opts_sz); \
	}

WITH_OPTS(skb_alloc, struct nf_conn___init, struct __sk_buff, bpf_skb_ct_alloc)
WITH_OPTS(skb_lookup, struct nf_conn, struct __sk_buff, bpf_skb_ct_lookup)
WITH_OPTS(xdp_alloc, struct nf_conn___init, struct xdp_md, bpf_xdp_ct_alloc)
WITH_OPTS(xdp_lookup, struct nf_conn, struct xdp_md, bpf_xdp_ct_lookup)

/* Two tests of pointers that the compiler must not make one: pointers cannot be or'ed. */
#define APART asm volatile("")

/* The ops of one slot: in is what was allocated, ct what was inserted or found. */
#define SLOT(in, ct)                                                                    \
	switch (o->code) {                                                              \
	case ALLOC:                                                                     \
		if (in)                                                                 \
			break;                                                          \
		APART;                                                                  \
		if (ct)                                                                 \
			break;                                                          \
		r->done = 1;                                                            \
		in = ALLOCATE(ctx, o, r);                                               \
		r->ret = in != NULL;                                                    \
		break;                                                                  \
	case LOOKUP:                                                                    \
		if (in)                                                                 \
			break;                                                          \
		APART;                                                                  \
		if (ct)                                                                 \
			break;                                                          \
		r->done = 1;                                                            \
		ct = FIND(ctx, o, r);                                                   \
		r->ret = ct != NULL;                                                    \
		break;                                                                  \
	case INSERT:                                                                    \
		if (!in)                                                                \
			break;                                                          \
		r->done = 1;                                                            \
		ct = bpf_ct_insert_entry(in);                                           \
		in = NULL;                                                              \
		r->ret = ct != NULL;                                                    \
		break;                                                                  \
	case RELEASE:                                                                   \
		if (!ct)                                                                \
			break;                                                          \
		r->done = 1;                                                            \
		bpf_ct_release(ct);                                                     \
		ct = NULL;                                                              \
		break;                                                                  \
	case SET_TIMEOUT:                                                               \
		if (!in)                                                                \
			break;                                                          \
		r->done = 1;                                                            \
		bpf_ct_set_timeout(in, o->arg);                                         \
		break;                                                                  \
	case CHANGE_TIMEOUT:                                                            \
		if (!ct)                                                                \
			break;                                                          \
		r->done = 1;                                                            \
		r->ret = bpf_ct_change_timeout(ct, o->arg);                             \
		break;                                                                  \
	case SET_STATUS:                                                                \
		if (!in)                                                                \
			break;                                                          \
		r->done = 1;                                                            \
		r->ret = bpf_ct_set_status(in, o->arg);                                 \
		break;                                                                  \
	case CHANGE_STATUS:                                                             \
		if (!ct)                                                                \
			break;                                                          \
		r->done = 1;                                                            \
		r->ret = bpf_ct_change_status(ct, o->arg);                              \
		break;                                                                  \
	case SET_NAT_INFO:                                                              \
		if (!in)                                                                \
			break;                                                          \
		r->done = 1;                                                            \
		/* Another manip would corrupt the kernel's memory. */                  \
		r->ret = bpf_ct_set_nat_info(in, (union nf_inet_addr *)o->addr, o->port, \
					     o->arg & 1);                               \
		break;                                                                  \
	case SET_MARK:                                                                  \
		if (in) {                                                               \
			r->done = 1;                                                    \
			((struct nf_conn *)in)->mark = o->arg;                          \
		}                                                                       \
		APART;                                                                  \
		if (ct) {                                                               \
			r->done = 1;                                                    \
			ct->mark = o->arg;                                              \
		}                                                                       \
		break;                                                                  \
	case READ:                                                                      \
		r->done = in != NULL;                                                   \
		APART;                                                                  \
		if (ct)                                                                 \
			r->done = 1;                                                    \
		break;                                                                  \
	}                                                                               \
	if (in)                                                                         \
		look(&r->view, (struct nf_conn *)in);                                   \
	if (ct) {                                                                       \
		look(&r->view, ct);                                                     \
		r->same = (ct == c0) | (ct == c1) << 1 | (ct == c2) << 2;               \
	}

#define DROP(in, ct)                                                                    \
	if (in)                                                                         \
		ct = bpf_ct_insert_entry(in);                                           \
	if (ct)                                                                         \
		bpf_ct_release(ct);

#define PERFORM()                                                                       \
	struct nf_conn___init *i0 = NULL, *i1 = NULL, *i2 = NULL;                       \
	struct nf_conn *c0 = NULL, *c1 = NULL, *c2 = NULL;                              \
	struct bpf_iter_num it;                                                         \
	int *n;                                                                         \
                                                                                        \
	bpf_iter_num_new(&it, first, first + count);                                    \
	while ((n = bpf_iter_num_next(&it))) {                                          \
		u32 key = *n;                                                           \
		struct op *o = bpf_map_lookup_elem(&ops, &key);                         \
		struct result *r = bpf_map_lookup_elem(&results, &key);                 \
                                                                                        \
		if (!o || !r)                                                           \
			break;                                                          \
		current = key;                                                          \
		__builtin_memset(r, 0, sizeof(*r));                      \
		__builtin_memcpy(r->opts, o->opts, OPTS_ROOM);                          \
		r->before = bpf_jiffies64();                                            \
		switch (o->slot) {                                                      \
		case 0:                                                                 \
			SLOT(i0, c0)                                                    \
			break;                                                          \
		case 1:                                                                 \
			SLOT(i1, c1)                                                    \
			break;                                                          \
		case 2:                                                                 \
			SLOT(i2, c2)                                                    \
			break;                                                          \
		}                                                                       \
		r->after = bpf_jiffies64();                                             \
	}                                                                               \
	bpf_iter_num_destroy(&it);                                                      \
	DROP(i0, c0)                                                                    \
	DROP(i1, c1)                                                                    \
	DROP(i2, c2)                                                                    \
	return 0;

#define ALLOCATE skb_alloc
#define FIND skb_lookup
SEC("tc")
int perform_tc(struct __sk_buff *skb)
{
	struct __sk_buff *ctx = skb;

	PERFORM()
}
#undef ALLOCATE
#undef FIND

#define ALLOCATE xdp_alloc
#define FIND xdp_lookup
SEC("xdp")
int perform_xdp(struct xdp_md *md)
{
	struct xdp_md *ctx = md;

	PERFORM()
}
