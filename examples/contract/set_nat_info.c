//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * bpf_ct_set_nat_info: translation, decided before the connection is inserted. The source
 * becomes 192.0.2.1 with a port that is free, the destination 198.51.100.9 port 8080; the
 * tuple of the answers follows, that of the connection stays. Each of the two may be set once.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

int source = -1, destination = -1;
__u64 status = 0;
struct ends {
	__u32 src, dst;
	__u16 sport, dport;
} reply = {}; /* of the answers, in host order */

SEC("tc")
int set_nat_info_tc(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(1000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	union nf_inet_addr outside = {.ip = bpf_htonl(0xc0000201)}, inside = {.ip = bpf_htonl(0xc6336409)};
	struct nf_conn___init *new;
	struct nf_conn *ct;

	new = bpf_skb_ct_alloc(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return TC_ACT_SHOT;
	source = bpf_ct_set_nat_info(new, &outside, 0, NF_NAT_MANIP_SRC);
	destination = bpf_ct_set_nat_info(new, &inside, 8080, NF_NAT_MANIP_DST);
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return TC_ACT_SHOT;
	status = ct->status;
	reply.src = bpf_ntohl(ct->tuplehash[1].tuple.src.u3.ip);
	reply.dst = bpf_ntohl(ct->tuplehash[1].tuple.dst.u3.ip);
	reply.sport = bpf_ntohs(ct->tuplehash[1].tuple.src.u.all);
	reply.dport = bpf_ntohs(ct->tuplehash[1].tuple.dst.u.all);
	bpf_ct_release(ct);
	return TC_ACT_OK;
}

SEC("xdp")
int set_nat_info_xdp(struct xdp_md *md)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {bpf_htonl(0x0a000001), bpf_htonl(0x0a000002), bpf_htons(2000), bpf_htons(80)},
	};
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	union nf_inet_addr outside = {.ip = bpf_htonl(0xc0000201)}, inside = {.ip = bpf_htonl(0xc6336409)};
	struct nf_conn___init *new;
	struct nf_conn *ct;

	new = bpf_xdp_ct_alloc(md, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!new)
		return XDP_DROP;
	source = bpf_ct_set_nat_info(new, &outside, 0, NF_NAT_MANIP_SRC);
	destination = bpf_ct_set_nat_info(new, &inside, 8080, NF_NAT_MANIP_DST);
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return XDP_DROP;
	status = ct->status;
	reply.src = bpf_ntohl(ct->tuplehash[1].tuple.src.u3.ip);
	reply.dst = bpf_ntohl(ct->tuplehash[1].tuple.dst.u3.ip);
	reply.sport = bpf_ntohs(ct->tuplehash[1].tuple.src.u.all);
	reply.dport = bpf_ntohs(ct->tuplehash[1].tuple.dst.u.all);
	bpf_ct_release(ct);
	return XDP_PASS;
}
