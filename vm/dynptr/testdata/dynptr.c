/* SPDX-License-Identifier: MIT */
/* The same steps on a dynptr of each kind. */
#include "bpfct.h"

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, u64 flags, struct bpf_dynptr *p) __ksym;
extern int bpf_dynptr_from_xdp(struct xdp_md *xdp, u64 flags, struct bpf_dynptr *p) __ksym;
extern int bpf_dynptr_from_skb_meta(struct __sk_buff *skb, u64 flags, struct bpf_dynptr *p) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, u32 off, void *buf, u32 size) __ksym;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, u32 off, void *buf, u32 size) __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *p, u32 start, u32 end) __ksym;
extern bool bpf_dynptr_is_null(const struct bpf_dynptr *p) __ksym;
extern bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym;
extern u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *clone) __ksym;
extern int bpf_dynptr_copy(struct bpf_dynptr *dst, u32 dst_off, struct bpf_dynptr *src, u32 src_off, u32 size) __ksym;
extern int bpf_dynptr_memset(struct bpf_dynptr *p, u32 off, u32 size, u8 val) __ksym;

#define CHUNK 16

struct io {
	u64 size, flags;               /* of the dynptr */
	u64 adjust[4];                 /* of the dynptr, of its clone */
	u64 offs[8], lens[4];          /* of the accesses */
	u64 read_flags, write_flags;
	u64 use_buffer, value;
	s64 ret[24];
	u8 src[128], out[128], more[CHUNK * 2];
	u8 mem[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct io);
} io SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

static __always_inline struct io *get(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&io, &zero);
}

#define LEN(n) ({ u64 n_ = (n) & 127; barrier_var(n_); n_; })

static __always_inline void steps(struct io *v, struct bpf_dynptr *p)
{
	struct bpf_dynptr q;
	u8 buf[CHUNK] = {}, *s;

	v->ret[1] = bpf_dynptr_size(p);
	v->ret[2] = bpf_dynptr_is_null(p);
	v->ret[3] = bpf_dynptr_is_rdonly(p);
	v->ret[4] = bpf_dynptr_adjust(p, v->adjust[0], v->adjust[1]);
	v->ret[5] = bpf_dynptr_size(p);
	v->ret[6] = bpf_dynptr_clone(p, &q);
	v->ret[7] = bpf_dynptr_adjust(&q, v->adjust[2], v->adjust[3]);
	v->ret[8] = bpf_dynptr_size(&q);
	v->ret[9] = bpf_dynptr_read(v->out, LEN(v->lens[0]), &q, v->offs[0], v->read_flags);
	v->ret[10] = bpf_dynptr_write(&q, v->offs[1], v->src, LEN(v->lens[1]), v->write_flags);
	if (v->use_buffer)
		s = bpf_dynptr_slice(&q, v->offs[2], buf, CHUNK);
	else
		s = bpf_dynptr_slice(&q, v->offs[2], NULL, CHUNK);
	v->ret[11] = !!s;
	if (s) {
		v->ret[12] = s == buf;
		__builtin_memcpy(v->more, s, CHUNK);
	}
	if (v->use_buffer)
		s = bpf_dynptr_slice_rdwr(&q, v->offs[3], buf, CHUNK);
	else
		s = bpf_dynptr_slice_rdwr(&q, v->offs[3], NULL, CHUNK);
	v->ret[13] = !!s;
	if (s) {
		v->ret[14] = s == buf;
		s[0] ^= 0xff;
		s[CHUNK - 1] ^= 0x80;
		__builtin_memcpy(v->more + CHUNK, buf, CHUNK);
	}
	s = bpf_dynptr_data(&q, v->offs[4], CHUNK);
	v->ret[15] = !!s;
	if (s)
		s[1] += 3;
	v->ret[16] = bpf_dynptr_copy(p, v->offs[5], &q, v->offs[6], v->lens[2]);
	v->ret[17] = bpf_dynptr_memset(&q, v->offs[7], v->lens[3], v->value);
	v->ret[18] = bpf_dynptr_size(p);
}

SEC("tc")
int of_memory(struct __sk_buff *skb)
{
	struct io *v = get();
	struct bpf_dynptr p;
	u64 n;

	if (!v)
		return -1;
	n = v->size & 255;
	barrier_var(n);
	v->ret[0] = bpf_dynptr_from_mem(v->mem, n, v->flags, &p);
	steps(v, &p);
	return 0;
}

SEC("tc")
int of_ringbuf(struct __sk_buff *skb)
{
	struct io *v = get();
	struct bpf_dynptr p;

	if (!v)
		return -1;
	v->ret[0] = bpf_ringbuf_reserve_dynptr(&ring, v->size, v->flags, &p);
	v->ret[19] = bpf_dynptr_memset(&p, 0, bpf_dynptr_size(&p) & 4095, 7);
	steps(v, &p);
	v->ret[20] = bpf_dynptr_read(v->mem, sizeof(v->mem), &p, 0, 0);
	bpf_ringbuf_discard_dynptr(&p, 0);
	return 0;
}

