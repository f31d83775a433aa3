//go:build ignore

/* SPDX-License-Identifier: MIT */
/*
 * A NAT gateway for a router with one inside and one outside interface, built on
 * the kernel's connection tracking.
 *
 *   nat_egress   tc egress of the outside interface: gives packets of inside
 *                hosts an address of the pool, port kept where it is free
 *   nat_ingress  tc ingress of the outside interface: gives the answers back,
 *                and opens port forwards
 *
 * IPv4 and IPv6, TCP and UDP, ICMP errors about either (outer and quoted
 * packet translated, with every checksum that is there), hairpin: an inside host
 * reaches a forwarded port by the pool's address. The table of connections is the
 * namespace's own, so that `conntrack -L` shows every translation; the mark of an
 * entry is the gateway's.
 *
 * The kernel's functions track TCP and UDP only: ICMP echo and other protocols
 * pass as they are, for another part of the router to translate or to drop. Of a
 * fragmented packet only the first fragment has ports, the others are dropped.
 *
 * No zones are used, so struct bpf_ct_opts is passed in the size that every
 * kernel takes.
 */
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

#define AF_INET 2
#define AF_INET6 10

/* Addresses are four words in network order, IPv4 in the first of them. */
struct address {
	__be32 word[4];
};

/* Set before the program is loaded. An address family without a pool is left alone. */
const volatile struct address pool4;      /* first address of the pool */
const volatile u32 pool4_count;           /* addresses in it; 0 for none */
const volatile struct address inside4;    /* network behind the gateway */
const volatile u32 inside4_bits;          /* length of its prefix */
const volatile struct address pool6;
const volatile u32 pool6_count;
const volatile struct address inside6;
const volatile u32 inside6_bits;
const volatile u32 inside_ifindex;        /* where hairpin traffic goes back to; 0 for none */
const volatile u32 new_timeout_ms = 30000;    /* of an entry until the other side answers */
const volatile u32 udp_timeout_ms = 120000;   /* of an answered UDP entry */
const volatile u32 tcp_timeout_ms = 432000000; /* of an answered TCP entry */
const volatile u32 close_timeout_ms = 10000;  /* of a TCP entry after FIN or RST, counted from its last packet */

/* The mark of an entry that has seen FIN or RST. */
#define MARK_CLOSING 1

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* A port of the pool's first address that leads to an inside host. */
struct forward_key {
	u8 family; /* AF_INET or AF_INET6 */
	u8 proto;
	__be16 port;
};

struct forward {
	struct address addr;
	__be16 port;
	u16 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct forward_key);
	__type(value, struct forward);
} forwards SEC(".maps");

/* What became of packets, one counter for each of enum outcome. */
enum outcome {
	PASSED,       /* none of the gateway's business */
	TRANSLATED,   /* of a known connection */
	OPENED,       /* first of a connection */
	ICMP_ERROR,   /* an error about a known connection */
	UNSOLICITED,  /* for the pool, of no connection: dropped */
	EXHAUSTED,    /* no free port: dropped */
	MALFORMED,    /* cut off, or a fragment without ports: dropped */
	OUTCOMES,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, u32);
	__type(value, u64);
} outcomes SEC(".maps");

struct endpoint {
	struct address addr;
	__be16 port;
	u16 pad;
};

struct flow {
	struct endpoint src, dst;
};

/* Where things stand in a packet, as offsets from its start. */
struct place {
	u32 l3, l4;
	u8 family, proto;
	u8 tcp_flags;
	u8 quoted; /* an ICMP error: the connection is that of the quoted packet */
	u32 inner_l3, inner_l4;
	u8 inner_proto;
};

static __always_inline int done(enum outcome what, int verdict)
{
	u32 key = what;
	u64 *n = bpf_map_lookup_elem(&outcomes, &key);

	if (n)
		*n += 1;
	return verdict;
}

