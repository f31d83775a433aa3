/* SPDX-License-Identifier: MIT */
/* Dynptrs, and each way to get them wrong. */
#include "bpfct.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, char[64]);
	__uint(max_entries, 4);
} values SEC(".maps");

struct timed {
	struct bpf_timer t;
	u64 x[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, struct timed);
	__uint(max_entries, 4);
} timers SEC(".maps");

int bpf_dynptr_from_skb(struct __sk_buff *skb, u64 flags, struct bpf_dynptr *p) __ksym;
int bpf_dynptr_from_skb_meta(struct __sk_buff *skb, u64 flags, struct bpf_dynptr *p) __ksym;
int bpf_dynptr_from_xdp(struct xdp_md *xdp, u64 flags, struct bpf_dynptr *p) __ksym;
void *bpf_dynptr_slice(const struct bpf_dynptr *p, u32 offset, void *buffer, u32 size) __ksym;
void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, u32 offset, void *buffer, u32 size) __ksym;
int bpf_dynptr_adjust(const struct bpf_dynptr *p, u32 start, u32 end) __ksym;
bool bpf_dynptr_is_null(const struct bpf_dynptr *p) __ksym;
bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym;
u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym;
int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *clone) __ksym;
int bpf_dynptr_copy(struct bpf_dynptr *dst, u32 dst_off, struct bpf_dynptr *src, u32 src_off, u32 size) __ksym;
int bpf_dynptr_memset(struct bpf_dynptr *p, u32 off, u32 size, u8 val) __ksym;

SEC("tc") int slice(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char buf[16];
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, buf, sizeof(buf));
	return s ? s[3] : 0;
}

SEC("tc") int slice_no_buffer(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, NULL, 14);
	return s ? s[13] : 0;
}

SEC("tc") int slice_beyond(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, NULL, 14);
	return s ? s[14] : 0;
}

SEC("tc") int slice_unchecked(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, NULL, 14);
	return s[1];
}

SEC("tc") int slice_write_ro(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char buf[16];
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, buf, sizeof(buf));
	if (s)
		s[1] = 3;
	return 0;
}

SEC("tc") int slice_write(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char buf[16];
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice_rdwr(&p, 4, buf, sizeof(buf));
	if (s)
		s[1] = 3;
	return 0;
}

SEC("cgroup_skb/ingress") int slice_write_cgroup(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char buf[16];
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice_rdwr(&p, 4, buf, sizeof(buf));
	if (s)
		s[1] = 3;
	return 0;
}

SEC("tc") int slice_variable(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char buf[16];
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, buf, ctx->len & 7);
	return s ? s[0] : 0;
}

SEC("tc") int slice_buffer_small(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char buf[16];
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, buf, 4096);
	return s ? s[0] : 0;
}

SEC("tc") int slice_after_write(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;
	char c = 3;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, NULL, 14);
	if (!s)
		return 0;
	bpf_dynptr_write(&p, 0, &c, 1, 0);
	return s[1];
}

SEC("tc") int slice_after_pull(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, NULL, 14);
	if (!s)
		return 0;
	bpf_skb_pull_data(ctx, 20);
	return s[1];
}

SEC("tc") int slice_after_overwrite(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, NULL, 14);
	if (!s)
		return 0;
	*(volatile u64 *)&p = 3;
	return s[1];
}

SEC("tc") int rdwr_after_overwrite(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice_rdwr(&p, 4, NULL, 14);
	if (!s)
		return 0;
	*(volatile u64 *)&p = 3;
	return s[1];
}

SEC("tc") int slice_passed(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, NULL, 16);
	if (!s)
		return 0;
	return bpf_csum_diff(0, 0, (void *)s, 16, 0);
}

SEC("tc") int slice_passed_moved(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, NULL, 16);
	if (!s)
		return 0;
	return bpf_csum_diff(0, 0, (void *)s + 4, 8, 0);
}

SEC("tc") int slice_passed_variable(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice_rdwr(&p, 4, NULL, 16);
	if (!s)
		return 0;
	return bpf_csum_diff(0, 0, (void *)s + (ctx->len & 7), 8, 0);
}

SEC("tc") int slice_spilled(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *volatile s;

	bpf_dynptr_from_skb(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 4, NULL, 16);
	if (!s)
		return 0;
	return s[2];
}

