/* SPDX-License-Identifier: MIT */
/*
 * Interpreters of small scripts: each program performs the operations in ops
 * and records what each returned and wrote, and what the context then read.
 */
#include "bpfct.h"

BPFCT_LICENSE;

#define NOPS 8
#define DATA 64

struct op {
	u32 code;
	u32 len;
	u64 a, b, c;
	u8 data[DATA];
};

struct op ops[NOPS];
u64 results[NOPS];
u8 data_out[NOPS][DATA];
u64 fields[NOPS][16];

static __always_inline u32 size(struct op *op)
{
	u32 n = op->len;

	asm volatile("" : "+r"(n));
	if (n < 1 || n > DATA)
		n = DATA;
	return n;
}

static __always_inline u32 size_or_zero(struct op *op)
{
	u32 n = op->len;

	asm volatile("" : "+r"(n));
	if (n > DATA)
		n = DATA;
	return n;
}

static __always_inline u64 write_field(struct __sk_buff *skb, struct op *op)
{
	switch (op->a) {
	case 0: skb->mark = op->b; break;
	case 1: skb->priority = op->b; break;
	case 2: skb->tc_index = op->b; break;
	case 3: skb->tc_classid = op->b; break;
	case 4: skb->queue_mapping = (u32)op->b; break;
	case 5: skb->tstamp = op->b; break;
	case 6: skb->cb[0] = op->b; break;
	case 7: skb->cb[4] = op->b; break;
	case 8: *(volatile u8 *)((void *)skb + offsetof(struct __sk_buff, cb) + 6) = op->b; break;
	case 9: *(volatile u64 *)((void *)skb + offsetof(struct __sk_buff, cb) + 8) = op->b; break;
	}
	return 0;
}

static __always_inline u64 packet_access(struct __sk_buff *skb, struct op *op)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	u64 v;

	if (data + 24 > end)
		return -1;
	v = *(u64 *)(data + 16);
	*(u16 *)(data + 12) ^= op->a;
	return v;
}

__noinline int step(struct __sk_buff *skb, u32 i)
{
	struct op *op = &ops[i & (NOPS - 1)];
	u8 *out = data_out[i & (NOPS - 1)];
	u64 *f = fields[i & (NOPS - 1)];
	u64 r = 0;
	u32 n;

	switch (op->code) {
	case 1: r = bpf_skb_store_bytes(skb, op->a, op->data, size(op), op->b); break;
	case 2: r = bpf_skb_load_bytes(skb, op->a, out, size(op)); break;
	case 3: r = bpf_skb_load_bytes_relative(skb, op->a, out, size(op), op->b); break;
	case 4: r = bpf_skb_pull_data(skb, op->a); break;
	case 5: r = bpf_l3_csum_replace(skb, op->a, op->b, op->c, op->len); break;
	case 6: r = bpf_l4_csum_replace(skb, op->a, op->b, op->c, op->len); break;
	case 7: n = op->len; asm volatile("" : "+r"(n)); if (n > 32) n = 32;
		r = bpf_csum_diff((void *)op->data, size_or_zero(op), (void *)op->data, n, op->a); break;
	case 8: r = bpf_csum_update(skb, op->a); break;
	case 9: r = bpf_csum_level(skb, op->a); break;
	case 10: r = bpf_skb_change_head(skb, op->a, op->b); break;
	case 11: r = bpf_skb_change_tail(skb, op->a, op->b); break;
	case 12: r = bpf_skb_change_proto(skb, op->a, op->b); break;
	case 13: r = bpf_skb_change_type(skb, op->a); break;
	case 14: r = bpf_skb_adjust_room(skb, op->a, op->b, op->c); break;
	case 15: r = bpf_skb_vlan_push(skb, op->a, op->b); break;
	case 16: r = bpf_skb_vlan_pop(skb); break;
	case 17: r = bpf_set_hash(skb, op->a); break;
	case 18: bpf_set_hash_invalid(skb); break;
	case 19: r = bpf_skb_ecn_set_ce(skb); break;
	case 20: r = bpf_skb_set_tstamp(skb, op->a, op->b); break;
	case 21: r = bpf_skb_set_tunnel_key(skb, (void *)op->data, size(op), op->a); break;
	case 22: r = bpf_skb_get_tunnel_key(skb, (void *)out, size(op), op->a); break;
	case 23: r = bpf_skb_set_tunnel_opt(skb, op->data, size(op)); break;
	case 24: r = bpf_skb_get_tunnel_opt(skb, out, size(op)); break;
	case 25: r = bpf_redirect(op->a, op->b); break;
	case 26: r = bpf_redirect_peer(op->a, op->b); break;
	case 27: r = bpf_redirect_neigh(op->a, (void *)op->data, size_or_zero(op), op->b); break;
	case 28: __builtin_memcpy(out, op->data, 4);
		r = bpf_check_mtu(skb, op->a, (u32 *)out, op->b, op->c); break;
	case 29: __builtin_memcpy(out, op->data, DATA);
		r = bpf_fib_lookup(skb, (void *)out, size(op), op->a); break;
	case 30: r = bpf_clone_redirect(skb, op->a, op->b); break;
	case 31: r = write_field(skb, op); break;
	case 32: r = packet_access(skb, op); break;
	case 33: r = bpf_get_route_realm(skb); break;
	case 34: r = bpf_get_cgroup_classid(skb); break;
	case 35: r = bpf_skb_cgroup_id(skb); break;
	case 36: r = bpf_skb_ancestor_cgroup_id(skb, op->a); break;
	case 37: r = bpf_skb_cgroup_classid(skb); break;
	case 38: r = bpf_get_socket_uid(skb); break;
	}
	results[i & (NOPS - 1)] = r;
	f[0] = skb->len;
	f[1] = skb->pkt_type;
	f[2] = skb->protocol;
	f[3] = (u64)skb->vlan_present << 32 | skb->vlan_tci;
	f[4] = skb->vlan_proto;
	f[5] = (long)skb->data_end - (long)skb->data;
	f[6] = (long)skb->data - (long)skb->data_meta;
	f[7] = skb->tstamp_type;
	f[8] = (u64)skb->gso_size << 32 | skb->gso_segs;
	f[9] = (u64)skb->tc_index << 32 | skb->tc_classid;
	f[10] = (u64)skb->queue_mapping << 32 | skb->wire_len;
	f[11] = skb->hash;
	f[12] = (u64)skb->mark << 32 | skb->priority;
	f[13] = skb->tstamp;
	f[14] = skb->hwtstamp;
	f[15] = (u64)skb->cb[1] << 32 | skb->cb[2];
	return 0;
}

