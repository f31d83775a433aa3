/* SPDX-License-Identifier: MIT */
/* Sections that must be left as they were entered, and iterators. */
#include "bpfct.h"
#include <bpf/bpf_core_read.h>

struct task_struct {
	int pid;
	struct task_struct *real_parent;
} __attribute__((preserve_access_index));

struct cgroup {
	int level;
} __attribute__((preserve_access_index));
struct css_set {
	struct cgroup *dfl_cgrp;
} __attribute__((preserve_access_index));

struct bpf_res_spin_lock {
	u32 val;
} __attribute__((aligned(4)));

struct bpf_iter_num {
	u64 __opaque[1];
} __attribute__((aligned(8)));

struct bpf_iter_bits {
	u64 __opaque[2];
} __attribute__((aligned(8)));

struct bpf_iter_task {
	u64 __opaque[3];
} __attribute__((aligned(8)));

void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
void bpf_preempt_disable(void) __ksym;
void bpf_preempt_enable(void) __ksym;
void bpf_local_irq_save(unsigned long *flags) __ksym;
void bpf_local_irq_restore(unsigned long *flags) __ksym;
int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __ksym;
void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __ksym;
int bpf_res_spin_lock_irqsave(struct bpf_res_spin_lock *lock, unsigned long *flags) __ksym;
void bpf_res_spin_unlock_irqrestore(struct bpf_res_spin_lock *lock, unsigned long *flags) __ksym;
int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
int bpf_iter_bits_new(struct bpf_iter_bits *it, const u64 *p, u32 words) __ksym;
int *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym;
void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym;
int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
long bpf_task_under_cgroup(struct task_struct *p, struct cgroup *c) __ksym;
void bpf_throw(u64 cookie) __ksym;
void *bpf_cast_to_kern_ctx(void *ctx) __ksym;
void *bpf_rdonly_cast(const void *p, u32 id) __ksym;

struct locked {
	struct bpf_res_spin_lock a;
	u32 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, struct locked);
	__uint(max_entries, 4);
} values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, u64);
	__uint(max_entries, 4);
} numbers SEC(".maps");

SEC(".data.L") __attribute__((visibility("hidden"))) struct bpf_res_spin_lock la;
SEC(".data.M") __attribute__((visibility("hidden"))) struct bpf_res_spin_lock lb;

u64 sum;

SEC("tc") int rcu(void *ctx) { bpf_rcu_read_lock(); bpf_rcu_read_unlock(); return 0; }
SEC("tc") int rcu_nested(void *ctx) { bpf_rcu_read_lock(); bpf_rcu_read_lock(); bpf_rcu_read_unlock(); bpf_rcu_read_unlock(); return 0; }
SEC("tc") int rcu_open(void *ctx) { bpf_rcu_read_lock(); return 0; }
SEC("tc") int rcu_closed(void *ctx) { bpf_rcu_read_unlock(); return 0; }
SEC("tc") int rcu_branch(struct __sk_buff *ctx) { if (ctx->len) bpf_rcu_read_lock(); bpf_rcu_read_unlock(); return 0; }

static __noinline int rcu_function(void) { bpf_rcu_read_unlock(); return 0; }
SEC("tc") int rcu_call(void *ctx) { bpf_rcu_read_lock(); rcu_function(); return 0; }
__noinline int rcu_global_function(void) { bpf_rcu_read_lock(); return 0; }
SEC("tc") int rcu_global(void *ctx) { rcu_global_function(); return 0; }

SEC("tc") int preempt(void *ctx) { bpf_preempt_disable(); bpf_preempt_enable(); return 0; }
SEC("tc") int preempt_nested(void *ctx) { bpf_preempt_disable(); bpf_preempt_disable(); bpf_preempt_enable(); bpf_preempt_enable(); return 0; }
SEC("tc") int preempt_open(void *ctx) { bpf_preempt_disable(); return 0; }
SEC("tc") int preempt_closed(void *ctx) { bpf_preempt_enable(); return 0; }

SEC("tc") int irq(void *ctx) { unsigned long f; bpf_local_irq_save(&f); bpf_local_irq_restore(&f); return 0; }
SEC("tc") int irq_nested(void *ctx)
{
	unsigned long f, g;

	bpf_local_irq_save(&f);
	bpf_local_irq_save(&g);
	bpf_local_irq_restore(&g);
	bpf_local_irq_restore(&f);
	return 0;
}

SEC("tc") int irq_order(void *ctx)
{
	unsigned long f, g;

	bpf_local_irq_save(&f);
	bpf_local_irq_save(&g);
	bpf_local_irq_restore(&f);
	bpf_local_irq_restore(&g);
	return 0;
}

