// Programs that the kernel refuses, and that the sanitizer stops where nobody asked a
// verifier: each does one thing that no program may do.
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

#ifndef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC 1
#endif

u32 fired;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} hits SEC(".maps");

struct alarm {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct alarm);
} alarms SEC(".maps");

SEC("tc")
int null_dereference(struct __sk_buff *skb)
{
	u32 k = 4711;
	u64 *n = bpf_map_lookup_elem(&hits, &k);

	return *n;
}

SEC("tc")
int reference_leak(struct __sk_buff *skb)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_UDP};
	struct bpf_sock_tuple t = {};

	bpf_skb_ct_alloc(skb, &t, sizeof(t.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	return 0;
}

SEC("tc")
int use_after_release(struct __sk_buff *skb)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_UDP};
	struct bpf_sock_tuple t = {};
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, &t, sizeof(t.ipv4), &opts, BPFCT_OPTS_SZ_OLD);

	if (!ct) {
		struct nf_conn___init *new = bpf_skb_ct_alloc(skb, &t, sizeof(t.ipv4), &opts, BPFCT_OPTS_SZ_OLD);

		ct = new ? bpf_ct_insert_entry(new) : NULL;
	}
	if (!ct)
		return 0;
	bpf_ct_release(ct);
	return ct->mark;
}

SEC("tc")
int endless(struct __sk_buff *skb)
{
	volatile u32 n = 0;

	while (n < ~0U)
		n++;
	return n;
}

/* The callback does what nobody waits for. */
static int bad_alarm(void *map, u32 *key, struct alarm *alarm)
{
	u32 k = 4711;
	u64 *n = bpf_map_lookup_elem(&hits, &k);

	fired += *n;
	return 0;
}

SEC("tc")
int arm_bad(struct __sk_buff *skb)
{
	u32 zero = 0;
	struct alarm *alarm = bpf_map_lookup_elem(&alarms, &zero);

	if (!alarm)
		return TC_ACT_SHOT;
	bpf_timer_init(&alarm->timer, &alarms, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&alarm->timer, bad_alarm);
	return bpf_timer_start(&alarm->timer, 1000000000, 0);
}
