/* SPDX-License-Identifier: MIT */
/* Programs that no verifier lets pass: what the machine says of them. */
#include "objects.h"

private_(a) struct bpf_spin_lock lock_a;
private_(a) struct bpf_list_head list_a __contains(my_node, l);
private_(a) struct bpf_rb_root tree_a __contains(my_node, r);
private_(b) struct bpf_spin_lock lock_b;

extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_preempt_disable(void) __ksym;

#define BAD(name)                                          \
	static __always_inline int name##_(struct my_node *n); \
	SEC("tc") int name(struct __sk_buff *skb)            \
	{                                                    \
		struct my_node *n = new(struct my_node);     \
		return n ? name##_(n) : -1;                  \
	}                                                    \
	static __always_inline int name##_(struct my_node *n)

#define READ(p) (*(volatile typeof(p) *)&(p))

BAD(leak)
{
	n->key = 1;
	return 0;
}

BAD(drop_twice)
{
	drop(n);
	drop(n);
	return 0;
}

BAD(read_after_drop)
{
	drop(n);
	return READ(n->key);
}

BAD(read_outside)
{
	int r = READ(n[1].key);

	drop(n);
	return r;
}

BAD(write_refcount)
{
	READ(n->refs.opaque[0]) = 7;
	drop(n);
	return 0;
}

BAD(push_unlocked)
{
	return bpf_list_push_front_impl(&list_a, &n->l, NULL, 0);
}

BAD(push_under_wrong_lock)
{
	bpf_spin_lock(&lock_b);
	bpf_list_push_front_impl(&list_a, &n->l, NULL, 0);
	bpf_spin_unlock(&lock_b);
	return 0;
}

BAD(push_wrong_node)
{
	bpf_spin_lock(&lock_a);
	bpf_list_push_front_impl(&list_a, (void *)&n->r, NULL, 0);
	bpf_spin_unlock(&lock_a);
	return 0;
}

BAD(push_twice)
{
	bpf_spin_lock(&lock_a);
	bpf_list_push_front_impl(&list_a, &n->l, NULL, 0);
	bpf_list_push_front_impl(&list_a, &n->l, NULL, 0);
	bpf_spin_unlock(&lock_a);
	return 0;
}

BAD(drop_pushed)
{
	bpf_spin_lock(&lock_a);
	bpf_list_push_front_impl(&list_a, &n->l, NULL, 0);
	bpf_spin_unlock(&lock_a);
	drop(n);
	return 0;
}

BAD(drop_inside)
{
	drop(&n->l);
	return 0;
}

BAD(drop_stack)
{
	u64 here = 0;

	drop(n);
	drop(&here);
	return 0;
}

BAD(store_borrowed)
{
	struct slot *s = slot(0), *t = slot(1);

	if (!s || !t)
		return -1;
	n = bpf_kptr_xchg(&s->node, n);
	if (n)
		drop(n);
	n = s->node;
	if (n)
		bpf_kptr_xchg(&t->node, n);
	return 0;
}

BAD(exchange_wrong_place)
{
	u64 here = 0;

	bpf_kptr_xchg(&here, n);
	return 0;
}

BAD(list_in_tree)
{
	bpf_spin_lock(&lock_a);
	bpf_list_push_front_impl((void *)&tree_a, &n->l, NULL, 0);
	bpf_spin_unlock(&lock_a);
	return 0;
}

BAD(acquire_node)
{
	acquire(&n->l);
	return 0;
}

static u64 sink;

static bool bad_less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	u64 *null = NULL;

	barrier_var(null);
	return READ(*null);
}

/* The comparison of the second faults. */
BAD(faulting_less)
{
	struct my_node *m = new(struct my_node);

	if (!m) {
		drop(n);
		return -1;
	}
	bpf_spin_lock(&lock_a);
	rb_add(&tree_a, &n->r, less);
	rb_add(&tree_a, &m->r, bad_less);
	bpf_spin_unlock(&lock_a);
	return 0;
}

/* Writes over the head of the list, then uses it. */
BAD(overwrite_head)
{
	bpf_spin_lock(&lock_a);
	bpf_list_push_front_impl(&list_a, &n->l, NULL, 0);
	READ(list_a.opaque[0]) = 0x123456789;
	if (bpf_list_pop_front(&list_a))
		sink++;
	bpf_spin_unlock(&lock_a);
	return 0;
}

#define LOCKS(name) SEC("tc") int name(struct __sk_buff *skb)

LOCKS(unlock_unheld)
{
	bpf_spin_unlock(&lock_a);
	return 0;
}

LOCKS(lock_twice)
{
	bpf_spin_lock(&lock_a);
	bpf_spin_lock(&lock_a);
	return 0;
}

LOCKS(lock_two)
{
	bpf_spin_lock(&lock_a);
	bpf_spin_lock(&lock_b);
	return 0;
}

LOCKS(exit_locked)
{
	bpf_spin_lock(&lock_a);
	return 0;
}

LOCKS(lock_something_else)
{
	bpf_spin_lock((void *)&list_a);
	return 0;
}

LOCKS(lock_stack)
{
	struct bpf_spin_lock here = {};

	bpf_spin_lock(&here);
	return 0;
}

/* Works if the lock above was given back when that program was stopped. */
LOCKS(lock_once)
{
	bpf_spin_lock(&lock_a);
	bpf_spin_unlock(&lock_a);
	return 0;
}

LOCKS(leave_rcu)
{
	bpf_rcu_read_unlock();
	return 0;
}

LOCKS(exit_without_preemption)
{
	bpf_preempt_disable();
	return 0;
}

struct my_counter {
	u64 n;
};

LOCKS(read_percpu)
{
	struct my_counter *c = bpf_percpu_obj_new_impl(bpf_core_type_id_local(struct my_counter), NULL);
	int r = 0;

	if (c) {
		r = READ(c->n);
		bpf_percpu_obj_drop_impl(c, NULL);
	}
	return r;
}

BPFCT_LICENSE;
