/* SPDX-License-Identifier: MIT */
/* Pointers that maps and objects own. */
#include "bpfct_graph.h"

#ifndef __uptr
#define __uptr __attribute__((btf_type_tag("uptr")))
#endif

struct task_struct {
	int pid;
	struct task_struct *real_parent;
} __attribute__((preserve_access_index));

struct cgroup {
	int level;
} __attribute__((preserve_access_index));

struct bpf_cpumask {
	u64 x___none;
} __attribute__((preserve_access_index));

struct obj {
	u64 a;
	struct task_struct __kptr *task;
};

struct plain {
	u64 a, b;
};

struct listed {
	u64 a;
	struct bpf_list_node l;
};

struct value {
	struct task_struct __kptr_untrusted *seen;
	struct task_struct __kptr *task;
	struct plain __kptr *plain;
	struct plain __percpu_kptr *percpu;
	struct listed __kptr *listed;
	struct cgroup __kptr *cgroup;
	struct obj __kptr *obj;
	u64 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, struct value);
	__uint(max_entries, 4);
} values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, int);
	__type(value, struct value);
	__uint(max_entries, 4);
} lru SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, u64);
	__uint(max_entries, 4);
} numbers SEC(".maps");

bpfct_private(A) struct bpf_spin_lock la;
bpfct_private(A) struct bpf_list_head ha __contains(listed, l);

void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
struct cgroup *bpf_cgroup_from_id(u64 id) __ksym;
struct cgroup *bpf_cgroup_ancestor(struct cgroup *c, int level) __ksym;
void bpf_cgroup_release(struct cgroup *c) __ksym;
void *bpf_percpu_obj_new_impl(u64 id, void *meta) __ksym;
void bpf_percpu_obj_drop_impl(void *p, void *meta) __ksym;

#define VALUE                                                                                                          \
	int k = 1;                                                                                                     \
	struct value *v = bpf_map_lookup_elem(&values, &k);                                                            \
	if (!v)                                                                                                        \
		return 0

