/* SPDX-License-Identifier: MIT */
/* A program that reads what maps are through its pointers to them. */
#include "bpfct.h"

BPFCT_LICENSE;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_map___k {
	enum bpf_map_type map_type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u64 map_extra;
	__u32 map_flags;
	int numa_node;
};

struct bpf_array___k {
	struct bpf_map___k map;
	__u32 elem_size;
	__u32 index_mask;
};

struct bpf_htab___k {
	struct bpf_map___k map;
	struct {
		int counter;
	} count;
	__u32 n_buckets;
	__u32 elem_size;
	__u32 hashrnd;
};

struct bpf_bloom_filter___k {
	struct bpf_map___k map;
	__u32 bitset_mask;
	__u32 hash_seed;
	__u32 nr_hash_funcs;
};

struct bpf_queue_stack___k {
	struct bpf_map___k map;
	__u32 size;
};

struct bpf_dtab___k {
	struct bpf_map___k map;
	__u32 n_buckets;
};

#pragma clang attribute pop

struct result {
	__u64 type, key, value, entries, extra, flags, node;
	__u64 own[4];
	__u64 sum;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32);
	__type(key, __u32);
	__type(value, struct result);
} results SEC(".maps");

struct bpf_map {
	__u32 id;
} __attribute__((preserve_access_index));

extern __s64 bpf_map_sum_elem_count(const struct bpf_map *map) __weak __ksym;

#define MAP(name, map_type, keysize, valuesize, entries, flags)                                 \
	struct {                                                                                \
		__uint(type, map_type);                                                         \
		__uint(max_entries, entries);                                                   \
		__uint(key_size, keysize);                                                      \
		__uint(value_size, valuesize);                                                  \
		__uint(map_flags, flags);                                                       \
	} name SEC(".maps");

MAP(plain_array, BPF_MAP_TYPE_ARRAY, 4, 5, 5, 0)
MAP(percpu_array, BPF_MAP_TYPE_PERCPU_ARRAY, 4, 13, 8, 0)
MAP(plain_hash, BPF_MAP_TYPE_HASH, 3, 17, 5, BPF_F_ZERO_SEED)
MAP(alloc_hash, BPF_MAP_TYPE_HASH, 4, 17, 5, BPF_F_ZERO_SEED | BPF_F_NO_PREALLOC)
MAP(percpu_hash, BPF_MAP_TYPE_PERCPU_HASH, 9, 17, 9, BPF_F_ZERO_SEED)
MAP(lru_hash, BPF_MAP_TYPE_LRU_HASH, 4, 8, 64, BPF_F_ZERO_SEED)
MAP(lru_own, BPF_MAP_TYPE_LRU_HASH, 4, 8, 63, BPF_F_ZERO_SEED | BPF_F_NO_COMMON_LRU)
MAP(trie, BPF_MAP_TYPE_LPM_TRIE, 8, 8, 64, BPF_F_NO_PREALLOC)
MAP(queue, BPF_MAP_TYPE_QUEUE, 0, 8, 64, 0)
MAP(bloom, BPF_MAP_TYPE_BLOOM_FILTER, 0, 8, 64, BPF_F_ZERO_SEED)
MAP(ring, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0)
MAP(devs, BPF_MAP_TYPE_DEVMAP, 4, 8, 7, 0)
MAP(devs_hash, BPF_MAP_TYPE_DEVMAP_HASH, 4, 8, 7, 0)
MAP(cpus, BPF_MAP_TYPE_CPUMAP, 4, 8, 2, 0)
MAP(socks, BPF_MAP_TYPE_XSKMAP, 4, 4, 7, 0)

static __always_inline void common(struct bpf_map___k *m, struct result *r)
{
	r->type = m->map_type;
	r->key = m->key_size;
	r->value = m->value_size;
	r->entries = m->max_entries;
	r->extra = m->map_extra;
	r->flags = m->map_flags;
	r->node = m->numa_node;
}

#define START(i)                                                                                \
	{                                                                                       \
		__u32 key = i;                                                                  \
		struct result *r = bpf_map_lookup_elem(&results, &key);                         \
		if (!r)                                                                         \
			return 1;

#define END }

#define ARRAY(i, name)                                                                          \
	START(i) struct bpf_array___k *a = (void *)&name;                                       \
	common(&a->map, r);                                                                     \
	r->own[0] = a->elem_size;                                                               \
	r->own[1] = a->index_mask;                                                              \
	END

#define HTAB(i, name)                                                                           \
	START(i) struct bpf_htab___k *h = (void *)&name;                                        \
	common(&h->map, r);                                                                     \
	r->own[0] = h->n_buckets;                                                               \
	r->own[1] = h->elem_size;                                                               \
	r->own[2] = h->hashrnd;                                                                 \
	r->own[3] = h->count.counter;                                                           \
	r->sum = bpf_map_sum_elem_count((void *)&name);                                         \
	END

#define PLAIN(i, name)                                                                          \
	START(i) common((void *)&name, r);                                                      \
	END

SEC("tc")
int read_handles(struct __sk_buff *skb)
{
	__u8 key[24] = {}, value[24] = {};

	for (int i = 0; i < 3; i++) {
		key[0] = i;
		bpf_map_update_elem(&plain_hash, key, key, 0);
		bpf_map_update_elem(&alloc_hash, key, key, 0);
		bpf_map_update_elem(&percpu_hash, key, key, 0);
		bpf_map_update_elem(&lru_hash, key, value, 0);
	}
	ARRAY(0, plain_array)
	ARRAY(1, percpu_array)
	HTAB(2, plain_hash)
	HTAB(3, alloc_hash)
	HTAB(4, percpu_hash)
	HTAB(5, lru_hash)
	HTAB(6, lru_own)
	PLAIN(7, trie)
	START(8)
	struct bpf_queue_stack___k *q = (void *)&queue;
	common(&q->map, r);
	r->own[0] = q->size;
	END
	START(9)
	struct bpf_bloom_filter___k *b = (void *)&bloom;
	common(&b->map, r);
	r->own[0] = b->bitset_mask;
	r->own[1] = b->hash_seed;
	r->own[2] = b->nr_hash_funcs;
	END
	PLAIN(10, ring)
	PLAIN(11, devs)
	START(12)
	struct bpf_dtab___k *d = (void *)&devs_hash;
	common(&d->map, r);
	r->own[0] = d->n_buckets;
	END
	PLAIN(13, cpus)
	PLAIN(14, socks)
	return 0;
}
