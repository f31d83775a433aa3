/* SPDX-License-Identifier: MIT */
/*
 * Programs that perform a list of operations on a map, as an interpreter would:
 * the test writes the operations into a map, runs a program, and reads what each
 * of them returned. There is a program for each type of map, because a program's
 * map is fixed when it is loaded.
 */
#include "bpfct.h"

BPFCT_LICENSE;

#define NOPS 64

enum {
	OP_LOOKUP,
	OP_UPDATE,
	OP_DELETE,
	OP_PERCPU,
	OP_WALK,   /* for each element; stops after .flags calls */
	OP_KEEP,   /* look up, update, and read through the old pointer */
	OP_WRITE,  /* look up and write through the pointer */
	OP_PRUNE,  /* walk and delete what the callback is given */
	OP_PUSH,
	OP_POP,
	OP_PEEK,
};

struct op {
	__u32 op;
	__u32 cpu;
	__u64 flags;
	__u8 key[8];
	__u8 value[16];
};

struct result {
	__s64 ret;
	__u8 value[16];
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

struct walk {
	__u64 left;
	__u64 sum;
	__u64 calls;
	__u32 prune;
};

static __always_inline void keep(struct result *r, const void *value)
{
	__builtin_memcpy(r->value, value, sizeof(r->value));
}

/* Order matters in the sum. */
#define WALK(name, keysize)                                                                     \
	static long name##_walk(void *map, const void *key, void *value, struct walk *w)        \
	{                                                                                       \
		__u64 k = 0;                                                                    \
		__builtin_memcpy(&k, key, keysize);                                             \
		w->sum = w->sum * 1099511628211ULL + k + *(__u64 *)value;                       \
		w->calls++;                                                                     \
		if (w->prune)                                                                   \
			bpf_map_delete_elem(map, key);                                          \
		return --w->left == 0;                                                          \
	}

#define NO_PERCPU(map, key, cpu) ((void *)0)
#define PERCPU(map, key, cpu) bpf_map_lookup_percpu_elem(map, key, cpu)

#define NO_WALK(name, r, o)
#define DO_WALK(name, r, o)                                                                     \
	{                                                                                       \
		struct walk w = {.left = o->flags, .prune = o->op == OP_PRUNE};                 \
		r->ret = bpf_for_each_map_elem(&name, name##_walk, &w, 0);                      \
		__builtin_memcpy(r->value, &w.sum, 8);                                          \
		__builtin_memcpy(r->value + 8, &w.calls, 8);                                    \
	}

#define ELEMENTS(name, percpu, walk)                                                            \
	static long name##_op(__u32 i, void *unused)                                            \
	{                                                                                       \
		struct op *o = bpf_map_lookup_elem(&ops, &i);                                   \
		struct result *r = bpf_map_lookup_elem(&results, &i);                           \
		__u8 *v;                                                                        \
                                                                                                \
		if (!o || !r)                                                                   \
			return 1;                                                               \
		switch (o->op) {                                                                \
		case OP_LOOKUP:                                                                 \
			v = bpf_map_lookup_elem(&name, o->key);                                 \
			r->ret = v != 0;                                                        \
			if (v)                                                                  \
				keep(r, v);                                                     \
			break;                                                                  \
		case OP_UPDATE:                                                                 \
			r->ret = bpf_map_update_elem(&name, o->key, o->value, o->flags);        \
			break;                                                                  \
		case OP_DELETE:                                                                 \
			r->ret = bpf_map_delete_elem(&name, o->key);                            \
			break;                                                                  \
		case OP_PERCPU:                                                                 \
			v = percpu(&name, o->key, o->cpu);                                      \
			r->ret = v != 0;                                                        \
			if (v)                                                                  \
				keep(r, v);                                                     \
			break;                                                                  \
		case OP_WALK:                                                                   \
		case OP_PRUNE:                                                                  \
			walk(name, r, o) break;                                                 \
		case OP_KEEP:                                                                   \
			v = bpf_map_lookup_elem(&name, o->key);                                 \
			r->ret = bpf_map_update_elem(&name, o->key, o->value, o->flags);        \
			if (v)                                                                  \
				keep(r, v);                                                     \
			break;                                                                  \
		case OP_WRITE:                                                                  \
			v = bpf_map_lookup_elem(&name, o->key);                                 \
			r->ret = v != 0;                                                        \
			if (v)                                                                  \
				__builtin_memcpy(v, o->value, sizeof(o->value));                \
			break;                                                                  \
		}                                                                               \
		return 0;                                                                       \
	}                                                                                       \
	SEC("tc")                                                                               \
	int on_##name(struct __sk_buff *skb)                                                    \
	{                                                                                       \
		return bpf_loop(NOPS, name##_op, 0, 0);                                         \
	}

#define MAP(name, map_type, keysize, flags)                                                     \
	struct {                                                                                \
		__uint(type, map_type);                                                         \
		__uint(max_entries, 8);                                                         \
		__uint(key_size, keysize);                                                      \
		__uint(value_size, 16);                                                         \
		__uint(map_flags, flags);                                                       \
	} name SEC(".maps");

MAP(array, BPF_MAP_TYPE_ARRAY, 4, 0)
WALK(array, 4)
ELEMENTS(array, NO_PERCPU, DO_WALK)

MAP(percpu_array, BPF_MAP_TYPE_PERCPU_ARRAY, 4, 0)
WALK(percpu_array, 4)
ELEMENTS(percpu_array, PERCPU, DO_WALK)

MAP(hash, BPF_MAP_TYPE_HASH, 8, BPF_F_ZERO_SEED)
WALK(hash, 8)
ELEMENTS(hash, NO_PERCPU, DO_WALK)

MAP(hash_alloc, BPF_MAP_TYPE_HASH, 8, BPF_F_ZERO_SEED | BPF_F_NO_PREALLOC)
WALK(hash_alloc, 8)
ELEMENTS(hash_alloc, NO_PERCPU, DO_WALK)

MAP(percpu_hash, BPF_MAP_TYPE_PERCPU_HASH, 8, BPF_F_ZERO_SEED)
WALK(percpu_hash, 8)
ELEMENTS(percpu_hash, PERCPU, DO_WALK)

MAP(percpu_hash_alloc, BPF_MAP_TYPE_PERCPU_HASH, 8, BPF_F_ZERO_SEED | BPF_F_NO_PREALLOC)
WALK(percpu_hash_alloc, 8)
ELEMENTS(percpu_hash_alloc, PERCPU, DO_WALK)

MAP(lru_hash, BPF_MAP_TYPE_LRU_HASH, 8, BPF_F_ZERO_SEED)
WALK(lru_hash, 8)
ELEMENTS(lru_hash, NO_PERCPU, DO_WALK)

MAP(lru_own, BPF_MAP_TYPE_LRU_HASH, 8, BPF_F_ZERO_SEED | BPF_F_NO_COMMON_LRU)
WALK(lru_own, 8)
ELEMENTS(lru_own, NO_PERCPU, DO_WALK)

MAP(lru_percpu, BPF_MAP_TYPE_LRU_PERCPU_HASH, 8, BPF_F_ZERO_SEED)
WALK(lru_percpu, 8)
ELEMENTS(lru_percpu, PERCPU, DO_WALK)

MAP(lpm, BPF_MAP_TYPE_LPM_TRIE, 8, BPF_F_NO_PREALLOC)
ELEMENTS(lpm, NO_PERCPU, NO_WALK)

#define PUSHES(name, do_pop)                                                                    \
	static long name##_op(__u32 i, void *unused)                                            \
	{                                                                                       \
		struct op *o = bpf_map_lookup_elem(&ops, &i);                                   \
		struct result *r = bpf_map_lookup_elem(&results, &i);                           \
		__u8 v[16];                                                                     \
                                                                                                \
		if (!o || !r)                                                                   \
			return 1;                                                               \
		__builtin_memcpy(v, o->value, sizeof(v));                                       \
		switch (o->op) {                                                                \
		case OP_PUSH:                                                                   \
			r->ret = bpf_map_push_elem(&name, v, o->flags);                         \
			break;                                                                  \
		case OP_POP:                                                                    \
			do_pop(name, r, v) break;                                               \
		case OP_PEEK:                                                                   \
			r->ret = bpf_map_peek_elem(&name, v);                                   \
			keep(r, v);                                                             \
			break;                                                                  \
		}                                                                               \
		return 0;                                                                       \
	}                                                                                       \
	SEC("tc")                                                                               \
	int on_##name(struct __sk_buff *skb)                                                    \
	{                                                                                       \
		return bpf_loop(NOPS, name##_op, 0, 0);                                         \
	}

#define NO_POP(name, r, v)
#define DO_POP(name, r, v)                                                                      \
	r->ret = bpf_map_pop_elem(&name, v);                                                    \
	keep(r, v);

MAP(queue, BPF_MAP_TYPE_QUEUE, 0, 0)
PUSHES(queue, DO_POP)

MAP(stack, BPF_MAP_TYPE_STACK, 0, 0)
PUSHES(stack, DO_POP)

MAP(bloom, BPF_MAP_TYPE_BLOOM_FILTER, 0, BPF_F_ZERO_SEED)
PUSHES(bloom, NO_POP)
