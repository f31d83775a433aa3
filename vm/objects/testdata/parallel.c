/* SPDX-License-Identifier: MIT */
/* What several CPUs do at once. */
#include "objects.h"

private_(shared) struct bpf_spin_lock lock;
private_(shared) struct bpf_list_head list __contains(my_node, l);
private_(shared) struct bpf_rb_root tree __contains(my_node, r);
u64 counter;

struct bpf_res_spin_lock { u32 val; };
extern int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __ksym;
extern void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __ksym;
extern int bpf_res_spin_lock_irqsave(struct bpf_res_spin_lock *lock, unsigned long *flags) __ksym;
extern void bpf_res_spin_unlock_irqrestore(struct bpf_res_spin_lock *lock, unsigned long *flags) __ksym;

private_(first) struct bpf_res_spin_lock first;
u64 first_counter;
private_(second) struct bpf_res_spin_lock second;
u64 second_counter;

SEC("tc")
int count(struct __sk_buff *skb)
{
	bpf_spin_lock(&lock);
	counter++;
	bpf_spin_unlock(&lock);
	return 0;
}

/* An object goes through list, tree and slot. */
SEC("tc")
int travel(struct __sk_buff *skb)
{
	struct slot *s = slot(bpf_get_prandom_u32() & 3);
	struct my_node *n = new(struct my_node), *m;
	struct bpf_list_node *l;
	struct bpf_rb_node *r;

	if (!n)
		return 1;
	if (!s) {
		drop(n);
		return 2;
	}
	n->key = bpf_get_prandom_u32();
	bpf_spin_lock(&lock);
	bpf_list_push_back_impl(&list, &n->l, NULL, 0);
	l = bpf_list_pop_front(&list);
	bpf_spin_unlock(&lock);
	if (!l)
		return 3;
	n = entry(l, struct my_node, l);
	m = acquire(n);
	n = bpf_kptr_xchg(&s->node, n);
	if (n)
		drop(n);
	bpf_spin_lock(&lock);
	rb_add(&tree, &m->r, less);
	r = bpf_rbtree_first(&tree);
	if (!r) {
		bpf_spin_unlock(&lock);
		return 4;
	}
	r = bpf_rbtree_remove(&tree, r);
	bpf_spin_unlock(&lock);
	if (r)
		drop(entry(r, struct my_node, r));
	return 0;
}

/* Readers of a pointer in a map while others replace it. */
SEC("tc")
int borrow(struct __sk_buff *skb)
{
	struct slot *s = slot(0);
	struct my_node *n, *m;

	if (!s)
		return 1;
	n = new(struct my_node);
	if (!n)
		return 2;
	n->key = 77;
	n = bpf_kptr_xchg(&s->node, n);
	if (n)
		drop(n);
	n = s->node;
	if (!n)
		return 0;
	if (n->key != 77)
		return 3;
	m = acquire(n);
	if (m) {
		if (m->key != 77) {
			drop(m);
			return 4;
		}
		drop(m);
	}
	return 0;
}

/* Both locks in one order or the other: one of two such may fail, but not wait
 * for ever. */
static __always_inline int both(struct bpf_res_spin_lock *a, struct bpf_res_spin_lock *b)
{
	int err;

	if (bpf_res_spin_lock(a))
		return 1;
	err = bpf_res_spin_lock(b);
	if (err) {
		bpf_res_spin_unlock(a);
		return -err;
	}
	bpf_res_spin_unlock(b);
	bpf_res_spin_unlock(a);
	return 0;
}

SEC("tc")
int one_order(struct __sk_buff *skb)
{
	return both(&first, &second);
}

SEC("tc")
int irq(struct __sk_buff *skb)
{
	unsigned long flags;

	if (bpf_res_spin_lock_irqsave(&first, &flags))
		return 1;
	first_counter++;
	bpf_res_spin_unlock_irqrestore(&first, &flags);
	return 0;
}

struct locked {
	struct bpf_res_spin_lock lock;
	u32 number;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct locked);
} locks SEC(".maps");

/* A lock that the program holds already; the verifier cannot know. */
SEC("tc")
int again(struct __sk_buff *skb)
{
	u32 zero = 0;
	struct locked *a = bpf_map_lookup_elem(&locks, &zero), *b = bpf_map_lookup_elem(&locks, &zero);

	if (!a || !b)
		return 9;
	return both(&a->lock, &b->lock);
}

BPFCT_LICENSE;
