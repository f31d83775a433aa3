/* SPDX-License-Identifier: MIT */
/*
 * Connection tracking for tc and XDP programs: the eleven kernel functions and
 * the types they take.
 *
 * struct bpf_ct_opts is the caller's and has a fixed layout, so it is declared
 * as it is. The types of the kernel (struct nf_conn and what it holds) are
 * declared with only the members that programs read; where these are is
 * resolved against the kernel's BTF when the program is loaded.
 */
#ifndef BPFCT_CONNTRACK_H
#define BPFCT_CONNTRACK_H

#include "bpfct.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>

/* In: netns_id, l4proto, the zone. Out: error, dir. Kernels before 6.14 know 12 bytes only. */
struct bpf_ct_opts {
	s32 netns_id;     /*  0: BPF_F_CURRENT_NETNS or an id */
	s32 error;        /*  4: negative errno, written on failure only */
	u8 l4proto;       /*  8: IPPROTO_TCP or IPPROTO_UDP */
	u8 dir;           /*  9: IP_CT_DIR_* of the tuple that was found */
	u16 ct_zone_id;   /* 10 */
	u8 ct_zone_dir;   /* 12: a set of 1 << IP_CT_DIR_*; 0 is both */
	u8 reserved[3];   /* 13 */
};

#define BPFCT_OPTS_SZ 16
#define BPFCT_OPTS_SZ_OLD 12

#define BPFCT_CORE __attribute__((preserve_access_index))

typedef struct {
	int counter;
} BPFCT_CORE atomic_t;

typedef struct refcount_struct {
	atomic_t refs;
} BPFCT_CORE refcount_t;

struct nf_conntrack {
	refcount_t use;
} BPFCT_CORE;

struct nf_conntrack_zone {
	u16 id;
	u8 flags;
	u8 dir;
} BPFCT_CORE;

union nf_conntrack_man_proto {
	__be16 all;
} BPFCT_CORE;

struct nf_conntrack_man {
	union nf_inet_addr u3;
	union nf_conntrack_man_proto u;
	u16 l3num;
} BPFCT_CORE;

struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct {
		union nf_inet_addr u3;
		union {
			__be16 all;
		} u;
		u8 protonum;
		u8 dir;
	} dst;
} BPFCT_CORE;

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
} BPFCT_CORE;

struct nf_conn {
	struct nf_conntrack ct_general;
	u32 timeout;
	struct nf_conntrack_zone zone;
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	u32 mark;
} BPFCT_CORE;

/* An entry that bpf_*_ct_alloc made and bpf_ct_insert_entry has not yet put into the table. */
struct nf_conn___init {
	struct nf_conn ct;
} BPFCT_CORE;

/* Directions, as in opts.dir. */
#define BPFCT_DIR_ORIGINAL 0
#define BPFCT_DIR_REPLY 1

enum nf_nat_manip_type {
	NF_NAT_MANIP_SRC,
	NF_NAT_MANIP_DST,
};

struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *skb_ctx, struct bpf_sock_tuple *bpf_tuple,
					u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz) __ksym;
struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb_ctx, struct bpf_sock_tuple *bpf_tuple,
				  u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz) __ksym;
struct nf_conn___init *bpf_xdp_ct_alloc(struct xdp_md *xdp_ctx, struct bpf_sock_tuple *bpf_tuple,
					u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz) __ksym;
struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *xdp_ctx, struct bpf_sock_tuple *bpf_tuple,
				  u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz) __ksym;
struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *nfct) __ksym;
void bpf_ct_release(struct nf_conn *nfct) __ksym;
void bpf_ct_set_timeout(struct nf_conn___init *nfct, u32 timeout) __ksym;
int bpf_ct_change_timeout(struct nf_conn *nfct, u32 timeout) __ksym;
int bpf_ct_set_status(const struct nf_conn___init *nfct, u32 status) __ksym;
int bpf_ct_change_status(struct nf_conn *nfct, u32 status) __ksym;
int bpf_ct_set_nat_info(struct nf_conn___init *nfct, union nf_inet_addr *addr, int port,
			enum nf_nat_manip_type manip) __ksym;

#endif
