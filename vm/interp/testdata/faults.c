// Programs that the sanitizer stops; the test keeps its reports.
#include "bpfct.h"

BPFCT_LICENSE;

struct nf_conn {
	u32 mark;
	u32 status;
};

extern struct nf_conn *acquire(u32 id) __ksym;
extern void release(struct nf_conn *ct) __ksym;
extern void rcu_lock(void) __ksym;
extern void throw(u64 cookie) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32[3]);
} values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32);
} jumps SEC(".maps");

const volatile u32 limit = 5;

SEC("tc")
int null_dereference(struct __sk_buff *skb)
{
	struct nf_conn *ct = acquire(0); /* finds nothing */

	return ct->status;
}

SEC("tc")
int out_of_bounds(struct __sk_buff *skb)
{
	u32 key = 1;
	u32 *value = bpf_map_lookup_elem(&values, &key);

	if (!value)
		return 0;
	return value[2] + value[3];
}

static __attribute__((noinline)) u32 sum(volatile u32 *v, int n)
{
	u32 s = 0;

	for (int i = 0; i < n; i++)
		s += v[i];
	return s;
}

SEC("tc")
int out_of_stack(struct __sk_buff *skb)
{
	volatile u32 v[4];

	for (int i = 0; i < 4; i++)
		v[i] = i;
	return sum(v, 5);
}

SEC("tc")
int use_after_release(struct __sk_buff *skb)
{
	struct nf_conn *ct = acquire(1);

	if (!ct)
		return 0;
	ct->mark = 7;
	release(ct);
	return ct->mark;
}

SEC("tc")
int release_twice(struct __sk_buff *skb)
{
	struct nf_conn *ct = acquire(1);

	release(ct);
	release(ct);
	return 0;
}

SEC("tc")
int write_protected(struct __sk_buff *skb)
{
	struct nf_conn *ct = acquire(1);

	ct->status = 1;
	release(ct);
	return 0;
}

SEC("tc")
int write_rodata(struct __sk_buff *skb)
{
	*(volatile u32 *)&limit = 6;
	return 0;
}

SEC("tc")
int reference_leak(struct __sk_buff *skb)
{
	struct nf_conn *ct = acquire(1);

	if (ct->status)
		release(ct);
	return 0;
}

SEC("tc")
int leak_at_tail_call(struct __sk_buff *skb)
{
	struct nf_conn *ct = acquire(1);

	bpf_tail_call(skb, &jumps, 0);
	release(ct);
	return 0;
}

SEC("tc")
int rcu_left_open(struct __sk_buff *skb)
{
	rcu_lock();
	return 0;
}

SEC("tc")
int lock_left(struct __sk_buff *skb)
{
	u32 key = 1;
	u32 *value = bpf_map_lookup_elem(&values, &key);

	if (value)
		bpf_spin_lock((void *)value);
	return 0;
}

SEC("tc")
int endless_loop(struct __sk_buff *skb)
{
	for (volatile int i = 0;; i++)
		;
	return 0;
}

static __attribute__((noinline)) int again(volatile int *n)
{
	int r = 0;

	if (++*n != 100)
		r = again(n);
	asm volatile("" : "+r"(r)); /* or this becomes a loop */
	return r;
}

SEC("tc")
int endless_calls(struct __sk_buff *skb)
{
	volatile int n = 0;

	return again(&n);
}

static __attribute__((noinline)) volatile int *dangling(void)
{
	volatile int local = 5;
	volatile int *p = &local;

	asm volatile("" : "+r"(p)); /* hides that it is local */
	return p;
}

SEC("tc")
int dead_frame(struct __sk_buff *skb)
{
	return *dangling();
}

SEC("tc")
int wild_address(struct __sk_buff *skb)
{
	return *(volatile u32 *)0xabcdef0123456789;
}
