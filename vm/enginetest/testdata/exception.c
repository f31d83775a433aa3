// Programs that throw: at every place a program can be when it does. Exception
// callbacks have a section of their own, so that cilium/ebpf keeps them: nothing
// calls them.
#include "bpfct.h"

BPFCT_LICENSE;

extern void bpf_throw(u64 cookie) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32);
} jumps SEC(".maps");

static __attribute__((noinline)) int thrower(u64 cookie)
{
	if (cookie != 1)
		bpf_throw(cookie);
	return 5;
}

__attribute__((noinline)) int deeper(u64 cookie)
{
	return thrower(cookie) + 100;
}

SEC("tc")
int throw_main(struct __sk_buff *skb)
{
	bpf_throw(33);
	return 1;
}

SEC("tc")
int throw_wide(struct __sk_buff *skb)
{
	bpf_throw(0x1234567890abcdefULL);
	return 1;
}

SEC("tc")
int throw_none(struct __sk_buff *skb)
{
	return deeper(1) + 1000;
}

SEC("tc")
int throw_function(struct __sk_buff *skb)
{
	return thrower(55) + 1000;
}

SEC("tc")
int throw_deeper(struct __sk_buff *skb)
{
	return deeper(66) + 1000;
}

static int round(u64 i, void *ctx)
{
	return i == 3;
}

SEC("tc")
int throw_after_callback(struct __sk_buff *skb)
{
	return thrower(bpf_loop(10, round, NULL, 0)) + 1000;
}

SEC("tc/exception")
__attribute__((noinline)) int on_exception(u64 cookie)
{
	return cookie * 2 + 1;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:on_exception")))
int custom_main(struct __sk_buff *skb)
{
	bpf_throw(33);
	return 1;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:on_exception")))
int custom_deeper(struct __sk_buff *skb)
{
	return deeper(66) + 1000;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:on_exception")))
int custom_after_callback(struct __sk_buff *skb)
{
	return thrower(bpf_loop(10, round, NULL, 0)) + 1000;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:on_exception")))
int custom_none(struct __sk_buff *skb)
{
	return deeper(1) + 1000;
}

static __attribute__((noinline)) int sum(u64 n)
{
	volatile u64 x = n;

	return x + x;
}

SEC("tc/exception")
__attribute__((noinline)) int on_exception_calls(u64 cookie)
{
	return sum(cookie) + 7;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:on_exception_calls")))
int custom_calls(struct __sk_buff *skb)
{
	return deeper(9) + 1000;
}

static __attribute__((noinline)) int jump(struct __sk_buff *skb)
{
	int ret = 3;

	bpf_tail_call(skb, &jumps, 0);
	asm volatile("" : "+r"(ret)); /* the caller must not know */
	return ret;
}

SEC("tc")
int tail_main(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &jumps, 0);
	return 3;
}

SEC("tc")
int tail_function(struct __sk_buff *skb)
{
	return jump(skb) + 1000;
}