SEC("tc")
int run_skb(struct __sk_buff *skb)
{
	for (u32 i = 0; i < NOPS; i++)
		step(skb, i);
	return results[NOPS - 1];
}

static __always_inline u64 xdp_access(struct xdp_md *x, struct op *op)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end, *meta = (void *)(long)x->data_meta;

	if (meta + 4 <= data)
		*(u32 *)meta ^= op->b;
	if (data + 24 > end)
		return -1;
	*(u16 *)(data + 12) ^= op->a;
	return *(u64 *)(data + 16);
}

int bpf_xdp_pull_data(struct xdp_md *x, u32 len) __ksym __weak;

__noinline int xdp_step(struct xdp_md *x, u32 i)
{
	struct op *op = &ops[i & (NOPS - 1)];
	u8 *out = data_out[i & (NOPS - 1)];
	u64 *f = fields[i & (NOPS - 1)];
	u64 r = 0;

	switch (op->code) {
	case 1: r = bpf_xdp_adjust_head(x, op->a); break;
	case 2: r = bpf_xdp_adjust_meta(x, op->a); break;
	case 3: r = bpf_xdp_adjust_tail(x, op->a); break;
	case 4: r = bpf_xdp_load_bytes(x, op->a, out, size(op)); break;
	case 5: r = bpf_xdp_store_bytes(x, op->a, op->data, size(op)); break;
	case 6: r = bpf_xdp_pull_data(x, op->a); break;
	case 7: r = bpf_redirect(op->a, op->b); break;
	case 8: __builtin_memcpy(out, op->data, 4);
		r = bpf_check_mtu(x, op->a, (u32 *)out, op->b, op->c); break;
	case 9: __builtin_memcpy(out, op->data, DATA);
		r = bpf_fib_lookup(x, (void *)out, size(op), op->a); break;
	case 10: r = xdp_access(x, op); break;
	}
	results[i & (NOPS - 1)] = r;
	f[0] = bpf_xdp_get_buff_len(x);
	f[1] = (long)x->data_end - (long)x->data;
	f[2] = (long)x->data - (long)x->data_meta;
	f[3] = (u64)x->ingress_ifindex << 32 | x->rx_queue_index;
	return 0;
}

SEC("xdp.frags")
int run_xdp(struct xdp_md *x)
{
	for (u32 i = 0; i < NOPS; i++)
		xdp_step(x, i);
	return results[NOPS - 1] & 7;
}
