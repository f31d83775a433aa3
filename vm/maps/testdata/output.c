/* SPDX-License-Identifier: MIT */
/*
 * Programs that write to ring buffers and perf rings, with operations from a map
 * as in ops.c.
 */
#include "bpfct.h"

BPFCT_LICENSE;

#define NOPS 32
#define DATA 256

enum {
	OP_OUTPUT,
	OP_SUBMIT,  /* reserve and submit */
	OP_DISCARD, /* reserve and discard */
	OP_QUERY,
	OP_PERF,
	OP_BIG,   /* reserve a size that only large rings have, and submit */
	OP_TWO,   /* reserve two records and submit the second first */
};

struct op {
	__u32 op;
	__u32 size;
	__u64 flags;
	__u64 reserve_flags;
	__u8 data[DATA];
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
	__type(value, __s64);
} results SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} events SEC(".maps");

struct sample {
	__u64 a[5];
};

struct big {
	__u8 a[2040];
};

static __always_inline long perform(void *ctx, __u32 i)
{
	struct op *o = bpf_map_lookup_elem(&ops, &i);
	__s64 *r = bpf_map_lookup_elem(&results, &i);
	struct sample *s, *t;
	struct big *b;

	if (!o || !r)
		return 1;
	switch (o->op) {
	case OP_OUTPUT:
		*r = bpf_ringbuf_output(&ring, o->data, o->size & (DATA - 1), o->flags);
		break;
	case OP_SUBMIT:
	case OP_DISCARD:
		s = bpf_ringbuf_reserve(&ring, sizeof(*s), o->reserve_flags);
		*r = s != 0;
		if (!s)
			break;
		__builtin_memcpy(s, o->data, sizeof(*s));
		if (o->op == OP_SUBMIT)
			bpf_ringbuf_submit(s, o->flags);
		else
			bpf_ringbuf_discard(s, o->flags);
		break;
	case OP_QUERY:
		*r = bpf_ringbuf_query(&ring, o->flags);
		break;
	case OP_PERF:
		*r = bpf_perf_event_output(ctx, &events, o->flags, o->data, o->size & (DATA - 1));
		break;
	case OP_BIG:
		b = bpf_ringbuf_reserve(&ring, sizeof(*b), 0);
		*r = b != 0;
		if (!b)
			break;
		__builtin_memset(b->a, 0, 64);
		b->a[0] = o->data[0];
		bpf_ringbuf_submit(b, o->flags);
		break;
	case OP_TWO:
		s = bpf_ringbuf_reserve(&ring, sizeof(*s), 0);
		t = bpf_ringbuf_reserve(&ring, sizeof(*t), 0);
		*r = (s != 0) + 2 * (t != 0);
		if (t) {
			__builtin_memcpy(t, o->data, sizeof(*t));
			bpf_ringbuf_submit(t, o->flags);
		}
		if (s) {
			__builtin_memcpy(s, o->data + 8, sizeof(*s));
			bpf_ringbuf_submit(s, o->flags);
		}
		break;
	}
	return 0;
}

SEC("tc")
int tc_output(struct __sk_buff *skb)
{
	for (__u32 i = 0; i < NOPS; i++)
		if (perform(skb, i))
			break;
	return 0;
}

SEC("xdp")
int xdp_output(struct xdp_md *xdp)
{
	for (__u32 i = 0; i < NOPS; i++)
		if (perform(xdp, i))
			break;
	return 0;
}
