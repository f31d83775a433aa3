/* SPDX-License-Identifier: MIT */
/* Programs that no verifier lets pass: what the machine says of them. */
#include "bpfct.h"

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, u64 flags, struct bpf_dynptr *p) __ksym;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, u32 off, void *buf, u32 size) __ksym;

struct value {
	u8 bytes[64];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct value);
} values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

#define BAD(name)                                                                          \
	static __always_inline int name##_(struct __sk_buff *skb, u8 *mem, struct bpf_dynptr *p); \
	SEC("tc") int name(struct __sk_buff *skb)                                          \
	{                                                                                  \
		struct bpf_dynptr p;                                                       \
		u32 zero = 0;                                                              \
		struct value *v = bpf_map_lookup_elem(&values, &zero);                     \
		return v ? name##_(skb, v->bytes, &p) : -1;                                \
	}                                                                                  \
	static __always_inline int name##_(struct __sk_buff *skb, u8 *mem, struct bpf_dynptr *p)

#define READ(p) (*(volatile typeof(p) *)&(p))

BAD(of_more_than_there_is)
{
	return bpf_dynptr_from_mem(mem, 65, 0, p);
}

BAD(read_after_submit)
{
	u8 *s;

	if (bpf_ringbuf_reserve_dynptr(&ring, 16, 0, p))
		return -1;
	s = bpf_dynptr_data(p, 0, 8);
	bpf_ringbuf_submit_dynptr(p, 0);
	return s ? READ(*s) : -1;
}

BAD(never_submit)
{
	return bpf_ringbuf_reserve_dynptr(&ring, 16, 0, p);
}

BAD(submit_memory)
{
	bpf_dynptr_from_mem(mem, 64, 0, p);
	bpf_ringbuf_submit_dynptr(p, 0);
	return 0;
}

BAD(write_past_slice)
{
	u8 *s;

	bpf_dynptr_from_skb(skb, 0, p);
	s = bpf_dynptr_slice_rdwr(p, 60, NULL, 4);
	if (s)
		READ(s[4]) = 1;
	return 0;
}

BAD(forged)
{
	u64 *words = (void *)p;
	u8 out[8];

	bpf_dynptr_from_mem(mem, 64, 0, p);
	READ(words[0]) = 0x12345678;
	return bpf_dynptr_read(out, sizeof(out), p, 0, 0);
}

BAD(forged_kind)
{
	u32 *words = (void *)p;
	u8 out[8];

	bpf_dynptr_from_mem(mem, 64, 0, p);
	READ(words[2]) = 7 << 28 | 64;
	return bpf_dynptr_read(out, sizeof(out), p, 0, 0);
}

BAD(old_slice)
{
	u8 *s, byte = 1;

	bpf_dynptr_from_skb(skb, 0, p);
	s = bpf_dynptr_slice_rdwr(p, 0, NULL, 4);
	bpf_dynptr_write(p, 0, &byte, 1, 0);
	return s ? READ(*s) : -1;
}

BPFCT_LICENSE;