SEC("tc") int irq_open(void *ctx) { unsigned long f; bpf_local_irq_save(&f); return 0; }
SEC("tc") int irq_closed(void *ctx) { unsigned long f = 0; bpf_local_irq_restore(&f); return 0; }
SEC("tc") int irq_twice(void *ctx)
{
	unsigned long f;

	bpf_local_irq_save(&f);
	bpf_local_irq_save(&f);
	bpf_local_irq_restore(&f);
	return 0;
}

SEC("tc") int irq_overwritten(void *ctx)
{
	unsigned long f;

	bpf_local_irq_save(&f);
	*(volatile unsigned long *)&f = 1;
	bpf_local_irq_restore(&f);
	return 0;
}

SEC("tc") int irq_read(void *ctx)
{
	unsigned long f;

	bpf_local_irq_save(&f);
	sum = *(volatile unsigned long *)&f;
	bpf_local_irq_restore(&f);
	return 0;
}

SEC("tc") int irq_moved(void *ctx)
{
	unsigned long f[2] = {};

	bpf_local_irq_save((void *)f + 4);
	return 0;
}

SEC("tc") int irq_variable(struct __sk_buff *ctx)
{
	unsigned long f[2] = {};

	bpf_local_irq_save((void *)f + (ctx->len & 8));
	return 0;
}

SEC("tc") int irq_map(void *ctx)
{
	int k = 0;
	unsigned long *v = bpf_map_lookup_elem(&numbers, &k);

	if (v)
		bpf_local_irq_save(v);
	return 0;
}

SEC("tc") int irq_branch(struct __sk_buff *ctx)
{
	unsigned long f;

	if (ctx->len > 2)
		bpf_local_irq_save(&f);
	else
		bpf_local_irq_save(&f);
	bpf_local_irq_restore(&f);
	return 0;
}

static __noinline void irq_callee(unsigned long *f) { bpf_local_irq_restore(f); }
SEC("tc") int irq_call(void *ctx) { unsigned long f; bpf_local_irq_save(&f); irq_callee(&f); return 0; }

SEC("tc") int res(void *ctx)
{
	if (bpf_res_spin_lock(&la))
		return 1;
	bpf_res_spin_unlock(&la);
	return 0;
}

SEC("tc") int res_unchecked(void *ctx)
{
	bpf_res_spin_lock(&la);
	bpf_res_spin_unlock(&la);
	return 0;
}

SEC("tc") int res_wrong_check(void *ctx)
{
	if (!bpf_res_spin_lock(&la))
		return 1;
	bpf_res_spin_unlock(&la);
	return 0;
}

SEC("tc") int res_nested(void *ctx)
{
	if (bpf_res_spin_lock(&la))
		return 1;
	if (!bpf_res_spin_lock(&lb))
		bpf_res_spin_unlock(&lb);
	bpf_res_spin_unlock(&la);
	return 0;
}

SEC("tc") int res_order(void *ctx)
{
	if (bpf_res_spin_lock(&la))
		return 1;
	if (bpf_res_spin_lock(&lb)) {
		bpf_res_spin_unlock(&la);
		return 1;
	}
	bpf_res_spin_unlock(&la);
	bpf_res_spin_unlock(&lb);
	return 0;
}

SEC("tc") int res_same(void *ctx)
{
	if (bpf_res_spin_lock(&la))
		return 1;
	if (!bpf_res_spin_lock(&la))
		bpf_res_spin_unlock(&la);
	bpf_res_spin_unlock(&la);
	return 0;
}

SEC("tc") int res_other(void *ctx)
{
	if (bpf_res_spin_lock(&la))
		return 1;
	bpf_res_spin_unlock(&lb);
	return 0;
}

SEC("tc") int res_unlock(void *ctx) { bpf_res_spin_unlock(&lb); return 0; }

SEC("tc") int res_irq(void *ctx)
{
	unsigned long f;

	if (bpf_res_spin_lock_irqsave(&la, &f))
		return 1;
	bpf_res_spin_unlock_irqrestore(&la, &f);
	return 0;
}

SEC("tc") int res_irq_mixed(void *ctx)
{
	unsigned long f;

	if (bpf_res_spin_lock_irqsave(&la, &f))
		return 1;
	bpf_res_spin_unlock(&la);
	bpf_local_irq_restore(&f);
	return 0;
}

SEC("tc") int res_irq_native(void *ctx)
{
	unsigned long f;

	bpf_local_irq_save(&f);
	if (bpf_res_spin_lock(&la))
		goto out;
	bpf_res_spin_unlock_irqrestore(&la, &f);
out:
	bpf_local_irq_restore(&f);
	return 0;
}

