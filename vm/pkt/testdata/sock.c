/* SPDX-License-Identifier: MIT */
/*
 * Looks sockets up and records what is seen of them. The arrays are those of
 * ops.c.
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

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	u32 skc_daddr;
	u16 skc_num;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
} __attribute__((preserve_access_index));

struct inet_sock {
	struct sock sk;
} __attribute__((preserve_access_index));

struct inet_connection_sock {
	struct inet_sock icsk_inet;
} __attribute__((preserve_access_index));

struct tcp_sock {
	struct inet_connection_sock inet_conn;
} __attribute__((preserve_access_index));

static __always_inline void full(struct bpf_sock *sk, u64 *f, u8 *out)
{
	u32 *w = (u32 *)out;

	f[0] = sk->family;
	f[1] = sk->type;
	f[2] = sk->protocol;
	f[3] = sk->state;
	f[4] = sk->bound_dev_if;
	f[5] = sk->mark;
	f[6] = sk->priority;
	f[7] = sk->src_port;
	f[8] = sk->dst_port;
	w[0] = sk->src_ip4;
	w[1] = sk->dst_ip4;
	if (sk->family == 10) {
		w[2] = sk->src_ip6[0];
		w[3] = sk->src_ip6[1];
		w[4] = sk->src_ip6[2];
		w[5] = sk->src_ip6[3];
		w[6] = sk->dst_ip6[0];
		w[7] = sk->dst_ip6[1];
		w[8] = sk->dst_ip6[2];
		w[9] = sk->dst_ip6[3];
	}
}

/* In assembly, so that loads through pointers of different types stay apart. */
static __always_inline u64 state(struct bpf_sock *sk)
{
	u64 v;

	asm volatile("%0 = *(u32 *)(%1 + 72)" : "=r"(v) : "r"(sk));
	return v;
}

static __always_inline int look(void *ctx, u32 i, bool tc)
{
	struct op *op = &ops[i & (NOPS - 1)];
	u8 *out = data_out[i & (NOPS - 1)];
	u64 *f = fields[i & (NOPS - 1)];
	struct bpf_sock_tuple tuple;
	struct bpf_sock *sk = NULL;
	u32 n = op->len;

	__builtin_memcpy(&tuple, op->data, sizeof(tuple));
	asm volatile("" : "+r"(n));
	if (n > sizeof(tuple))
		n = sizeof(tuple);
	switch (op->code) {
	case 1:
		sk = bpf_sk_lookup_tcp(ctx, &tuple, n, op->a, op->b);
		if (!sk)
			return 0;
		f[9] = state(sk);
		break;
	case 2:
		sk = bpf_sk_lookup_udp(ctx, &tuple, n, op->a, op->b);
		if (!sk)
			return 0;
		f[9] = state(sk);
		break;
	case 3:
		sk = bpf_skc_lookup_tcp(ctx, &tuple, n, op->a, op->b);
		if (!sk)
			return 0;
		f[9] = state(sk);
		break;
	default:
		return 0;
	}
	results[i & (NOPS - 1)] = 1;
	if (tc) {
		struct bpf_sock *other = bpf_sk_fullsock(sk);

		if (other) {
			f[10] = 1;
			full(other, f, out);
		}
		f[11] = bpf_tcp_sock(sk) != NULL;
		f[12] = bpf_get_listener_sock(sk) != NULL;
	}
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (tp) {
		f[13] = (u64)tp->inet_conn.icsk_inet.sk.sk_protocol << 32 |
			(u64)tp->inet_conn.icsk_inet.sk.__sk_common.skc_family << 16 |
			tp->inet_conn.icsk_inet.sk.__sk_common.skc_num;
		f[15] = tp->inet_conn.icsk_inet.sk.__sk_common.skc_daddr;
	}
	f[14] = (bpf_skc_to_tcp6_sock(sk) != NULL) | (bpf_skc_to_udp6_sock(sk) != NULL) << 1 |
		(bpf_skc_to_tcp_timewait_sock(sk) != NULL) << 2 | (bpf_skc_to_tcp_request_sock(sk) != NULL) << 3;
	if (tc)
		results[i & (NOPS - 1)] = (u64)bpf_sk_assign(ctx, sk, op->c);
	bpf_sk_release(sk);
	return 0;
}

static __noinline int look_tc(struct __sk_buff *skb, u32 i)
{
	return look(skb, i, true);
}

static __noinline int look_xdp(struct xdp_md *x, u32 i)
{
	return look(x, i, false);
}

SEC("tc")
int run_skb(struct __sk_buff *skb)
{
	for (u32 i = 0; i < NOPS; i++)
		look_tc(skb, i);
	return 0;
}

SEC("xdp")
int run_xdp(struct xdp_md *x)
{
	for (u32 i = 0; i < NOPS; i++)
		look_xdp(x, i);
	return 0;
}

SEC("tc")
int own_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk, *whole;
	u64 *f = fields[0];

	if (!sk)
		return 1;
	f[9] = sk->rx_queue_mapping;
	whole = bpf_sk_fullsock(sk);
	if (whole)
		full(whole, f, data_out[0]);
	f[11] = bpf_tcp_sock(sk) != NULL;
	f[12] = bpf_get_listener_sock(sk) != NULL;
	return 0;
}

/* The programs below check themselves; the test gives the packet. */

int cookie_check, wrong_check;
u64 cookie;

SEC("tc")
int cookies(struct __sk_buff *skb)
{
	struct iphdr ip;
	struct tcphdr th;

	if (bpf_skb_load_bytes(skb, 14, &ip, sizeof(ip)) || bpf_skb_load_bytes(skb, 34, &th, sizeof(th)))
		return 1;
	cookie = bpf_tcp_raw_gen_syncookie_ipv4(&ip, &th, sizeof(th));
	th.ack_seq = bpf_htonl((u32)cookie + 1);
	th.seq = bpf_htonl(bpf_ntohl(th.seq) + 1);
	cookie_check = bpf_tcp_raw_check_syncookie_ipv4(&ip, &th);
	th.source ^= 1;
	wrong_check = bpf_tcp_raw_check_syncookie_ipv4(&ip, &th);
	return 0;
}