SEC("tc")
int of_skb(struct __sk_buff *skb)
{
	struct io *v = get();
	struct bpf_dynptr p;

	if (!v)
		return -1;
	v->ret[0] = bpf_dynptr_from_skb(skb, v->flags, &p);
	steps(v, &p);
	return 0;
}

SEC("tc")
int of_meta(struct __sk_buff *skb)
{
	struct io *v = get();
	struct bpf_dynptr p;

	if (!v)
		return -1;
	v->ret[0] = bpf_dynptr_from_skb_meta(skb, v->flags, &p);
	steps(v, &p);
	return 0;
}

SEC("xdp")
int of_xdp(struct xdp_md *xdp)
{
	struct io *v = get();
	struct bpf_dynptr p;

	if (!v)
		return -1;
	v->ret[0] = bpf_dynptr_from_xdp(xdp, v->flags, &p);
	steps(v, &p);
	return XDP_PASS;
}

SEC("xdp.frags")
int of_xdp_frags(struct xdp_md *xdp)
{
	struct io *v = get();
	struct bpf_dynptr p;

	if (!v)
		return -1;
	v->ret[0] = bpf_dynptr_from_xdp(xdp, v->flags, &p);
	steps(v, &p);
	return XDP_PASS;
}

/* Between two dynptrs, either of which may be in pieces. */
static __always_inline int between(struct io *v, struct bpf_dynptr *p)
{
	struct bpf_dynptr m;

	v->ret[1] = bpf_dynptr_from_mem(v->mem, sizeof(v->mem), 0, &m);
	v->ret[2] = bpf_dynptr_copy(p, v->offs[0], &m, v->offs[1], v->lens[0]);
	v->ret[3] = bpf_dynptr_copy(&m, v->offs[2], p, v->offs[3], v->lens[1]);
	v->ret[4] = bpf_dynptr_copy(p, v->offs[4], p, v->offs[5], v->lens[2]);
	v->ret[5] = bpf_dynptr_memset(p, v->offs[6], v->lens[3], v->value);
	return 0;
}

SEC("tc")
int skb_and_memory(struct __sk_buff *skb)
{
	struct io *v = get();
	struct bpf_dynptr p;

	if (!v)
		return -1;
	v->ret[0] = bpf_dynptr_from_skb(skb, 0, &p);
	return between(v, &p);
}

SEC("xdp.frags")
int xdp_and_memory(struct xdp_md *xdp)
{
	struct io *v = get();
	struct bpf_dynptr p;

	if (!v)
		return -1;
	v->ret[0] = bpf_dynptr_from_xdp(xdp, 0, &p);
	return between(v, &p);
}

extern int bpf_probe_read_kernel_dynptr(struct bpf_dynptr *p, u32 off, u32 size, const void *src) __ksym;
extern int bpf_probe_read_kernel_str_dynptr(struct bpf_dynptr *p, u32 off, u32 size, const void *src) __ksym;
extern int bpf_probe_read_user_dynptr(struct bpf_dynptr *p, u32 off, u32 size, const void *src) __ksym;
extern int bpf_probe_read_user_str_dynptr(struct bpf_dynptr *p, u32 off, u32 size, const void *src) __ksym;

char text[3000] SEC(".data.text");

/* use_buffer: 0 from text, else from the address in value. */
static __always_inline void probe(struct io *v, struct bpf_dynptr *p)
{
	const void *from = v->use_buffer ? (const void *)v->value : text;
	const void *user = v->use_buffer ? (const void *)v->value : NULL;

	v->ret[1] = bpf_probe_read_kernel_dynptr(p, v->offs[0], v->lens[0], from);
	v->ret[2] = bpf_probe_read_kernel_str_dynptr(p, v->offs[1], v->lens[1], from);
	v->ret[3] = bpf_probe_read_user_dynptr(p, v->offs[2], v->lens[2], user);
	v->ret[4] = bpf_probe_read_user_str_dynptr(p, v->offs[3], v->lens[3], user);
}

SEC("tc")
int probe_memory(struct __sk_buff *skb)
{
	struct io *v = get();
	struct bpf_dynptr p;

	if (!v)
		return -1;
	v->ret[0] = bpf_dynptr_from_mem(v->mem, sizeof(v->mem), v->flags, &p);
	probe(v, &p);
	return 0;
}

SEC("xdp.frags")
int probe_xdp(struct xdp_md *xdp)
{
	struct io *v = get();
	struct bpf_dynptr p;

	if (!v)
		return -1;
	v->ret[0] = bpf_dynptr_from_xdp(xdp, v->flags, &p);
	probe(v, &p);
	return XDP_PASS;
}

BPFCT_LICENSE;