static __always_inline bool same_address(const struct address *a, const struct address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

static __always_inline bool in_prefix(const struct address *a, const volatile struct address *net, u32 bits)
{
	for (int i = 0; i < 4; i++) {
		u32 mask = bits >= 32 ? ~0U : bits ? ~0U << (32 - bits) : 0;

		if ((a->word[i] ^ net->word[i]) & bpf_htonl(mask))
			return false;
		bits = bits > 32 ? bits - 32 : 0;
	}
	return true;
}

static __always_inline bool from_inside(u8 family, const struct address *a)
{
	if (family == AF_INET)
		return pool4_count && in_prefix(a, &inside4, inside4_bits);
	return pool6_count && in_prefix(a, &inside6, inside6_bits);
}

/* The pool counts up in the last word, and does not wrap. */
static __always_inline bool in_pool(u8 family, const struct address *a)
{
	if (family == AF_INET)
		return bpf_ntohl(a->word[0]) - bpf_ntohl(pool4.word[0]) < pool4_count;
	return a->word[0] == pool6.word[0] && a->word[1] == pool6.word[1] && a->word[2] == pool6.word[2] &&
	       bpf_ntohl(a->word[3]) - bpf_ntohl(pool6.word[3]) < pool6_count;
}

/* An inside host keeps its pool address: peers may check it. */
static __always_inline void pick_pool(u8 family, const struct address *host, struct address *out)
{
	u32 h = bpf_ntohl(host->word[0]) + bpf_ntohl(host->word[1]) + bpf_ntohl(host->word[2]) +
		bpf_ntohl(host->word[3]);

	if (family == AF_INET) {
		out->word[0] = bpf_htonl(bpf_ntohl(pool4.word[0]) + (pool4_count ? h % pool4_count : 0));
		out->word[1] = out->word[2] = out->word[3] = 0;
		return;
	}
	out->word[0] = pool6.word[0];
	out->word[1] = pool6.word[1];
	out->word[2] = pool6.word[2];
	out->word[3] = bpf_htonl(bpf_ntohl(pool6.word[3]) + (pool6_count ? h % pool6_count : 0));
}

/* 0, or -1 for what cannot be read, or 1 for a later fragment, which has no ports. */
static __noinline int read_ipv4(struct __sk_buff *skb, u32 off, u8 *proto, u32 *l4, struct flow *f)
{
	struct iphdr ip;

	if (!proto || !l4 || !f || bpf_skb_load_bytes(skb, off, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return -1;
	__builtin_memset(f, 0, sizeof(*f));
	f->src.addr.word[0] = ip.saddr;
	f->dst.addr.word[0] = ip.daddr;
	*proto = ip.protocol;
	*l4 = off + ip.ihl * 4;
	return ip.frag_off & bpf_htons(0x1fff) ? 1 : 0;
}

static __noinline int read_ipv6(struct __sk_buff *skb, u32 off, u8 *proto, u32 *l4, struct flow *f)
{
	struct ipv6hdr ip;
	u8 next;

	if (!proto || !l4 || !f || bpf_skb_load_bytes(skb, off, &ip, sizeof(ip)) || ip.version != 6)
		return -1;
	__builtin_memset(f, 0, sizeof(*f));
	__builtin_memcpy(&f->src.addr, &ip.saddr, 16);
	__builtin_memcpy(&f->dst.addr, &ip.daddr, 16);
	next = ip.nexthdr;
	off += sizeof(ip);
	for (int i = 0; i < 8; i++) {
		u8 ext[4];

		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (bpf_skb_load_bytes(skb, off, ext, 4))
				return -1;
			off += (ext[1] + 1) * 8;
			break;
		case IPPROTO_FRAGMENT:
			if (bpf_skb_load_bytes(skb, off, ext, 4))
				return -1;
			if (ext[2] || ext[3] & 0xf8)
				return 1;
			off += 8;
			break;
		default:
			*proto = next;
			*l4 = off;
			return 0;
		}
		next = ext[0];
	}
	return -1;
}

static __always_inline int read_ip(struct __sk_buff *skb, u8 family, u32 off, u8 *proto, u32 *l4, struct flow *f)
{
	return family == AF_INET ? read_ipv4(skb, off, proto, l4, f) : read_ipv6(skb, off, proto, l4, f);
}

static __always_inline int read_ports(struct __sk_buff *skb, u32 l4, struct flow *f)
{
	__be16 port[2];

	if (bpf_skb_load_bytes(skb, l4, port, 4))
		return -1;
	f->src.port = port[0];
	f->dst.port = port[1];
	return 0;
}

static __always_inline bool has_ports(u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

/* The ICMP types that quote the packet they are about. */
static __always_inline bool quotes(u8 family, u8 type)
{
	if (family == AF_INET)
		return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
	return type == ICMPV6_DEST_UNREACH || type == ICMPV6_PKT_TOOBIG || type == ICMPV6_TIME_EXCEED ||
	       type == ICMPV6_PARAMPROB;
}

/*
 * Find the flow that a packet belongs to. For an ICMP error inner is the flow of
 * the quoted packet, turned round: the direction that the error itself travels.
 * Returns an outcome: TRANSLATED when there is a flow to look up, PASSED, MALFORMED.
 */
static __always_inline int locate(struct __sk_buff *skb, struct place *at, struct flow *outer, struct flow *inner)
{
	int r;

	at->l3 = ETH_HLEN;
	at->quoted = 0;
	at->tcp_flags = 0;
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		at->family = AF_INET;
		break;
	case bpf_htons(ETH_P_IPV6):
		at->family = AF_INET6;
		break;
	default:
		return PASSED;
	}
	r = read_ip(skb, at->family, at->l3, &at->proto, &at->l4, outer);
	if (r)
		return MALFORMED;
	if (has_ports(at->proto)) {
		if (read_ports(skb, at->l4, outer))
			return MALFORMED;
		if (at->proto == IPPROTO_TCP && bpf_skb_load_bytes(skb, at->l4 + 13, &at->tcp_flags, 1))
			return MALFORMED;
		return TRANSLATED;
	}
	if (at->proto == (at->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
		struct flow quoted;
		u8 type;

		if (bpf_skb_load_bytes(skb, at->l4, &type, 1))
			return MALFORMED;
		if (!quotes(at->family, type))
			return PASSED;
		at->inner_l3 = at->l4 + 8;
		if (read_ip(skb, at->family, at->inner_l3, &at->inner_proto, &at->inner_l4, &quoted))
			return MALFORMED;
		if (!has_ports(at->inner_proto))
			return PASSED;
		if (read_ports(skb, at->inner_l4, &quoted))
			return MALFORMED;
		inner->src = quoted.dst;
		inner->dst = quoted.src;
		at->quoted = 1;
		return TRANSLATED;
	}
	return PASSED;
}

/* A field and the checksums that cover it, as offsets; 0 for none. */
struct field {
	u32 off;
	u32 ip_sum;  /* of the IPv4 header */
	u32 l4_sum;
	u32 l4_flags;
};

/* Change one address, of IPv4 where there is an ip_sum. */
static __noinline int set_address(struct __sk_buff *skb, const struct field *at, const struct address *from,
				  const struct address *to)
{
	if (same_address(from, to))
		return 0;
	if (at->ip_sum) {
		if (bpf_l3_csum_replace(skb, at->ip_sum, from->word[0], to->word[0], 4))
			return -1;
		if (at->l4_sum && bpf_l4_csum_replace(skb, at->l4_sum, from->word[0], to->word[0], at->l4_flags | 4))
			return -1;
		return bpf_skb_store_bytes(skb, at->off, &to->word[0], 4, 0);
	}
	if (at->l4_sum) {
		s64 diff = bpf_csum_diff((__be32 *)from->word, 16, (__be32 *)to->word, 16, 0);

		if (diff < 0 || bpf_l4_csum_replace(skb, at->l4_sum, 0, diff, at->l4_flags))
			return -1;
	}
	return bpf_skb_store_bytes(skb, at->off, to->word, 16, 0);
}

static __always_inline int set_port(struct __sk_buff *skb, u32 off, __be16 from, __be16 to, u32 sum, u32 flags)
{
	if (from == to)
		return 0;
	if (sum && bpf_l4_csum_replace(skb, sum, from, to, flags | 2))
		return -1;
	return bpf_skb_store_bytes(skb, off, &to, 2, 0);
}

static __always_inline u32 sum_offset(u8 proto, u32 l4)
{
	switch (proto) {
	case IPPROTO_TCP:
		return l4 + 16;
	case IPPROTO_UDP:
		return l4 + 6;
	case IPPROTO_ICMPV6:
		return l4 + 2;
	}
	return 0; /* ICMP's covers no address */
}

static __always_inline u32 sum_flags(u8 proto)
{
	return BPF_F_PSEUDO_HDR | (proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0);
}

/* Give a packet with ports the flow to. */
static __always_inline int rewrite(struct __sk_buff *skb, const struct place *at, const struct flow *from,
				   const struct flow *to)
{
	bool v4 = at->family == AF_INET;
	u32 sum = sum_offset(at->proto, at->l4), flags = sum_flags(at->proto);
	struct field addr = {at->l3 + (v4 ? 12 : 8), v4 ? at->l3 + 10 : 0, sum, flags};

	if (set_address(skb, &addr, &from->src.addr, &to->src.addr))
		return -1;
	addr.off = at->l3 + (v4 ? 16 : 24);
	if (set_address(skb, &addr, &from->dst.addr, &to->dst.addr))
		return -1;
	flags &= ~BPF_F_PSEUDO_HDR;
	return set_port(skb, at->l4, from->src.port, to->src.port, sum, flags) ||
	       set_port(skb, at->l4 + 2, from->dst.port, to->dst.port, sum, flags);
}

/*
 * The checksum of a quoted TCP or UDP header covers addresses and ports. It is
 * changed where the quote reaches that far: TCP's stands behind the 8 bytes that
 * an error must quote.
 */
static __noinline int set_quoted_sum(struct __sk_buff *skb, const struct place *at, const struct flow *from,
				     const struct flow *to)
{
	u32 off = sum_offset(at->inner_proto, at->inner_l4);
	u64 flags = at->inner_proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__sum16 before, after;
	s64 diff;

	if (bpf_skb_load_bytes(skb, off, &before, 2))
		return 0;
	diff = bpf_csum_diff((__be32 *)from, sizeof(*from), (__be32 *)to, sizeof(*to), 0);
	if (diff < 0 || bpf_l4_csum_replace(skb, off, 0, diff, flags) || bpf_skb_load_bytes(skb, off, &after, 2))
		return -1;
	return bpf_l4_csum_replace(skb, at->l4 + 2, before, after, 2);
}

/*
 * Translate an ICMP error. The quoted packet travelled the other way: what was
 * its destination is the flow's source. ICMP's checksum covers the quoted packet:
 * of IPv6 every change there; of IPv4 not the addresses, since the quoted header's
 * own checksum makes up for them.
 */
static __always_inline int rewrite_error(struct __sk_buff *skb, const struct place *at, const struct flow *outer,
					 const struct flow *from, const struct flow *to)
{
	bool v4 = at->family == AF_INET;
	u32 sum = at->l4 + 2;
	struct field quoted = {at->inner_l3 + (v4 ? 16 : 24), v4 ? at->inner_l3 + 10 : 0, v4 ? 0 : sum, 0};
	struct field addr = {at->l3 + (v4 ? 12 : 8), v4 ? at->l3 + 10 : 0, v4 ? 0 : sum, BPF_F_PSEUDO_HDR};

	if (set_address(skb, &quoted, &from->src.addr, &to->src.addr))
		return -1;
	quoted.off = at->inner_l3 + (v4 ? 12 : 8);
	if (set_address(skb, &quoted, &from->dst.addr, &to->dst.addr))
		return -1;
	if (set_port(skb, at->inner_l4 + 2, from->src.port, to->src.port, sum, 0) ||
	    set_port(skb, at->inner_l4, from->dst.port, to->dst.port, sum, 0) ||
	    set_quoted_sum(skb, at, from, to))
		return -1;
	/*
	 * The sender is the connection's end, or a router on its side. Where the end
	 * is hidden its router is, too; a router of the other side keeps its address.
	 */
	if (!same_address(&from->src.addr, &to->src.addr) &&
	    set_address(skb, &addr, &outer->src.addr, &to->src.addr))
		return -1;
	addr.off = at->l3 + (v4 ? 16 : 24);
	return set_address(skb, &addr, &outer->dst.addr, &to->dst.addr);
}

static __always_inline u32 to_tuple(u8 family, const struct flow *f, struct bpf_sock_tuple *t)
{
	if (family == AF_INET) {
		t->ipv4.saddr = f->src.addr.word[0];
		t->ipv4.daddr = f->dst.addr.word[0];
		t->ipv4.sport = f->src.port;
		t->ipv4.dport = f->dst.port;
		return sizeof(t->ipv4);
	}
	__builtin_memcpy(t->ipv6.saddr, &f->src.addr, 16);
	__builtin_memcpy(t->ipv6.daddr, &f->dst.addr, 16);
	t->ipv6.sport = f->src.port;
	t->ipv6.dport = f->dst.port;
	return sizeof(t->ipv6);
}

/* The flow after translation is the other direction's tuple, turned round. */
static __always_inline void translated(const struct nf_conn *ct, u8 dir, struct flow *to)
{
	if (dir == BPFCT_DIR_ORIGINAL) {
		__builtin_memcpy(&to->src.addr, &ct->tuplehash[1].tuple.dst.u3, 16);
		__builtin_memcpy(&to->dst.addr, &ct->tuplehash[1].tuple.src.u3, 16);
		to->src.port = ct->tuplehash[1].tuple.dst.u.all;
		to->dst.port = ct->tuplehash[1].tuple.src.u.all;
		return;
	}
	__builtin_memcpy(&to->src.addr, &ct->tuplehash[0].tuple.dst.u3, 16);
	__builtin_memcpy(&to->dst.addr, &ct->tuplehash[0].tuple.src.u3, 16);
	to->src.port = ct->tuplehash[0].tuple.dst.u.all;
	to->dst.port = ct->tuplehash[0].tuple.src.u.all;
}

/*
 * An answer makes an entry last. After FIN or RST it goes soon, but not while
 * packets still come; a new SYN over the same ports starts it anew.
 */
static __always_inline void keep(struct nf_conn *ct, const struct place *at, u8 dir)
{
	bool tcp = at->proto == IPPROTO_TCP;

	if (dir == BPFCT_DIR_REPLY && !(ct->status & IPS_SEEN_REPLY))
		bpf_ct_change_status(ct, ct->status | IPS_SEEN_REPLY | (tcp ? IPS_ASSURED : 0));
	if (tcp && at->tcp_flags & (TCP_FIN | TCP_RST)) {
		ct->mark |= MARK_CLOSING;
	} else if (tcp && dir == BPFCT_DIR_ORIGINAL && (at->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		ct->mark &= ~MARK_CLOSING;
		bpf_ct_change_timeout(ct, new_timeout_ms);
		return;
	}
	if (tcp && ct->mark & MARK_CLOSING)
		bpf_ct_change_timeout(ct, close_timeout_ms);
	else if (ct->status & IPS_SEEN_REPLY)
		bpf_ct_change_timeout(ct, tcp ? tcp_timeout_ms : udp_timeout_ms);
}

/* Translate a packet of a known connection: an outcome, or -1 when there is none. */
static __always_inline int known(struct __sk_buff *skb, struct place *at, const struct flow *outer,
				 const struct flow *inner, struct flow *to)
{
	struct bpf_ct_opts opts = {
		.netns_id = BPF_F_CURRENT_NETNS,
		.l4proto = at->quoted ? at->inner_proto : at->proto,
	};
	const struct flow *f = at->quoted ? inner : outer;
	struct bpf_sock_tuple tuple = {};
	u32 len = to_tuple(at->family, f, &tuple);
	struct nf_conn *ct;

	if (len == sizeof(tuple.ipv4))
		ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	else
		ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv6), &opts, BPFCT_OPTS_SZ_OLD);
	if (!ct)
		return -1;
	translated(ct, opts.dir, to);
	if (!at->quoted)
		keep(ct, at, opts.dir);
	bpf_ct_release(ct);
	if (at->quoted)
		return rewrite_error(skb, at, outer, f, to) ? MALFORMED : ICMP_ERROR;
	return rewrite(skb, at, f, to) ? MALFORMED : TRANSLATED;
}

/* Open a connection whose source (and destination, when given) is translated. */
static __always_inline int open(struct __sk_buff *skb, struct place *at, const struct flow *f,
				const struct address *snat, const struct endpoint *dnat, struct flow *to)
{
	struct bpf_ct_opts opts = {
		.netns_id = BPF_F_CURRENT_NETNS,
		.l4proto = at->proto,
	};
	struct bpf_sock_tuple tuple = {};
	u32 len = to_tuple(at->family, f, &tuple);
	struct nf_conn___init *new;
	union nf_inet_addr addr = {};
	struct nf_conn *ct;

	if (len == sizeof(tuple.ipv4))
		new = bpf_skb_ct_alloc(skb, &tuple, sizeof(tuple.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	else
		new = bpf_skb_ct_alloc(skb, &tuple, sizeof(tuple.ipv6), &opts, BPFCT_OPTS_SZ_OLD);
	if (!new)
		return EXHAUSTED;
	if (dnat) {
		__builtin_memcpy(&addr, &dnat->addr, 16);
		bpf_ct_set_nat_info(new, &addr, bpf_ntohs(dnat->port), NF_NAT_MANIP_DST);
	}
	if (snat) {
		__builtin_memcpy(&addr, snat, 16);
		bpf_ct_set_nat_info(new, &addr, 0, NF_NAT_MANIP_SRC); /* the port is kept where it is free */
	}
	bpf_ct_set_timeout(new, new_timeout_ms);
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return EXHAUSTED;
	translated(ct, BPFCT_DIR_ORIGINAL, to);
	bpf_ct_release(ct);
	return rewrite(skb, at, f, to) ? MALFORMED : OPENED;
}

static __always_inline bool forwarded(const struct place *at, const struct flow *f, struct endpoint *to)
{
	struct forward_key key = {.family = at->family, .proto = at->proto, .port = f->dst.port};
	struct forward *fwd;

	if (!in_pool(at->family, &f->dst.addr))
		return false;
	fwd = bpf_map_lookup_elem(&forwards, &key);
	if (!fwd)
		return false;
	to->addr = fwd->addr;
	to->port = fwd->port;
	to->pad = 0;
	return true;
}

/* An ICMP error, or the end of a TCP connection that nobody knows. */
static __always_inline bool opens_nothing(const struct place *at)
{
	return at->quoted || (at->proto == IPPROTO_TCP && at->tcp_flags & TCP_RST);
}

static __always_inline int verdict(int outcome, bool hairpin)
{
	switch (outcome) {
	case PASSED:
		return done(outcome, TC_ACT_OK);
	case TRANSLATED:
	case OPENED:
	case ICMP_ERROR:
		done(outcome, 0);
		return hairpin && inside_ifindex ? bpf_redirect(inside_ifindex, 0) : TC_ACT_OK;
	}
	return done(outcome, TC_ACT_SHOT);
}

SEC("tc")
int nat_egress(struct __sk_buff *skb)
{
	struct flow outer = {}, inner = {}, to = {};
	struct endpoint dnat;
	struct address snat;
	struct place at = {};
	bool hairpin;
	int what;

	what = locate(skb, &at, &outer, &inner);
	if (what == MALFORMED && !from_inside(at.family, &outer.src.addr))
		what = PASSED;
	if (what != TRANSLATED)
		return verdict(what, false);
	if (!from_inside(at.family, &outer.src.addr))
		return verdict(PASSED, false);
	hairpin = in_pool(at.family, &outer.dst.addr);
	what = known(skb, &at, &outer, &inner, &to);
	if (what >= 0)
		return verdict(what, hairpin);
	if (opens_nothing(&at))
		return verdict(UNSOLICITED, false);
	pick_pool(at.family, &outer.src.addr, &snat);
	if (!hairpin)
		return verdict(open(skb, &at, &outer, &snat, NULL, &to), false);
	if (!forwarded(&at, &outer, &dnat))
		return verdict(UNSOLICITED, false);
	return verdict(open(skb, &at, &outer, &snat, &dnat, &to), true);
}

SEC("tc")
int nat_ingress(struct __sk_buff *skb)
{
	struct flow outer = {}, inner = {}, to = {};
	struct endpoint dnat;
	struct place at = {};
	int what;

	what = locate(skb, &at, &outer, &inner);
	if (what == MALFORMED && !in_pool(at.family, &outer.dst.addr))
		what = PASSED;
	if (what != TRANSLATED)
		return verdict(what, false);
	if (!in_pool(at.family, &outer.dst.addr))
		return verdict(PASSED, false);
	what = known(skb, &at, &outer, &inner, &to);
	if (what >= 0)
		return verdict(what, false);
	if (opens_nothing(&at) || !forwarded(&at, &outer, &dnat))
		return verdict(UNSOLICITED, false);
	return verdict(open(skb, &at, &outer, NULL, &dnat, &to), false);
}
