/* SPDX-License-Identifier: MIT */
/* Reads the kernel's own structs behind the context. */
#include "bpfct.h"
#include <bpf/bpf_core_read.h>

BPFCT_LICENSE;

struct net {
	u64 net_cookie;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	u32 flags;
	u32 mtu;
	u16 hard_header_len;
	int ifindex;
	char name[16];
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

struct sock_common {
	u16 skc_family;
	u8 skc_state;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
} __attribute__((preserve_access_index));

struct skb_shared_info {
	u8 meta_len;
	u8 nr_frags;
	u16 gso_size;
	u16 gso_segs;
} __attribute__((preserve_access_index));

struct sk_buff {
	struct sock *sk;
	struct net_device *dev;
	u32 len, data_len;
	u16 mac_len;
	u8 pkt_type:3;
	u8 ip_summed:2;
	u8 encapsulation:1;
	u32 priority, mark, hash;
	int skb_iif;
	u16 vlan_proto, vlan_tci;
	u16 queue_mapping, tc_index;
	u16 protocol, transport_header, network_header, mac_header;
	u64 tstamp;
	u32 tail, end;
	unsigned char *head, *data;
} __attribute__((preserve_access_index));

struct xdp_rxq_info {
	struct net_device *dev;
	u32 queue_index;
} __attribute__((preserve_access_index));

struct xdp_buff {
	void *data, *data_end, *data_meta, *data_hard_start;
	struct xdp_rxq_info *rxq;
	u32 frame_sz, flags;
} __attribute__((preserve_access_index));

extern void *bpf_cast_to_kern_ctx(void *obj) __ksym;
extern void *bpf_rdonly_cast(const void *obj, u32 btf_id) __ksym;

u64 ops[8 * 12];
u64 results[8];
u8 data_out[8][64];
u64 fields[8][16];

static __always_inline void device(struct net_device *dev, u64 *f, u8 *out)
{
	f[0] = dev->ifindex;
	f[1] = dev->mtu;
	f[2] = dev->hard_header_len;
	f[3] = dev->flags & 9;
	for (int i = 0; i < 16; i++) {
		out[i] = dev->name[i];
		if (!out[i])
			break;
	}
}

static __noinline int look(struct __sk_buff *ctx, u32 at)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(ctx);
	u64 *f = fields[at & 7], *g = fields[(at + 1) & 7];
	struct skb_shared_info *info;
	struct sock *sk;

	device(skb->dev, g, data_out[at & 7]);
	g[4] = skb->dev->nd_net.net->net_cookie == bpf_get_netns_cookie(ctx);
	sk = skb->sk;
	if (sk) {
		g[5] = sk->__sk_common.skc_state;
		g[6] = sk->__sk_common.skc_family;
	}
	info = bpf_rdonly_cast(skb->head + skb->end, bpf_core_type_id_kernel(struct skb_shared_info));
	g[7] = info->nr_frags;
	g[8] = info->gso_size;
	g[9] = info->gso_segs;
	g[10] = info->meta_len;
	f[0] = skb->len;
	f[1] = skb->data_len;
	f[2] = skb->mac_len;
	f[3] = skb->protocol;
	f[4] = BPF_CORE_READ_BITFIELD(skb, pkt_type);
	f[5] = BPF_CORE_READ_BITFIELD(skb, ip_summed);
	f[6] = BPF_CORE_READ_BITFIELD(skb, encapsulation);
	f[7] = (u64)skb->priority << 32 | skb->mark;
	f[8] = skb->skb_iif;
	f[9] = (u64)skb->vlan_proto << 32 | skb->vlan_tci;
	f[10] = (u64)skb->queue_mapping << 32 | skb->tc_index;
	f[11] = skb->network_header - skb->mac_header;
	f[12] = skb->transport_header;
	f[13] = skb->tstamp;
	f[14] = skb->data == (void *)(long)ctx->data;
	f[15] = skb->hash;
	return 0;
}

SEC("tc")
int cast_skb(struct __sk_buff *ctx)
{
	look(ctx, 0);
	ctx->mark = 7;
	bpf_skb_vlan_push(ctx, bpf_htons(0x8100), 5);
	ctx->queue_mapping = 3;
	bpf_skb_vlan_push(ctx, bpf_htons(0x88a8), 6);
	bpf_set_hash(ctx, 99);
	look(ctx, 2);
	bpf_skb_change_tail(ctx, 200, 0);
	look(ctx, 4);
	return 0;
}

static __noinline int look_xdp(struct xdp_md *ctx, u32 at)
{
	struct xdp_buff *x = bpf_cast_to_kern_ctx(ctx);
	u64 *f = fields[at & 7], *g = fields[(at + 1) & 7];

	device(x->rxq->dev, g, data_out[at & 7]);
	f[0] = x->data_end - x->data;
	f[1] = x->data - x->data_meta;
	f[2] = x->data - x->data_hard_start;
	f[3] = x->frame_sz;
	f[4] = x->flags & 1;
	f[5] = x->rxq->queue_index;
	return 0;
}

SEC("xdp.frags")
int cast_xdp(struct xdp_md *ctx)
{
	look_xdp(ctx, 0);
	bpf_xdp_adjust_head(ctx, -20);
	look_xdp(ctx, 2);
	bpf_xdp_adjust_meta(ctx, -8);
	look_xdp(ctx, 4);
	return 0;
}