SEC("tc") int slice_meta(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;
	char c = 3;

	bpf_dynptr_from_skb_meta(ctx, 0, &p);
	s = bpf_dynptr_slice(&p, 0, NULL, 4);
	if (!s)
		return 0;
	bpf_dynptr_write(&p, 0, &c, 1, 0);
	return s[1];
}

SEC("tc") int meta_after_pull(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_skb_meta(ctx, 0, &p);
	s = bpf_dynptr_slice_rdwr(&p, 0, NULL, 4);
	if (!s)
		return 0;
	bpf_skb_pull_data(ctx, 20);
	return s[1];
}

SEC("xdp") int xdp_slice(struct xdp_md *ctx)
{
	struct bpf_dynptr p;
	char *s;
	char c = 3;

	bpf_dynptr_from_xdp(ctx, 0, &p);
	s = bpf_dynptr_slice_rdwr(&p, 0, NULL, 4);
	if (!s)
		return 0;
	bpf_dynptr_write(&p, 0, &c, 1, 0);
	return s[1];
}

SEC("xdp") int xdp_after_adjust(struct xdp_md *ctx)
{
	struct bpf_dynptr p;
	char *s;

	bpf_dynptr_from_xdp(ctx, 0, &p);
	s = bpf_dynptr_slice_rdwr(&p, 0, NULL, 4);
	if (!s)
		return 0;
	bpf_xdp_adjust_head(ctx, 4);
	return s[1];
}

SEC("xdp") int skb_in_xdp(struct xdp_md *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb((void *)ctx, 0, &p);
	return 0;
}

SEC("tc") int ctx_null(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(NULL, 0, &p);
	return 0;
}

SEC("tc") int ctx_moved(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb((void *)ctx + 8, 0, &p);
	return 0;
}

SEC("tc") int uninit_read(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char b[4];

	bpf_dynptr_read(b, 4, &p, 0, 0);
	return 0;
}

SEC("tc") int uninit_slice(struct __sk_buff *ctx)
{
	struct bpf_dynptr p = {};

	return bpf_dynptr_slice(&p, 0, NULL, 4) != NULL;
}

SEC("tc") int read_moved(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char b[4];

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_dynptr_read(b, 4, (void *)&p + 8, 0, 0);
	return 0;
}

SEC("tc") int read_moved_bit(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char b[4];

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_dynptr_read(b, 4, (void *)&p + 1, 0, 0);
	return 0;
}

SEC("tc") int read_variable(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char b[4];

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_dynptr_read(b, 4, (void *)&p + (ctx->len & 8), 0, 0);
	return 0;
}

SEC("tc") int make_moved(struct __sk_buff *ctx)
{
	char b[32];

	bpf_dynptr_from_skb(ctx, 0, (void *)b + 4);
	return 0;
}

SEC("tc") int make_at_end(struct __sk_buff *ctx)
{
	char b[8];

	bpf_dynptr_from_skb(ctx, 0, (void *)b);
	return 0;
}

SEC("tc") int make_variable(struct __sk_buff *ctx)
{
	char b[32];

	bpf_dynptr_from_skb(ctx, 0, (void *)b + (ctx->len & 8));
	return 0;
}

SEC("tc") int make_number(struct __sk_buff *ctx)
{
	bpf_dynptr_from_skb(ctx, 0, (void *)8);
	return 0;
}

SEC("tc") int make_map(struct __sk_buff *ctx)
{
	int k = 0;
	void *v = bpf_map_lookup_elem(&values, &k);

	if (v)
		bpf_dynptr_from_skb(ctx, 0, v);
	return 0;
}

SEC("tc") int make_twice(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_dynptr_from_skb(ctx, 0, &p);
	return bpf_dynptr_size(&p);
}

SEC("tc") int half_written(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char b[4];

	bpf_dynptr_from_skb(ctx, 0, &p);
	*((volatile char *)&p + 12) = 3;
	bpf_dynptr_read(b, 4, &p, 0, 0);
	return 0;
}

SEC("tc") int loaded(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	return *(volatile u64 *)&p;
}

SEC("tc") int loaded_variable(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	return *((volatile char *)&p + (ctx->len & 7));
}

