/* SPDX-License-Identifier: MIT */
/*
 * Programs that use special fields of map values: spin locks, timers, work
 * queues. The operations come from a map as in ops.c. Timers are started with a
 * delay that no test waits for.
 */
#include "bpfct.h"

BPFCT_LICENSE;

#define NOPS 32

enum {
	OP_UPDATE,
	OP_DELETE,
	OP_LOOKUP,
	OP_INIT,
	OP_CALLBACK,
	OP_START,
	OP_CANCEL,
	OP_LOCKED, /* add under the spin lock */
};

struct op {
	__u32 op;
	__u32 key;
	__u64 flags;
	__u64 arg;
};

struct result {
	__s64 ret;
	__u64 value[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NOPS);
	__type(key, __u32);
	__type(value, struct op);
} ops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NOPS);
	__type(key, __u32);
	__type(value, struct result);
} results SEC(".maps");

struct locked {
	__u32 before;
	struct bpf_spin_lock lock;
	__u64 count;
	__u32 tail;
	__u32 pad;
};

struct timed {
	__u64 count;
	struct bpf_timer timer;
	__u64 tail;
};

/* Newer than linux-libc-dev's headers. */
struct bpf_wq {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

struct work {
	__u64 count;
	struct bpf_wq wq;
	__u64 tail;
};

extern int bpf_wq_init(struct bpf_wq *wq, void *p__map, unsigned int flags) __weak __ksym;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __weak __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int (*callback_fn)(void *map, int *key, void *value),
				    unsigned int flags, void *aux__ign) __weak __ksym;

__u64 fired, fired_key, fired_count, cancelled = 1;

static int on_timer(void *map, __u32 *key, struct timed *v)
{
	fired++;
	fired_key = *key;
	fired_count = v->count;
	if (v->tail == 1)
		cancelled = bpf_timer_cancel(&v->timer);
	if (v->tail == 2)
		bpf_timer_start(&v->timer, 1000, 0);
	if (v->tail == 3)
		bpf_map_delete_elem(map, key);
	return 0;
}

__u64 worked;

static int on_work(void *map, int *key, void *value)
{
	worked++;
	return 0;
}

#define MAP(name, map_type, type_, flags)                                                       \
	struct {                                                                                \
		__uint(type, map_type);                                                         \
		__uint(max_entries, 4);                                                         \
		__uint(map_flags, flags);                                                       \
		__type(key, __u32);                                                             \
		__type(value, struct type_);                                                    \
	} name SEC(".maps");