SEC("tc") int res_irq_flag_native(void *ctx)
{
	unsigned long f, g;

	bpf_local_irq_save(&f);
	if (bpf_res_spin_lock_irqsave(&la, &g)) {
		bpf_local_irq_restore(&f);
		return 1;
	}
	bpf_res_spin_unlock_irqrestore(&la, &f);
	return 0;
}

SEC("tc") int res_value(void *ctx)
{
	int k = 0;
	struct locked *v = bpf_map_lookup_elem(&values, &k), *w = bpf_map_lookup_elem(&values, &k);

	if (!v || !w)
		return 0;
	if (bpf_res_spin_lock(&v->a))
		return 0;
	if (bpf_res_spin_lock(&w->a)) {
		bpf_res_spin_unlock(&v->a);
		return 0;
	}
	bpf_res_spin_unlock(&w->a);
	bpf_res_spin_unlock(&v->a);
	return 0;
}

SEC("tc") int res_offset(void *ctx)
{
	int k = 0;
	struct locked *v = bpf_map_lookup_elem(&values, &k);

	if (v)
		bpf_res_spin_lock((void *)&v->n);
	return 0;
}

SEC("tc") int res_none(void *ctx)
{
	int k = 0;
	void *v = bpf_map_lookup_elem(&numbers, &k);

	if (v)
		bpf_res_spin_lock(v);
	return 0;
}

SEC("tc") int res_stack(void *ctx) { struct bpf_res_spin_lock l = {}; bpf_res_spin_lock(&l); return 0; }
SEC("tc") int res_exit(void *ctx) { bpf_res_spin_lock(&la); return 0; }
SEC("tc") int res_call(void *ctx)
{
	if (bpf_res_spin_lock(&la))
		return 1;
	bpf_ktime_get_ns();
	bpf_res_spin_unlock(&la);
	return 0;
}

SEC("tc") int num(void *ctx)
{
	struct bpf_iter_num it;
	int *v;
	u64 s = 0;

	bpf_iter_num_new(&it, 0, 10);
	while ((v = bpf_iter_num_next(&it)))
		s += *v;
	bpf_iter_num_destroy(&it);
	sum = s;
	return 0;
}

SEC("tc") int num_array(void *ctx)
{
	struct bpf_iter_num it;
	int *v;
	int a[4] = {};

	bpf_iter_num_new(&it, 0, 10);
	while ((v = bpf_iter_num_next(&it)))
		if (*v >= 0 && *v < 4)
			((volatile int *)a)[*v] += 2;
	bpf_iter_num_destroy(&it);
	return a[2];
}

SEC("tc") int num_nested(void *ctx)
{
	struct bpf_iter_num it, jt;
	int *v, *w;
	u64 s = 0;

	bpf_iter_num_new(&it, 0, 10);
	while ((v = bpf_iter_num_next(&it))) {
		bpf_iter_num_new(&jt, 0, *v);
		while ((w = bpf_iter_num_next(&jt))) {
			if (*w == 7)
				break;
			s += *w * *v;
		}
		bpf_iter_num_destroy(&jt);
	}
	bpf_iter_num_destroy(&it);
	return s;
}

SEC("tc") int num_leak(void *ctx) { struct bpf_iter_num it; bpf_iter_num_new(&it, 0, 10); return 0; }
SEC("tc") int num_uninit(void *ctx) { struct bpf_iter_num it = {}; return bpf_iter_num_next(&it) != 0; }
SEC("tc") int num_uninit_destroy(void *ctx) { struct bpf_iter_num it; bpf_iter_num_destroy(&it); return 0; }
SEC("tc") int num_twice(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc") int num_destroyed(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_destroy(&it);
	return bpf_iter_num_next(&it) != 0;
}

