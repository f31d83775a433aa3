/* SPDX-License-Identifier: MIT */
/* Formatted output: formats that the loader sets, and formats at run time. */
#include "bpfct.h"

#define ARGS 12

struct line {
	u64 raw[ARGS];
	u64 string[ARGS]; /* argument i is the address of text[i] */
	char text[ARGS][40];
	s64 ret;
	char out[200];
};

struct io {
	struct line lines[8];
	char format[256];
	u64 format_size, args;
	s64 ret;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct io);
} io SEC(".maps");

static __always_inline struct io *get(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&io, &zero);
}

static __always_inline void resolve(struct line *l, u64 *args)
{
#pragma unroll
	for (int i = 0; i < ARGS; i++)
		args[i] = l->string[i] ? (u64)l->text[i] : l->raw[i];
}

#define FORMAT(i)                           \
	const char format##i[64] = "%d"; \
	const volatile u32 size##i = 200, bytes##i = 96;
FORMAT(0) FORMAT(1) FORMAT(2) FORMAT(3) FORMAT(4) FORMAT(5) FORMAT(6) FORMAT(7)

#define LINE(i)                                                                                      \
	do {                                                                                         \
		resolve(&v->lines[i], args);                                                         \
		v->lines[i].ret = bpf_snprintf(v->lines[i].out, size##i, format##i, args, bytes##i); \
	} while (0)

SEC("tc")
int print(struct __sk_buff *skb)
{
	struct io *v = get();
	u64 args[ARGS];

	if (!v)
		return -1;
	LINE(0);
	LINE(1);
	LINE(2);
	LINE(3);
	LINE(4);
	LINE(5);
	LINE(6);
	LINE(7);
	return 0;
}

SEC("tc")
int vprintk(struct __sk_buff *skb)
{
	struct io *v = get();
	u64 args[ARGS], n, size;

	if (!v)
		return -1;
	resolve(&v->lines[0], args);
	n = v->args;
	size = v->format_size & 255;
	if (n > sizeof(args) || !size)
		return -1;
	v->ret = bpf_trace_vprintk(v->format, size, args, n);
	return 0;
}

SEC("tc")
int printk(struct __sk_buff *skb)
{
	struct io *v = get();
	u64 args[ARGS], size;

	if (!v)
		return -1;
	resolve(&v->lines[0], args);
	size = v->format_size & 255;
	if (!size)
		return -1;
	v->ret = bpf_trace_printk(v->format, size, args[0], args[1], args[2]);
	return 0;
}

BPFCT_LICENSE;
