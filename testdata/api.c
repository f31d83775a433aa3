// Programs for the tests of the Go API.
#include "bpfct_conntrack.h"

BPFCT_LICENSE;

#ifndef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC 1
#endif

struct event {
	u32 len;
	u32 n;
	u64 time;
};

u64 count;                             /* .bss */
u32 fired;
u32 start = 7;                         /* .data */
const volatile u32 step = 1;           /* .rodata */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32);
} perf SEC(".maps");

struct key {
	__be32 addr;
	__be16 port;
	u16 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct key);
	__type(value, u64);
} hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, u32);
} percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4);
	__type(value, u32);
} queue SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, u32);
	__array(values, struct inner);
} outer SEC(".maps") = {.values = {[0] = &first, [1] = &second}};

int leaf(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__array(values, int(void *));
} jumps SEC(".maps") = {.values = {[1] = (void *)&leaf}};

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
int globals(struct __sk_buff *skb)
{
	count += step;
	start += step;
	return start;
}

SEC("tc")
int emit(struct __sk_buff *skb)
{
	struct event ev = {.len = skb->len, .n = ++count, .time = bpf_ktime_get_ns()};
	u32 n = count;

	bpf_ringbuf_output(&ring, &ev, sizeof(ev), 0);
	bpf_perf_event_output(skb, &perf, BPF_F_CURRENT_CPU | (4ULL << 32), &ev, sizeof(ev));
	bpf_map_push_elem(&queue, &n, BPF_ANY);
	return 0;
}

SEC("tc")
int tally(struct __sk_buff *skb)
{
	u32 mark = skb->mark, *cpu = bpf_map_lookup_elem(&percpu, &mark), one = 1;
	struct key k = {};
	u64 *n, once = 1;

	if (bpf_skb_load_bytes(skb, 26, &k.addr, 4) || bpf_skb_load_bytes(skb, 34, &k.port, 2))
		return TC_ACT_SHOT;
	n = bpf_map_lookup_elem(&hits, &k);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&hits, &k, &once, BPF_NOEXIST);
	if (cpu)
		(*cpu)++;
	else
		bpf_map_update_elem(&percpu, &mark, &one, BPF_ANY);
	__sync_fetch_and_add(&count, 1);
	return TC_ACT_OK;
}

SEC("tc")
int nested(struct __sk_buff *skb)
{
	u32 mark = skb->mark, zero = 0;
	void *map = bpf_map_lookup_elem(&outer, &mark);
	u64 *n = map ? bpf_map_lookup_elem(map, &zero) : NULL;

	if (!n)
		return TC_ACT_SHOT;
	return ++*n;
}

SEC("tc")
int leaf(struct __sk_buff *skb)
{
	return 41;
}

SEC("tc")
int other_leaf(struct __sk_buff *skb)
{
	return 42;
}

SEC("tc")
int jump(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &jumps, skb->mark);
	return 13;
}

static int ring_alarm(void *map, u32 *key, struct alarm *alarm)
{
	fired++;
	if (fired < 3)
		bpf_timer_start(&alarm->timer, 1000000000, 0);
	return 0;
}

SEC("tc")
int arm(struct __sk_buff *skb)
{
	u32 zero = 0;
	struct alarm *alarm = bpf_map_lookup_elem(&alarms, &zero);

	if (!alarm)
		return TC_ACT_SHOT;
	bpf_timer_init(&alarm->timer, &alarms, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&alarm->timer, ring_alarm);
	return bpf_timer_start(&alarm->timer, 1000000000, 0);
}

/* Finds the packet's connection and counts it in its mark, or opens it for the time in step, in seconds. */
SEC("tc")
int track(struct __sk_buff *skb)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_UDP};
	struct bpf_sock_tuple t = {};
	struct nf_conn___init *new;
	struct nf_conn *ct;
	int mark;

	if (bpf_skb_load_bytes(skb, 26, &t.ipv4.saddr, 8) || bpf_skb_load_bytes(skb, 34, &t.ipv4.sport, 4))
		return -1;
	ct = bpf_skb_ct_lookup(skb, &t, sizeof(t.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	if (ct) {
		mark = ++ct->mark;
		bpf_ct_release(ct);
		return mark;
	}
	new = bpf_skb_ct_alloc(skb, &t, sizeof(t.ipv4), &opts, BPFCT_OPTS_SZ_OLD);
	if (!new)
		return -2;
	bpf_ct_set_timeout(new, step * 1000);
	ct = bpf_ct_insert_entry(new);
	if (!ct)
		return -3;
	bpf_ct_release(ct);
	return 0;
}

/* Draws a number, which the seed decides. */
SEC("tc")
int draw(struct __sk_buff *skb)
{
	u32 n = bpf_get_prandom_u32();

	bpf_ringbuf_output(&ring, &n, sizeof(n), 0);
	bpf_printk("drew %u", n);
	return n;
}