SEC("tc") int num_destroyed_twice(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_destroy(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc") int num_again(void *ctx)
{
	struct bpf_iter_num it;
	int *v;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_destroy(&it);
	bpf_iter_num_new(&it, 0, 10);
	v = bpf_iter_num_next(&it);
	if (v)
		sum = *v;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc") int num_unchecked(void *ctx)
{
	struct bpf_iter_num it;
	int *v;

	bpf_iter_num_new(&it, 0, 10);
	v = bpf_iter_num_next(&it);
	sum = *v;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc") int num_write(void *ctx)
{
	struct bpf_iter_num it;
	int *v;

	bpf_iter_num_new(&it, 0, 10);
	v = bpf_iter_num_next(&it);
	if (v)
		*v = 3;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc") int num_after(void *ctx)
{
	struct bpf_iter_num it;
	int *v;

	bpf_iter_num_new(&it, 0, 10);
	v = bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return v ? *v : 0;
}

SEC("tc") int num_overwritten(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	*(volatile u32 *)&it = 0;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc") int num_read(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	sum = *(volatile u32 *)&it;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc") int num_passed(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_csum_diff(0, 0, (void *)&it, 8, 0);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc") int num_moved(void *ctx) { u64 it[2]; bpf_iter_num_new((void *)it + 4, 0, 10); return 0; }
SEC("tc") int num_variable(struct __sk_buff *ctx) { u64 it[2]; bpf_iter_num_new((void *)it + (ctx->len & 8), 0, 10); return 0; }
SEC("tc") int num_map(void *ctx)
{
	int k = 0;
	void *v = bpf_map_lookup_elem(&numbers, &k);

	if (v)
		bpf_iter_num_new(v, 0, 10);
	return 0;
}

SEC("tc") int num_other_kind(void *ctx)
{
	struct bpf_iter_bits it;

	bpf_iter_bits_new(&it, &sum, 1);
	bpf_iter_num_next((void *)&it);
	bpf_iter_bits_destroy(&it);
	return 0;
}

SEC("tc") int bits(void *ctx)
{
	struct bpf_iter_bits it;
	u64 w = 5;
	int *v, s = 0;

	bpf_iter_bits_new(&it, &w, 1);
	while ((v = bpf_iter_bits_next(&it)))
		s += *v;
	bpf_iter_bits_destroy(&it);
	return s;
}

SEC("tc") int bits_second_slot(void *ctx)
{
	struct bpf_iter_bits it;
	u64 w = 5;

	bpf_iter_bits_new(&it, &w, 1);
	*((volatile u64 *)&it + 1) = 0;
	bpf_iter_bits_next(&it);
	bpf_iter_bits_destroy(&it);
	return 0;
}

static __noinline int *step(struct bpf_iter_num *it) { int *v = bpf_iter_num_next(it); if (v) sum += *v; return 0; }
SEC("tc") int num_callee(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	step(&it);
	step(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc") int num_locked(void *ctx)
{
	struct bpf_iter_num it;
	int *v;

	if (bpf_res_spin_lock(&la))
		return 0;
	bpf_iter_num_new(&it, 0, 10);
	while ((v = bpf_iter_num_next(&it)))
		sum += *v;
	bpf_iter_num_destroy(&it);
	bpf_res_spin_unlock(&la);
	return 0;
}

SEC("tc") int num_precise(struct __sk_buff *ctx)
{
	struct bpf_iter_num it;
	int *v;
	int i = 0;
	char a[16] = {};

	bpf_iter_num_new(&it, 0, 10);
	while ((v = bpf_iter_num_next(&it))) {
		i = (i + 1) & 15;
		((volatile char *)a)[i] = 3;
	}
	bpf_iter_num_destroy(&it);
	return a[3];
}

SEC("tc") int num_grows(struct __sk_buff *ctx)
{
	struct bpf_iter_num it;
	int *v;
	int i = 0;
	char a[16] = {};

	bpf_iter_num_new(&it, 0, 10);
	while ((v = bpf_iter_num_next(&it)))
		((volatile char *)a)[i++] = 3;
	bpf_iter_num_destroy(&it);
	return a[3];
}

SEC("tc") int tasks(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *t;
	int n = 0;

	bpf_iter_task_new(&it, NULL, 0);
	while ((t = bpf_iter_task_next(&it)))
		n += t->pid;
	bpf_iter_task_destroy(&it);
	return n;
}

SEC("tc") int tasks_kept(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *t, *k = NULL;

	bpf_iter_task_new(&it, NULL, 0);
	while ((t = bpf_iter_task_next(&it)))
		k = t;
	bpf_iter_task_destroy(&it);
	return k ? k->pid : 0;
}

SEC("tc") int task_pid(void *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);
	int r;

	if (!t)
		return 0;
	r = t->pid + t->real_parent->pid;
	bpf_task_release(t);
	return r;
}

SEC("tc") int task_leak(void *ctx) { bpf_task_from_pid(1); return 0; }
SEC("tc") int task_unchecked(void *ctx) { bpf_task_release(bpf_task_from_pid(1)); return 0; }
SEC("tc") int task_parent(void *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1), *p;

	if (!t)
		return 0;
	p = bpf_task_acquire(t->real_parent);
	if (p)
		bpf_task_release(p);
	bpf_task_release(t);
	return 0;
}

SEC("tc") int task_release_other(void *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);

	if (!t)
		return 0;
	bpf_task_release(t->real_parent);
	bpf_task_release(t);
	return 0;
}

SEC("tc") int task_current(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf(), *p;

	p = bpf_task_acquire(t);
	if (!p)
		return 0;
	bpf_task_release(p);
	return t->pid;
}

SEC("tc") int task_twice(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf(), *p;

	p = bpf_task_acquire(t);
	if (!p)
		return 0;
	bpf_task_release(p);
	bpf_task_release(p);
	return 0;
}

SEC("tc") int task_under(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return bpf_task_under_cgroup(t, (void *)t);
}

SEC("tc") int task_stack(void *ctx)
{
	u64 x = 0;

	return bpf_task_acquire((void *)&x) != 0;
}

SEC("tc") int throws(struct __sk_buff *ctx)
{
	if (ctx->len == 3)
		bpf_throw(7);
	return 0;
}

SEC("tc") int throws_owing(struct __sk_buff *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);

	if (!t)
		return 0;
	if (ctx->len == 3)
		bpf_throw(7);
	bpf_task_release(t);
	return 0;
}

SEC("tc") int throws_locked(struct __sk_buff *ctx)
{
	bpf_rcu_read_lock();
	if (ctx->len == 3)
		bpf_throw(7);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("cgroup_skb/egress") int throws_out_of_range(struct __sk_buff *ctx)
{
	bpf_throw(70);
	return 0;
}

SEC("cgroup_skb/egress") int throws_pointer(struct __sk_buff *ctx)
{
	bpf_throw((u64)ctx);
	return 0;
}

SEC("tc") int throws_pointer_tc(struct __sk_buff *ctx)
{
	bpf_throw((u64)ctx);
	return 0;
}

struct sock {
	int x___none;
} __attribute__((preserve_access_index));

struct sk_buff {
	u32 len;
	struct sock *sk;
} __attribute__((preserve_access_index));

struct xdp_buff {
	void *data;
} __attribute__((preserve_access_index));

SEC("tc") int cast(struct __sk_buff *ctx)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(ctx);

	return skb->len;
}

SEC("tc") int cast_write(struct __sk_buff *ctx)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(ctx);

	skb->len = 3;
	return 0;
}

SEC("xdp") int cast_xdp(struct xdp_md *ctx)
{
	struct xdp_buff *x = bpf_cast_to_kern_ctx(ctx);

	return *(u8 *)x->data;
}

SEC("tc") int cast_number(struct __sk_buff *ctx)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx((void *)8);

	return skb->len;
}

SEC("tc") int cast_moved(struct __sk_buff *ctx)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx((void *)ctx + 4);

	return skb->len;
}

SEC("tc") int rdonly(struct __sk_buff *ctx)
{
	struct sk_buff *skb = bpf_rdonly_cast((void *)8, bpf_core_type_id_kernel(struct sk_buff));

	return skb->len;
}

SEC("tc") int rdonly_write(struct __sk_buff *ctx)
{
	struct sk_buff *skb = bpf_rdonly_cast((void *)8, bpf_core_type_id_kernel(struct sk_buff));

	skb->len = 3;
	return 0;
}

SEC("tc") int rdonly_void(struct __sk_buff *ctx)
{
	u64 *p = bpf_rdonly_cast((void *)8, 0);

	return p[1000];
}

SEC("tc") int rdonly_void_write(struct __sk_buff *ctx)
{
	u64 *p = bpf_rdonly_cast((void *)8, 0);

	p[3] = 3;
	return 0;
}

SEC("tc") int rdonly_unknown(struct __sk_buff *ctx) { return bpf_rdonly_cast(ctx, 100000000) != 0; }
SEC("tc") int rdonly_variable(struct __sk_buff *ctx) { return bpf_rdonly_cast(ctx, ctx->len) != 0; }
SEC("tc") int rdonly_number(struct __sk_buff *ctx) { return bpf_rdonly_cast(ctx, 1) != 0; }
SEC("tc") int rdonly_release(struct __sk_buff *ctx)
{
	struct task_struct *t = bpf_rdonly_cast(ctx, bpf_core_type_id_kernel(struct task_struct));

	bpf_task_release(t);
	return 0;
}

SEC("tc") int rdonly_acquire(struct __sk_buff *ctx)
{
	struct task_struct *t = bpf_rdonly_cast(ctx, bpf_core_type_id_kernel(struct task_struct));

	bpf_task_acquire(t);
	return 0;
}

BPFCT_LICENSE;
