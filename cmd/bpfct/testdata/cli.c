// Programs for the tests of the command line.
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

enum mode { IDLE, BUSY };

struct state {
	u32 last_len;
	enum mode mode;
	char name[8];
	struct {
		u16 low, high;
	} pair;
};

u64 packets;                                  /* .bss */
s32 delta = -5;                               /* .data */
bool seen;
struct state state = {.name = "start"};
u32 random;
__be32 address;
const volatile u32 limit = 100;               /* .rodata */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, struct state);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

/* Counts packets everywhere that a report shows. */
SEC("tc")
int count(struct __sk_buff *skb)
{
	u32 key = skb->len, one = 1;
	struct state *s = bpf_map_lookup_elem(&states, &key);
	u64 *n = bpf_map_lookup_elem(&counters, &one);

	packets++;
	delta--;
	seen = true;
	state.last_len = skb->len;
	state.mode = BUSY;
	state.pair.high = skb->len;
	if (n)
		*n += skb->len;
	if (s)
		s->last_len++;
	else
		bpf_map_update_elem(&states, &key, &state, BPF_ANY);
	bpf_printk("packet %d of %d bytes", (int)packets, skb->len);
	return skb->len > limit ? TC_ACT_SHOT : TC_ACT_OK;
}

/* Changes a packet: the first byte behind the Ethernet header of 20 bytes of IPv4. */
SEC("tc")
int change(struct __sk_buff *skb)
{
	__be32 to = address;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		bpf_skb_store_bytes(skb, 30, &to, 4, 0);
	return skb->mark ? (int)skb->mark : TC_ACT_OK;
}

SEC("xdp")
int sieve(struct xdp_md *xdp)
{
	return xdp->data_end - xdp->data > limit ? XDP_DROP : XDP_PASS;
}

/* Opens a connection; the second packet of one finds it. */
SEC("tc")
int track(struct __sk_buff *skb)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_UDP};
	struct bpf_sock_tuple t = {};
	struct nf_conn___init *new;
	struct nf_conn *ct;

	if (bpf_skb_load_bytes(skb, 26, &t.ipv4.saddr, 8) || bpf_skb_load_bytes(skb, 34, &t.ipv4.sport, 4))
		return TC_ACT_SHOT;
	ct = bpf_skb_ct_lookup(skb, &t, sizeof(t.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	if (ct) {
		ct->mark++;
		bpf_ct_release(ct);
		return TC_ACT_OK;
	}
	new = bpf_skb_ct_alloc(skb, &t, sizeof(t.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	if (!new)
		return TC_ACT_SHOT;
	bpf_ct_set_timeout(new, 30000);
	ct = bpf_ct_insert_entry(new);
	if (ct)
		bpf_ct_release(ct);
	return TC_ACT_PIPE;
}

/* Two machines do not agree on this one. */
SEC("tc")
int dice(struct __sk_buff *skb)
{
	random = bpf_get_prandom_u32() | 1;
	return TC_ACT_OK;
}

/* Those below are stopped. */
SEC("tc")
int null(struct __sk_buff *skb)
{
	u32 key = 4711;
	struct state *s = bpf_map_lookup_elem(&states, &key);

	return s->last_len;
}

SEC("tc")
int leak(struct __sk_buff *skb)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_UDP};
	struct bpf_sock_tuple t = {};

	bpf_skb_ct_alloc(skb, &t, sizeof(t.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	return TC_ACT_OK;
}

SEC("tc")
int endless(struct __sk_buff *skb)
{
	volatile u32 n = 0;

	while (n < ~0U)
		n++;
	return n;
}