SEC("tc") int xchg(void *ctx)
{
	VALUE;
	struct task_struct *t = bpf_task_from_pid(1);

	if (!t)
		return 0;
	t = bpf_kptr_xchg(&v->task, t);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc") int xchg_lru(void *ctx)
{
	int k = 1;
	struct value *v = bpf_map_lookup_elem(&lru, &k);
	struct task_struct *t;

	if (!v)
		return 0;
	t = bpf_kptr_xchg(&v->task, NULL);
	if (!t)
		return 0;
	k = t->pid;
	bpf_task_release(t);
	return k;
}

SEC("tc") int xchg_lost(void *ctx) { VALUE; bpf_kptr_xchg(&v->task, NULL); return 0; }

SEC("tc") int xchg_unchecked(void *ctx)
{
	VALUE;
	struct task_struct *t = bpf_task_from_pid(1);

	t = bpf_kptr_xchg(&v->task, t);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc") int xchg_after(void *ctx)
{
	VALUE;
	struct task_struct *t = bpf_task_from_pid(1), *o;

	if (!t)
		return 0;
	o = bpf_kptr_xchg(&v->task, t);
	if (o)
		bpf_task_release(o);
	return t->pid;
}

SEC("tc") int xchg_other_type(void *ctx)
{
	VALUE;
	struct cgroup *c = bpf_cgroup_from_id(1);

	if (!c)
		return 0;
	bpf_kptr_xchg(&v->task, (void *)c);
	return 0;
}

SEC("tc") int xchg_unowned(void *ctx)
{
	VALUE;
	bpf_kptr_xchg(&v->task, bpf_get_current_task_btf());
	return 0;
}

SEC("tc") int xchg_moved(void *ctx)
{
	VALUE;
	struct task_struct *t = bpf_task_from_pid(1);

	if (!t)
		return 0;
	bpf_kptr_xchg(&v->task, (void *)t + 8);
	return 0;
}

SEC("tc") int xchg_untrusted(void *ctx) { VALUE; bpf_kptr_xchg(&v->seen, NULL); return 0; }
SEC("tc") int xchg_none(void *ctx) { VALUE; bpf_kptr_xchg((void *)&v->n, NULL); return 0; }
SEC("tc") int xchg_between(void *ctx) { VALUE; bpf_kptr_xchg((void *)&v->task + 4, NULL); return 0; }
SEC("tc") int xchg_variable(struct __sk_buff *ctx) { VALUE; bpf_kptr_xchg((void *)&v->task + (ctx->len & 8), NULL); return 0; }
SEC("tc") int xchg_no_kptr(void *ctx)
{
	int k = 0;
	void *v = bpf_map_lookup_elem(&numbers, &k);

	if (v)
		bpf_kptr_xchg(v, NULL);
	return 0;
}

SEC("tc") int xchg_stack(void *ctx) { u64 x = 0; bpf_kptr_xchg(&x, NULL); return 0; }
SEC("tc") int xchg_number(void *ctx) { VALUE; bpf_kptr_xchg(&v->task, (void *)8); return 0; }
SEC("tc") int xchg_plain_for_task(void *ctx)
{
	VALUE;
	struct plain *p = bpf_obj_new(struct plain);

	if (!p)
		return 0;
	bpf_kptr_xchg(&v->task, (void *)p);
	return 0;
}

SEC("tc") int load(void *ctx)
{
	VALUE;
	struct task_struct *t = v->task;

	return t ? t->pid : 0;
}

SEC("tc") int load_rcu(void *ctx)
{
	VALUE;
	struct task_struct *t;
	int r = 0;

	bpf_rcu_read_lock();
	t = v->task;
	if (t)
		r = t->pid;
	bpf_rcu_read_unlock();
	return r;
}

SEC("tc") int load_acquire(void *ctx)
{
	VALUE;
	struct task_struct *t = v->task, *u;

	if (!t)
		return 0;
	u = bpf_task_acquire(t);
	if (u)
		bpf_task_release(u);
	return 0;
}

SEC("tc") int load_release(void *ctx)
{
	VALUE;
	struct task_struct *t = v->task;

	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc") int load_unchecked(void *ctx) { VALUE; return v->task->pid; }
SEC("tc") int load_half(void *ctx) { VALUE; return *(volatile u32 *)&v->task; }
SEC("tc") int load_variable(struct __sk_buff *ctx) { VALUE; return *(volatile u64 *)((void *)v + (ctx->len & 56)); }
SEC("tc") int load_misaligned(void *ctx) { VALUE; return *(volatile u64 *)((void *)v + 4); }
SEC("tc") int store(void *ctx) { VALUE; v->task = NULL; return 0; }
SEC("tc") int store_untrusted(void *ctx)
{
	VALUE;
	v->seen = bpf_get_current_task_btf();
	return v->seen ? v->seen->pid : 0;
}

SEC("tc") int store_untrusted_null(void *ctx) { VALUE; v->seen = NULL; return 0; }
SEC("tc") int store_untrusted_number(void *ctx) { VALUE; v->seen = (void *)8; return 0; }
SEC("tc") int store_untrusted_moved(void *ctx) { VALUE; v->seen = (void *)bpf_get_current_task_btf() + 8; return 0; }
SEC("tc") int store_untrusted_other(void *ctx)
{
	VALUE;
	struct cgroup *c = bpf_cgroup_from_id(1);

	if (!c)
		return 0;
	v->seen = (void *)c;
	bpf_cgroup_release(c);
	return 0;
}

SEC("tc") int store_untrusted_null_or_not(void *ctx)
{
	VALUE;
	struct task_struct *t = bpf_task_from_pid(1);

	v->seen = t;
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc") int store_untrusted_atomic(void *ctx) { VALUE; return __sync_fetch_and_add((u64 *)&v->seen, 1); }
SEC("tc") int passed(void *ctx) { VALUE; return bpf_csum_diff(0, 0, (void *)&v->task, 8, 0); }
SEC("tc") int passed_n(void *ctx) { VALUE; return bpf_csum_diff(0, 0, (void *)&v->n, 8, 0); }
SEC("tc") int as_key(void *ctx) { VALUE; return bpf_map_lookup_elem(&numbers, (void *)&v->task) != 0; }

SEC("tc") int plain(void *ctx)
{
	VALUE;
	struct plain *p = bpf_obj_new(struct plain);

	if (!p)
		return 0;
	p->a = 3;
	p = bpf_kptr_xchg(&v->plain, p);
	if (!p)
		return 1;
	p->b = 4;
	bpf_obj_drop(p);
	return 0;
}

SEC("tc") int plain_load(void *ctx)
{
	VALUE;
	struct plain *p = v->plain;

	if (!p)
		return 0;
	p->a = 3;
	return p->b;
}

SEC("tc") int plain_load_drop(void *ctx)
{
	VALUE;
	struct plain *p = v->plain;

	if (p)
		bpf_obj_drop(p);
	return 0;
}

SEC("tc") int plain_wrong(void *ctx)
{
	VALUE;
	struct listed *p = bpf_obj_new(struct listed);

	if (p)
		bpf_kptr_xchg(&v->plain, (void *)p);
	return 0;
}

SEC("tc") int listed(void *ctx)
{
	VALUE;
	struct listed *p = bpf_obj_new(struct listed);

	if (!p)
		return 0;
	p = bpf_kptr_xchg(&v->listed, p);
	if (!p)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_back(&ha, &p->l);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int listed_load(void *ctx)
{
	VALUE;
	struct listed *p = v->listed;

	return p ? p->a : 0;
}

SEC("tc") int listed_load_push(void *ctx)
{
	VALUE;
	struct listed *p = v->listed;

	if (!p)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_back(&ha, &p->l);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int listed_load_locks(void *ctx)
{
	VALUE;
	struct listed *p = v->listed;

	bpf_spin_lock(&la);
	bpf_spin_unlock(&la);
	return p ? p->a : 0;
}

SEC("tc") int percpu(void *ctx)
{
	VALUE;
	struct plain *p = bpf_percpu_obj_new_impl(bpfct_local_type_id(struct plain), NULL);

	if (!p)
		return 0;
	p = bpf_kptr_xchg(&v->percpu, p);
	if (p)
		bpf_percpu_obj_drop_impl(p, NULL);
	return 0;
}

SEC("tc") int percpu_load(void *ctx)
{
	VALUE;
	struct plain *p = v->percpu, *q;

	if (!p)
		return 0;
	q = bpf_this_cpu_ptr(p);
	q->a = 3;
	return q->b;
}

SEC("tc") int percpu_load_per(void *ctx)
{
	VALUE;
	struct plain *p = v->percpu, *q;

	if (!p)
		return 0;
	q = bpf_per_cpu_ptr(p, 1);
	return q->b;
}

SEC("tc") int percpu_load_per_checked(void *ctx)
{
	VALUE;
	struct plain *p = v->percpu, *q;

	if (!p)
		return 0;
	q = bpf_per_cpu_ptr(p, 1);
	if (q)
		q->a = 1;
	return 0;
}

SEC("tc") int percpu_load_direct(void *ctx)
{
	VALUE;
	struct plain *p = v->percpu;

	return p ? p->a : 0;
}

SEC("tc") int percpu_after_xchg(void *ctx)
{
	VALUE;
	struct plain *p = bpf_percpu_obj_new_impl(bpfct_local_type_id(struct plain), NULL), *q;

	if (!p)
		return 0;
	q = bpf_kptr_xchg(&v->percpu, p);
	if (q)
		bpf_percpu_obj_drop_impl(q, NULL);
	q = bpf_this_cpu_ptr(p);
	return q->b;
}

SEC("tc") int percpu_plain(void *ctx)
{
	VALUE;
	struct plain *p = bpf_obj_new(struct plain);

	if (p)
		bpf_kptr_xchg(&v->percpu, p);
	return 0;
}

SEC("tc") int plain_percpu(void *ctx)
{
	VALUE;
	struct plain *p = bpf_percpu_obj_new_impl(bpfct_local_type_id(struct plain), NULL);

	if (p)
		bpf_kptr_xchg(&v->plain, p);
	return 0;
}

SEC("tc") int object(void *ctx)
{
	struct obj *o = bpf_obj_new(struct obj);
	struct task_struct *t;

	if (!o)
		return 0;
	t = bpf_task_from_pid(1);
	if (!t)
		goto out;
	t = bpf_kptr_xchg(&o->task, t);
	if (t)
		bpf_task_release(t);
out:
	bpf_obj_drop(o);
	return 0;
}

SEC("tc") int object_load(void *ctx)
{
	struct obj *o = bpf_obj_new(struct obj);
	struct task_struct *t;

	if (!o)
		return 0;
	t = o->task;
	bpf_obj_drop(o);
	return t != NULL;
}

SEC("tc") int object_in_map(void *ctx)
{
	VALUE;
	struct obj *o = bpf_obj_new(struct obj);

	if (!o)
		return 0;
	o = bpf_kptr_xchg(&v->obj, o);
	if (o)
		bpf_obj_drop(o);
	return 0;
}

SEC("tc") int object_shared(void *ctx)
{
	VALUE;
	struct obj *o = v->obj;
	struct task_struct *t;

	if (!o)
		return 0;
	t = bpf_kptr_xchg(&o->task, NULL);
	if (t)
		bpf_task_release(t);
	return o->a;
}

SEC("tc") int object_moved(void *ctx)
{
	struct obj *o = bpf_obj_new(struct obj);

	if (!o)
		return 0;
	bpf_kptr_xchg((void *)&o->a, NULL);
	bpf_obj_drop(o);
	return 0;
}

SEC("tc") int cgroups(void *ctx)
{
	VALUE;
	struct cgroup *c = v->cgroup, *d;

	if (!c)
		return 0;
	d = bpf_cgroup_ancestor(c, 1);
	if (d)
		bpf_cgroup_release(d);
	return c->level;
}

BPFCT_LICENSE;