SEC("tc") int written_variable(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	*((volatile char *)&p + (ctx->len & 7)) = 1;
	return bpf_dynptr_size(&p);
}

SEC("tc") int passed_as_memory(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	return bpf_csum_diff(0, 0, (void *)&p, 16, 0);
}

SEC("tc") int filled_by_helper(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_skb_load_bytes(ctx, 0, &p, 16);
	return 0;
}

SEC("tc") int adjust(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_dynptr_adjust(&p, 2, 8);
	bpf_dynptr_memset(&p, 0, 2, 0);
	return bpf_dynptr_size(&p) + bpf_dynptr_is_null(&p) + bpf_dynptr_is_rdonly(&p);
}

SEC("tc") int copy(struct __sk_buff *ctx)
{
	struct bpf_dynptr p, q;

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_dynptr_from_skb_meta(ctx, 0, &q);
	return bpf_dynptr_copy(&q, 0, &p, 0, 4);
}

SEC("tc") int clone(struct __sk_buff *ctx)
{
	struct bpf_dynptr p, q;

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_dynptr_clone(&p, &q);
	return bpf_dynptr_size(&q);
}

SEC("tc") int clone_uninit(struct __sk_buff *ctx)
{
	struct bpf_dynptr p, q;

	bpf_dynptr_clone(&p, &q);
	return bpf_dynptr_size(&q);
}

SEC("tc") int clone_self(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_dynptr_clone(&p, &p);
	return bpf_dynptr_size(&p);
}

