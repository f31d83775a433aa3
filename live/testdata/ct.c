/* SPDX-License-Identifier: MIT */
/* One conntrack entry as the variables say, made by tc or by XDP, and looked up again. */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

/* What to make. Addresses and ports are in network order. */
struct bpf_sock_tuple tuple;
u32 tuple_size = sizeof(tuple.ipv4);
struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
u32 timeout_ms = 60000;
u32 status;
u32 mark;
union nf_inet_addr snat;
int snat_port;

/* What came of it. */
s32 error;
u32 got_status;
u32 got_mark;
u32 got_use;


static __always_inline int finish(struct nf_conn___init *new, struct bpf_ct_opts *o)
{
	struct nf_conn *ct;

	error = o->error;
	if (!new)
		return 1;
	bpf_ct_set_timeout(new, timeout_ms);
	if (snat_port) {
		union nf_inet_addr addr = snat;

		bpf_ct_set_nat_info(new, &addr, snat_port, NF_NAT_MANIP_SRC);
	}
	if (status)
		bpf_ct_set_status(new, status);
	new->ct.mark = mark;
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return 2;
	got_status = ct->status;
	got_mark = ct->mark;
	got_use = ct->ct_general.use.refs.counter;
	bpf_ct_release(ct);
	return 0;
}

SEC("tc")
int insert_tc(struct __sk_buff *skb)
{
	struct bpf_sock_tuple t = tuple;
	struct bpf_ct_opts o = opts;
	struct nf_conn___init *new;

	if (tuple_size == sizeof(t.ipv6))
		new = bpf_skb_ct_alloc(skb, &t, sizeof(t.ipv6), &o, sizeof(o));
	else
		new = bpf_skb_ct_alloc(skb, &t, sizeof(t.ipv4), &o, sizeof(o));
	return finish(new, &o);
}

SEC("xdp")
int insert_xdp(struct xdp_md *xdp)
{
	struct bpf_sock_tuple t = tuple;
	struct bpf_ct_opts o = opts;
	struct nf_conn___init *new;

	if (tuple_size == sizeof(t.ipv6))
		new = bpf_xdp_ct_alloc(xdp, &t, sizeof(t.ipv6), &o, sizeof(o));
	else
		new = bpf_xdp_ct_alloc(xdp, &t, sizeof(t.ipv4), &o, sizeof(o));
	return finish(new, &o);
}

SEC("tc")
int lookup_tc(struct __sk_buff *skb)
{
	struct bpf_sock_tuple t = tuple;
	struct bpf_ct_opts o = opts;
	struct nf_conn *ct;

	ct = bpf_skb_ct_lookup(skb, &t, sizeof(t.ipv4), &o, sizeof(o));
	error = o.error;
	if (!ct)
		return 1;
	got_status = ct->status;
	got_mark = ct->mark;
	bpf_ct_release(ct);
	return 0;
}

/* A reference that is never released: the verifier must refuse it. */
SEC("tc")
int leak(struct __sk_buff *skb)
{
	struct bpf_sock_tuple t = tuple;
	struct bpf_ct_opts o = opts;

	return !bpf_skb_ct_lookup(skb, &t, sizeof(t.ipv4), &o, sizeof(o));
}
