//go:build ignore

/* SPDX-License-Identifier: MIT */
#include "bpfct.h"

BPFCT_LICENSE;

#define MAP(name) struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u32); } name SEC(".maps");
#define EIGHT(f, p) f(p##0) f(p##1) f(p##2) f(p##3) f(p##4) f(p##5) f(p##6) f(p##7)
#define READ(name) { u32 key = 0, *v = bpf_map_lookup_elem(&name, &key); if (v) sum += *v; }

EIGHT(MAP, a) EIGHT(MAP, b) EIGHT(MAP, c) EIGHT(MAP, d) EIGHT(MAP, e) EIGHT(MAP, f) EIGHT(MAP, g) EIGHT(MAP, h)
MAP(one_more)

SEC("tc")
int read_all(struct __sk_buff *skb)
{
	u32 sum = 0;

	EIGHT(READ, a) EIGHT(READ, b) EIGHT(READ, c) EIGHT(READ, d) EIGHT(READ, e) EIGHT(READ, f) EIGHT(READ, g) EIGHT(READ, h)
	READ(one_more)
	return sum & 1;
}