SEC("tc") int ring_submit(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	u64 *d;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	d = bpf_dynptr_data(&p, 0, 8);
	if (d)
		*d = 5;
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

SEC("tc") int ring_leak(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	return 0;
}

SEC("tc") int ring_twice(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	bpf_ringbuf_submit_dynptr(&p, 0);
	bpf_ringbuf_discard_dynptr(&p, 0);
	return 0;
}

SEC("tc") int ring_overwrite(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	*(volatile u64 *)&p = 0;
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

SEC("tc") int ring_reserve_over(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

SEC("tc") int ring_data_after(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	u64 *d;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	d = bpf_dynptr_data(&p, 0, 8);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return d ? *d : 0;
}

SEC("tc") int ring_data_variable(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	bpf_dynptr_data(&p, 0, ctx->len);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

SEC("tc") int ring_data_beyond(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *d;
	int r = 0;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	d = bpf_dynptr_data(&p, 0, 8);
	if (d)
		r = d[8];
	bpf_ringbuf_submit_dynptr(&p, 0);
	return r;
}

SEC("tc") int ring_data_unchecked(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *d;
	int r = 0;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	d = bpf_dynptr_data(&p, 0, 8);
	r = d[2];
	bpf_ringbuf_submit_dynptr(&p, 0);
	return r;
}

SEC("tc") int ring_submit_data(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *d;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	d = bpf_dynptr_data(&p, 0, 8);
	if (d)
		bpf_ringbuf_submit(d, 0);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

SEC("tc") int ring_submit_other(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

SEC("tc") int ring_submit_number(struct __sk_buff *ctx)
{
	bpf_ringbuf_submit_dynptr((void *)8, 0);
	return 0;
}

SEC("tc") int ring_submit_moved(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	bpf_ringbuf_submit_dynptr((void *)&p + 8, 0);
	return 0;
}

SEC("tc") int ring_clone(struct __sk_buff *ctx)
{
	struct bpf_dynptr p, q;
	char *d;
	int r = 0;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	bpf_dynptr_clone(&p, &q);
	d = bpf_dynptr_data(&q, 0, 8);
	if (d)
		r = d[2];
	bpf_ringbuf_submit_dynptr(&q, 0);
	return r;
}

SEC("tc") int ring_clone_after(struct __sk_buff *ctx)
{
	struct bpf_dynptr p, q;
	char *d;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	bpf_dynptr_clone(&p, &q);
	d = bpf_dynptr_data(&q, 0, 8);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return d ? d[1] : 0;
}

SEC("tc") int ring_clone_use(struct __sk_buff *ctx)
{
	struct bpf_dynptr p, q;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	bpf_dynptr_clone(&p, &q);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return bpf_dynptr_size(&q);
}

SEC("tc") int ring_clone_overwrite(struct __sk_buff *ctx)
{
	struct bpf_dynptr p, q;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	bpf_dynptr_clone(&p, &q);
	*(volatile u64 *)&q = 0;
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

SEC("tc") int ring_in_branch(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	if (ctx->len > 5)
		bpf_ringbuf_submit_dynptr(&p, 0);
	else
		bpf_ringbuf_discard_dynptr(&p, 0);
	return 0;
}

SEC("tc") int from_mem(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	int k = 0;
	char *v = bpf_map_lookup_elem(&values, &k), *d;

	if (!v)
		return 0;
	bpf_dynptr_from_mem(v, 64, 0, &p);
	d = bpf_dynptr_data(&p, 3, 8);
	return d ? d[7] : 0;
}

SEC("tc") int from_mem_overwritten(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	int k = 0;
	char *v = bpf_map_lookup_elem(&values, &k), *d;

	if (!v)
		return 0;
	bpf_dynptr_from_mem(v, 64, 0, &p);
	d = bpf_dynptr_data(&p, 3, 8);
	if (!d)
		return 0;
	*(volatile u64 *)&p = 3;
	return d[7];
}

SEC("tc") int from_mem_slice(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	int k = 0;
	char *v = bpf_map_lookup_elem(&values, &k), *d;

	if (!v)
		return 0;
	bpf_dynptr_from_mem(v, 64, 0, &p);
	d = bpf_dynptr_slice(&p, 3, NULL, 8);
	if (!d)
		return 0;
	*(volatile u64 *)&p = 3;
	return d[7];
}

SEC("tc") int from_mem_large(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	int k = 0;
	char *v = bpf_map_lookup_elem(&values, &k);

	if (v)
		bpf_dynptr_from_mem(v, 65, 0, &p);
	return 0;
}

SEC("tc") int from_mem_stack(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char b[8] = {};

	bpf_dynptr_from_mem(b, 8, 0, &p);
	return 0;
}

SEC("tc") int from_mem_timer(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	int k = 0;
	char *v = bpf_map_lookup_elem(&timers, &k);

	if (v)
		bpf_dynptr_from_mem(v, 32, 0, &p);
	return 0;
}

SEC("tc") int loop_slices(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;
	char *s;
	int r = 0;

	bpf_dynptr_from_skb(ctx, 0, &p);
	for (int i = 0; i < 10; i++) {
		s = bpf_dynptr_slice(&p, i, NULL, 4);
		if (s)
			r += s[3];
	}
	return r;
}

static int in_callback(int i, void *p)
{
	char b[4];

	bpf_dynptr_read(b, 4, p, 0, 0);
	return 0;
}

SEC("tc") int callback(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	bpf_loop(3, in_callback, &p, 0);
	return 0;
}

static int callback_submits(int i, void *p)
{
	bpf_ringbuf_submit_dynptr(p, 0);
	return 1;
}

SEC("tc") int callback_release(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	bpf_loop(1, callback_submits, &p, 0);
	return 0;
}

__noinline int global_read(const struct bpf_dynptr *p)
{
	char b[4] = {};

	bpf_dynptr_read(b, 4, p, 0, 0);
	return b[0];
}

SEC("tc") int call_global(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	return global_read(&p);
}

__noinline int global_slice(const struct bpf_dynptr *p)
{
	char *s = bpf_dynptr_slice(p, 0, NULL, 4);

	return s ? s[2] : bpf_dynptr_size(p);
}

SEC("tc") int call_slice(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	return global_slice(&p);
}

__noinline int global_clone(const struct bpf_dynptr *p)
{
	struct bpf_dynptr q;

	bpf_dynptr_clone(p, &q);
	return bpf_dynptr_size(&q);
}

SEC("tc") int call_clone(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_dynptr_from_skb(ctx, 0, &p);
	return global_clone(&p);
}

__noinline int global_releases(struct bpf_dynptr *p)
{
	bpf_ringbuf_submit_dynptr(p, 0);
	return 0;
}

SEC("tc") int call_releases(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &p);
	return global_releases(&p);
}

SEC("tc") int call_uninit(struct __sk_buff *ctx)
{
	struct bpf_dynptr p;

	return global_read(&p);
}

BPFCT_LICENSE;