#define PROGRAM(name, op_fn)                                                                    \
	static long name##_op(__u32 i, void *unused)                                            \
	{                                                                                       \
		struct op *o = bpf_map_lookup_elem(&ops, &i);                                   \
		struct result *r = bpf_map_lookup_elem(&results, &i);                           \
                                                                                                \
		if (!o || !r)                                                                   \
			return 1;                                                               \
		op_fn(name, o, r);                                                              \
		return 0;                                                                       \
	}                                                                                       \
	SEC("tc")                                                                               \
	int on_##name(struct __sk_buff *skb)                                                    \
	{                                                                                       \
		return bpf_loop(NOPS, name##_op, 0, 0);                                         \
	}

#define COMMON(name, type_, o, r, v)                                                            \
	case OP_UPDATE: {                                                                       \
		struct type_ new = {.count = o->arg, .tail = o->arg >> 7};                      \
		r->ret = bpf_map_update_elem(&name, &o->key, &new, o->flags);                   \
		break;                                                                          \
	}                                                                                       \
	case OP_DELETE:                                                                         \
		r->ret = bpf_map_delete_elem(&name, &o->key);                                   \
		break;                                                                          \
	case OP_LOOKUP:                                                                         \
		v = bpf_map_lookup_elem(&name, &o->key);                                        \
		r->ret = v != 0;                                                                \
		if (v) {                                                                        \
			r->value[0] = v->count;                                                 \
			r->value[1] = v->tail;                                                  \
		}                                                                               \
		break;

#define LOCK_OP(name, o, r)                                                                     \
	struct locked *v;                                                                       \
	switch (o->op) {                                                                        \
	COMMON(name, locked, o, r, v)                                                           \
	case OP_LOCKED:                                                                         \
		v = bpf_map_lookup_elem(&name, &o->key);                                        \
		r->ret = v != 0;                                                                \
		if (v) {                                                                        \
			bpf_spin_lock(&v->lock);                                                \
			v->count += o->arg;                                                     \
			r->value[0] = v->count;                                                 \
			bpf_spin_unlock(&v->lock);                                              \
		}                                                                               \
		break;                                                                          \
	}

#define TIMER_OP(name, o, r)                                                                    \
	struct timed *v;                                                                        \
	switch (o->op) {                                                                        \
	COMMON(name, timed, o, r, v)                                                            \
	case OP_INIT:                                                                           \
		v = bpf_map_lookup_elem(&name, &o->key);                                        \
		r->ret = v ? bpf_timer_init(&v->timer, &name, o->flags) : 1000;                 \
		break;                                                                          \
	case OP_CALLBACK:                                                                       \
		v = bpf_map_lookup_elem(&name, &o->key);                                        \
		r->ret = v ? bpf_timer_set_callback(&v->timer, on_timer) : 1000;                \
		break;                                                                          \
	case OP_START:                                                                          \
		v = bpf_map_lookup_elem(&name, &o->key);                                        \
		r->ret = v ? bpf_timer_start(&v->timer, o->arg, o->flags) : 1000;               \
		break;                                                                          \
	case OP_CANCEL:                                                                         \
		v = bpf_map_lookup_elem(&name, &o->key);                                        \
		r->ret = v ? bpf_timer_cancel(&v->timer) : 1000;                                \
		break;                                                                          \
	}

#define WORK_OP(name, o, r)                                                                     \
	struct work *v;                                                                         \
	switch (o->op) {                                                                        \
	COMMON(name, work, o, r, v)                                                             \
	case OP_INIT:                                                                           \
		v = bpf_map_lookup_elem(&name, &o->key);                                        \
		r->ret = v ? bpf_wq_init(&v->wq, &name, o->flags) : 1000;                       \
		break;                                                                          \
	case OP_CALLBACK:                                                                       \
		v = bpf_map_lookup_elem(&name, &o->key);                                        \
		r->ret = v ? bpf_wq_set_callback_impl(&v->wq, on_work, 0, 0) : 1000;            \
		break;                                                                          \
	case OP_START:                                                                          \
		v = bpf_map_lookup_elem(&name, &o->key);                                        \
		r->ret = v ? bpf_wq_start(&v->wq, o->flags) : 1000;                             \
		break;                                                                          \
	}

MAP(lock_array, BPF_MAP_TYPE_ARRAY, locked, 0)
PROGRAM(lock_array, LOCK_OP)
MAP(lock_hash, BPF_MAP_TYPE_HASH, locked, BPF_F_ZERO_SEED)
PROGRAM(lock_hash, LOCK_OP)
MAP(lock_alloc, BPF_MAP_TYPE_HASH, locked, BPF_F_ZERO_SEED | BPF_F_NO_PREALLOC)
PROGRAM(lock_alloc, LOCK_OP)

MAP(timer_array, BPF_MAP_TYPE_ARRAY, timed, 0)
PROGRAM(timer_array, TIMER_OP)
MAP(timer_hash, BPF_MAP_TYPE_HASH, timed, BPF_F_ZERO_SEED)
PROGRAM(timer_hash, TIMER_OP)
MAP(timer_alloc, BPF_MAP_TYPE_HASH, timed, BPF_F_ZERO_SEED | BPF_F_NO_PREALLOC)
PROGRAM(timer_alloc, TIMER_OP)
MAP(timer_lru, BPF_MAP_TYPE_LRU_HASH, timed, BPF_F_ZERO_SEED)
PROGRAM(timer_lru, TIMER_OP)

MAP(work_array, BPF_MAP_TYPE_ARRAY, work, 0)
PROGRAM(work_array, WORK_OP)
MAP(work_hash, BPF_MAP_TYPE_HASH, work, BPF_F_ZERO_SEED)
PROGRAM(work_hash, WORK_OP)
