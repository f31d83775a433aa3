/* SPDX-License-Identifier: MIT */
/* One program for each helper or kfunc: input and output lie in the map io. */
#include "bpfct.h"

struct io {
	/* input */
	u64 x, y, z, w;
	/* output */
	s64 ret, val, more;
	char a[128], b[128], out[128];
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

#define PROGRAM(name)                                   \
	static __always_inline int name##_(struct io *v); \
	SEC("tc") int name(struct __sk_buff *skb)         \
	{                                                 \
		struct io *v = get();                     \
		return v ? name##_(v) : -1;               \
	}                                                 \
	static __always_inline int name##_(struct io *v)

/* A length from 0 to 127 that the verifier can follow. */
#define LEN(n) ({ u64 n_ = (n) & 127; barrier_var(n_); n_; })

PROGRAM(signed_number)
{
	u64 n = LEN(v->x);
	long val = 77;

	if (!n)
		return -1;
	v->ret = bpf_strtol(v->a, n, v->y, &val);
	v->val = val;
	return 0;
}

PROGRAM(unsigned_number)
{
	u64 n = LEN(v->x);
	unsigned long val = 77;

	if (!n)
		return -1;
	v->ret = bpf_strtoul(v->a, n, v->y, &val);
	v->val = val;
	return 0;
}

const char fixed[16] = "needle";
const char empty[16] = "";
const char high[16] = "a\xff\x80";

PROGRAM(compare)
{
	u64 n = LEN(v->x);

	if (!n)
		return -1;
	v->ret = bpf_strncmp(v->a, n, fixed);
	v->val = bpf_strncmp(v->a, n, empty);
	v->more = bpf_strncmp(v->a, n, high);
	return 0;
}

extern int bpf_strcmp(const char *s1, const char *s2) __ksym;
extern int bpf_strcasecmp(const char *s1, const char *s2) __ksym;
extern int bpf_strchr(const char *s, char c) __ksym;
extern int bpf_strchrnul(const char *s, char c) __ksym;
extern int bpf_strnchr(const char *s, size_t count, char c) __ksym;
extern int bpf_strrchr(const char *s, int c) __ksym;
extern int bpf_strlen(const char *s) __ksym;
extern int bpf_strnlen(const char *s, size_t count) __ksym;
extern int bpf_strspn(const char *s, const char *accept) __ksym;
extern int bpf_strcspn(const char *s, const char *reject) __ksym;
extern int bpf_strstr(const char *s1, const char *s2) __ksym;
extern int bpf_strnstr(const char *s1, const char *s2, size_t len) __ksym;

/* The strings in the map, or any address that the input asks for. */
static __always_inline int string_function(u64 which, const char *a, const char *b, u64 x, u64 y)
{
	switch (which) {
	case 0: return bpf_strcmp(a, b);
	case 1: return bpf_strcasecmp(a, b);
	case 2: return bpf_strchr(a, x);
	case 3: return bpf_strchrnul(a, x);
	case 4: return bpf_strnchr(a, y, x);
	case 5: return bpf_strrchr(a, x);
	case 6: return bpf_strlen(a);
	case 7: return bpf_strnlen(a, y);
	case 8: return bpf_strspn(a, b);
	case 9: return bpf_strcspn(a, b);
	case 10: return bpf_strstr(a, b);
	case 11: return bpf_strnstr(a, b, y);
	}
	return -1;
}

PROGRAM(strings)
{
	v->ret = string_function(v->z, v->a, v->b, v->x, v->y);
	return 0;
}

/* w bit 0: a is the address x; bit 1: b is. */
PROGRAM(bad_strings)
{
	const char *a = v->w & 1 ? (const char *)v->x : v->a;
	const char *b = v->w & 2 ? (const char *)v->x : v->b;

	v->ret = string_function(v->z, a, b, 'x', v->y);
	return 0;
}

char big[70000] SEC(".data.big");
char big2[70000] SEC(".data.big");

/* Strings longer than the limit: big is filled with a, big2 with b. */
PROGRAM(long_strings)
{
	v->ret = string_function(v->z, v->w & 1 ? big : v->a, v->w & 2 ? big2 : v->b, v->x, v->y);
	return 0;
}

struct loop_ctx {
	u64 stop, ret, sum, calls;
};

static long count(u32 i, void *data)
{
	struct loop_ctx *c = data;

	c->calls++;
	c->sum += i;
	return c->calls == c->stop ? 1 : 0;
}

PROGRAM(loop)
{
	struct loop_ctx c = {.stop = v->y};

	v->ret = bpf_loop(v->x, count, &c, v->z);
	v->val = c.calls;
	v->more = c.sum;
	return 0;
}

PROGRAM(loop_inline)
{
	struct loop_ctx c = {.stop = v->y};

	v->ret = bpf_loop(v->x, count, &c, 0);
	v->val = c.calls;
	v->more = c.sum;
	return 0;
}

struct bpf_iter_num { u64 opaque[1]; } __attribute__((aligned(8)));
struct bpf_iter_bits { u64 opaque[2]; } __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern int bpf_iter_bits_new(struct bpf_iter_bits *it, const u64 *words, u32 n) __ksym;
extern int *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym;
extern void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym;

PROGRAM(iter_num)
{
	struct bpf_iter_num it;
	int *i;

	v->val = v->more = 0;
	v->ret = bpf_iter_num_new(&it, v->x, v->y);
	while ((i = bpf_iter_num_next(&it))) {
		if (!v->val)
			v->w = *i;
		v->z = *i;
		v->val++;
	}
	v->more = !!bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

/* Bits of a, x words of them. */
PROGRAM(iter_bits)
{
	struct bpf_iter_bits it;
	int *i;

	v->val = v->more = 0;
	v->ret = bpf_iter_bits_new(&it, v->w ? (const u64 *)v->y : (const u64 *)v->a, v->x);
	while ((i = bpf_iter_bits_next(&it))) {
		v->val++;
		v->more = v->more * 31 + *i;
	}
	bpf_iter_bits_destroy(&it);
	return 0;
}

PROGRAM(probe)
{
	u64 n = LEN(v->x);
	const void *p = v->w ? (const void *)v->y : v->a;

	if (v->z)
		v->ret = bpf_probe_read_kernel_str(v->out, n, p);
	else
		v->ret = bpf_probe_read_kernel(v->out, n, p);
	return 0;
}

PROGRAM(probe_user)
{
	u64 n = LEN(v->x);

	/* The address is not one of user memory on either side. */
	if (v->z)
		v->ret = bpf_probe_read_user_str(v->out, n, (void *)v->y);
	else
		v->ret = bpf_probe_read_user(v->out, n, (void *)v->y);
	return 0;
}

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;
extern void bpf_local_irq_save(unsigned long *flags) __ksym;
extern void bpf_local_irq_restore(unsigned long *flags) __ksym;
extern void bpf_throw(u64 cookie) __ksym;
extern void *bpf_rdonly_cast(const void *obj, u32 btf_id) __ksym;

PROGRAM(sections)
{
	unsigned long outer, inner;

	bpf_rcu_read_lock();
	bpf_preempt_disable();
	bpf_preempt_disable();
	bpf_local_irq_save(&outer);
	bpf_local_irq_save(&inner);
	v->val++;
	bpf_local_irq_restore(&inner);
	bpf_local_irq_restore(&outer);
	bpf_preempt_enable();
	bpf_preempt_enable();
	bpf_rcu_read_unlock();
	return 3;
}

static __noinline int maybe_throw(struct io *v)
{
	if (!v)
		return 0;
	v->val = 1;
	if (v->x)
		bpf_throw(v->x);
	v->val = 2;
	return 5;
}

PROGRAM(throw)
{
	int r = maybe_throw(v);

	v->more = 9;
	return r;
}

/* What of time and CPU both sides agree on: r is 0 when all is in order. */
PROGRAM(environment)
{
	u64 t1 = bpf_ktime_get_ns(), t2 = bpf_ktime_get_boot_ns(), coarse = bpf_ktime_get_coarse_ns();
	u64 tai = bpf_ktime_get_tai_ns(), j = bpf_jiffies64();
	char comm[16] = "................";
	int r = 0;

	if (t2 < t1 || coarse > bpf_ktime_get_ns())
		r |= 1;
	if (t1 - coarse > 100000000 && coarse < t1)
		r |= 2;
	if (tai < 1700000000000000000ull)
		r |= 4;
	/* Both are uptime, from INITIAL_JIFFIES on. */
	v->val = (s64)(s32)((u32)(j + 300 * 250) - (u32)(t1 / 4000000));
	if (bpf_get_current_comm(comm, sizeof(comm)) || comm[15])
		r |= 16;
	if ((int)bpf_get_numa_node_id() != 0)
		r |= 32;
	if (bpf_get_smp_processor_id() > 1024)
		r |= 64;
	if (bpf_get_prandom_u32() == bpf_get_prandom_u32() && bpf_get_prandom_u32() == bpf_get_prandom_u32())
		r |= 128;
	if ((u32)bpf_get_current_uid_gid() != 0)
		r |= 256;
	return r;
}

extern int bpf_stream_vprintk_impl(int stream_id, const char *fmt, const void *args, u32 len, void *aux) __ksym;

const char stream_format[] = "%d %s";

PROGRAM(stream)
{
	u64 args[2] = {v->y, (u64)v->a};

	v->ret = bpf_stream_vprintk_impl(v->x, stream_format, args, sizeof(args), NULL);
	v->val = bpf_stream_vprintk_impl(v->x, stream_format, args, 8, NULL);
	v->more = bpf_stream_vprintk_impl(v->x, fixed, args, 0, NULL);
	return 0;
}

/* What the kernel knows of the current task must not match. */
PROGRAM(task)
{
	struct bpf_pidns_info info = {1, 2};
	char entries[48];

	v->ret = bpf_get_ns_current_pid_tgid(v->x, v->y, &info, sizeof(info));
	v->val = info.pid + info.tgid;
	switch (v->z & 3) {
	case 0: v->more = bpf_get_branch_snapshot(entries, 48, v->w); break;
	case 1: v->more = bpf_get_branch_snapshot(entries, 24, v->w); break;
	case 2: v->more = bpf_get_branch_snapshot(entries, 23, v->w); break;
	}
	return 0;
}

struct task_struct {
	int pid, tgid;
	char comm[16];
	struct task_struct *group_leader;
} __attribute__((preserve_access_index));

/* The task that helpers and its struct tell of are the same. */
PROGRAM(current_task)
{
	struct task_struct *task = (void *)bpf_get_current_task(), *leader = NULL;
	char comm[16] = {}, other[16] = {};
	int tgid = -1, r = 0;

	bpf_get_current_comm(comm, sizeof(comm));
	if (bpf_probe_read_kernel(other, sizeof(other), &task->comm))
		r |= 1;
	for (int i = 0; i < 16; i++)
		if (comm[i] != other[i])
			r |= 2;
	if (bpf_probe_read_kernel(&tgid, sizeof(tgid), &task->tgid))
		r |= 4;
	if (tgid != (u32)(bpf_get_current_pid_tgid() >> 32))
		r |= 8;
	if (bpf_probe_read_kernel(&leader, sizeof(leader), &task->group_leader) || !leader)
		r |= 16;
	task = bpf_get_current_task_btf();
	if (task->tgid != tgid)
		r |= 32;
	return r;
}

BPFCT_LICENSE;
