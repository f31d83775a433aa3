//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * What the documentation's example does, in its order: each fault once, then an
 * entry with both translations that is found and changed. Its options are of its
 * own type, of 12 bytes, whose members are relocated to where the kernel's are:
 * those of `reserved` lie behind these 12 today.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

struct bpf_ct_opts___local {
	s32 netns_id;
	s32 error;
	u8 l4proto;
	u8 reserved[3];
} __attribute__((preserve_access_index));

#define LOCAL_ALLOC(ctx, tuple, size, opts, opts_size) \
	bpf_skb_ct_alloc(ctx, tuple, size, (struct bpf_ct_opts *)(opts), opts_size)
#define LOCAL_LOOKUP(ctx, tuple, size, opts, opts_size) \
	bpf_skb_ct_lookup(ctx, tuple, size, (struct bpf_ct_opts *)(opts), opts_size)

extern int CONFIG_HZ __kconfig;

int alloc_entry = -22;
int insert_entry = -97;
int succ_lookup = -2;
int delta_timeout = 0;
u32 status = 0;
u32 insert_lookup_mark = 0;
int snat_addr = -22;
int dnat_addr = -22;
int exist_lookup = -2;
int einval_bpf_tuple = 0;
int einval_reserved = 0;
int einval_netns_id = 0;
int einval_len_opts = 0;
int eproto_l4proto = 0;
int enonet_netns_id = 0;
int enoent_lookup = 0;
int eafnosupport = 0;

static __always_inline int fault(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, u32 size,
				 struct bpf_ct_opts___local *opts, u32 opts_size)
{
	struct nf_conn *ct = LOCAL_LOOKUP(skb, tuple, size, opts, opts_size);

	if (ct) {
		bpf_ct_release(ct);
		return 0;
	}
	return opts->error;
}

static __always_inline void faults(struct __sk_buff *skb)
{
	/* Room behind it: the store to reserved goes there. */
	struct {
		struct bpf_ct_opts___local opts;
		u32 behind;
	} o = {.opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP}};
	struct bpf_ct_opts___local *opts = &o.opts;
	struct bpf_sock_tuple tuple = {};

	einval_bpf_tuple = fault(skb, NULL, 0, opts, 12);
	opts->reserved[0] = 1;
	einval_reserved = fault(skb, &tuple, sizeof(tuple.ipv4), opts, 12);
	opts->reserved[0] = 0;
	opts->netns_id = -2;
	einval_netns_id = fault(skb, &tuple, sizeof(tuple.ipv4), opts, 12);
	opts->netns_id = BPF_F_CURRENT_NETNS;
	einval_len_opts = fault(skb, &tuple, sizeof(tuple.ipv4), opts, 11);
	opts->l4proto = IPPROTO_ICMP;
	eproto_l4proto = fault(skb, &tuple, sizeof(tuple.ipv4), opts, 12);
	opts->l4proto = IPPROTO_TCP;
	opts->netns_id = 0xf00f;
	enonet_netns_id = fault(skb, &tuple, sizeof(tuple.ipv4), opts, 12);
	opts->netns_id = BPF_F_CURRENT_NETNS;
	enoent_lookup = fault(skb, &tuple, sizeof(tuple.ipv4), opts, 12);
	eafnosupport = fault(skb, &tuple, sizeof(tuple.ipv4) - 1, opts, 12);
}

static __always_inline void entry(struct __sk_buff *skb)
{
	struct bpf_ct_opts___local opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct bpf_sock_tuple tuple = {.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1000), bpf_htons(80)}};
	union nf_inet_addr snat = {.ip = bpf_htonl(0x05050505)}, dnat = {.ip = bpf_htonl(0x06060606)};
	struct nf_conn___init *in;
	struct nf_conn *ct, *found;
	int err;

	in = LOCAL_ALLOC(skb, &tuple, sizeof(tuple.ipv4), &opts, 12);
	if (!in)
		return;
	alloc_entry = 0;
	bpf_ct_set_timeout(in, 10000);
	((struct nf_conn *)in)->mark = 77;
	err = bpf_ct_set_nat_info(in, &snat, 1234, NF_NAT_MANIP_SRC);
	if (!err)
		err = bpf_ct_set_nat_info(in, &dnat, 4321, NF_NAT_MANIP_DST);
	ct = bpf_ct_insert_entry(in);
	if (!ct || err) {
		if (ct)
			bpf_ct_release(ct);
		return;
	}
	insert_entry = 0;
	if (ct->tuplehash[1].tuple.dst.u3.ip == snat.ip)
		snat_addr = 0;
	if (ct->tuplehash[1].tuple.src.u3.ip == dnat.ip)
		dnat_addr = 0;
	found = LOCAL_LOOKUP(skb, &tuple, sizeof(tuple.ipv4), &opts, 12);
	if (found) {
		u64 now = bpf_jiffies64();

		succ_lookup = 0;
		bpf_ct_change_timeout(found, 10000);
		delta_timeout = (found->timeout - (u32)now) / CONFIG_HZ;
		insert_lookup_mark = found->mark;
		bpf_ct_change_status(found, IPS_CONFIRMED | IPS_SEEN_REPLY);
		status = found->status;
		bpf_ct_release(found);
	}
	bpf_ct_release(ct);
}

SEC("tc")
int example(struct __sk_buff *skb)
{
	struct bpf_ct_opts___local opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct bpf_sock_tuple tuple = {.ipv4 = {bpf_htonl(0x01010101), bpf_htonl(0x02020202), bpf_htons(1000), bpf_htons(2000)}};

	exist_lookup = fault(skb, &tuple, sizeof(tuple.ipv4), &opts, 12);
	faults(skb);
	entry(skb);
	return 0;
}
