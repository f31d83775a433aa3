/* SPDX-License-Identifier: MIT */
/* One operation a program: objects move between four slots, two lists and a tree. */
#include "objects.h"

private_(lists) struct bpf_spin_lock list_lock;
private_(lists) struct bpf_list_head list0 __contains(my_node, l);
private_(lists) struct bpf_list_head list1 __contains(my_node, l);

private_(tree) struct bpf_spin_lock tree_lock;
private_(tree) struct bpf_rb_root tree __contains(my_node, r);

struct holder {
	u64 number;
	struct bpf_spin_lock lock;
	struct bpf_list_head list __contains(my_node, l);
	struct bpf_rb_root tree __contains(my_node, r);
	struct my_node __kptr *node;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, struct holder);
} holders SEC(".maps");

/* Puts n, which may be NULL, in slot i; what was there goes. */
static __always_inline s64 put(u64 i, struct my_node *n)
{
	struct slot *s = slot(i);
	s64 ret = -1;

	if (!s) {
		if (n)
			drop(n);
		return -2;
	}
	n = bpf_kptr_xchg(&s->node, n);
	if (n) {
		ret = n->key;
		drop(n);
	}
	return ret;
}

static __always_inline struct my_node *take(u64 i)
{
	struct slot *s = slot(i);

	return s ? bpf_kptr_xchg(&s->node, NULL) : NULL;
}

/* A new object with key y in slot x. */
PROGRAM(make)
{
	struct my_node *n = new(struct my_node);

	if (!n)
		return -1;
	n->key = v->y;
	n->value = v->y + 1000;
	v->ret = put(v->x, n);
	return 0;
}

PROGRAM(clear)
{
	v->ret = put(v->x, NULL);
	return 0;
}

/* Slot y gets another reference to what slot x has. */
PROGRAM(share)
{
	struct my_node *n = take(v->x), *m;

	if (!n)
		return 1;
	m = acquire(n);
	v->ret = put(v->x, n);
	v->more = put(v->y, m);
	return 0;
}

/* The same by the pointer as it stands in the map. */
PROGRAM(borrow)
{
	struct slot *s = slot(v->x);
	struct my_node *n, *m;

	if (!s)
		return 1;
	n = s->node;
	if (!n)
		return 2;
	v->more = n->value;
	m = acquire(n);
	if (!m)
		return 3;
	v->ret = put(v->y, m);
	return 0;
}

/* The object of slot y to list x, at its tail where z. */
PROGRAM(push)
{
	struct my_node *n = take(v->y);

	if (!n)
		return 1;
	bpf_spin_lock(&list_lock);
	if (v->x) {
		if (v->z)
			v->ret = bpf_list_push_back_impl(&list1, &n->l, NULL, 0);
		else
			v->ret = bpf_list_push_front_impl(&list1, &n->l, NULL, 0);
	} else {
		if (v->z)
			v->ret = bpf_list_push_back_impl(&list0, &n->l, NULL, 0);
		else
			v->ret = bpf_list_push_front_impl(&list0, &n->l, NULL, 0);
	}
	bpf_spin_unlock(&list_lock);
	return 0;
}

/* An object of list x to slot y, from the tail where z. */
PROGRAM(pop)
{
	struct bpf_list_node *l;
	struct my_node *n;

	bpf_spin_lock(&list_lock);
	if (v->x)
		l = v->z ? bpf_list_pop_back(&list1) : bpf_list_pop_front(&list1);
	else
		l = v->z ? bpf_list_pop_back(&list0) : bpf_list_pop_front(&list0);
	bpf_spin_unlock(&list_lock);
	if (!l)
		return 1;
	n = entry(l, struct my_node, l);
	v->more = n->key;
	v->ret = put(v->y, n);
	return 0;
}

PROGRAM(ends)
{
	struct bpf_list_node *l;

	v->ret = v->more = -1;
	bpf_spin_lock(&list_lock);
	l = v->x ? bpf_list_front(&list1) : bpf_list_front(&list0);
	if (l)
		v->ret = entry(l, struct my_node, l)->key;
	l = v->x ? bpf_list_back(&list1) : bpf_list_back(&list0);
	if (l)
		v->more = entry(l, struct my_node, l)->key;
	bpf_spin_unlock(&list_lock);
	return 0;
}

/* The object of slot y to the tree. */
PROGRAM(add)
{
	struct my_node *n = take(v->y);

	if (!n)
		return 1;
	bpf_spin_lock(&tree_lock);
	v->ret = rb_add(&tree, &n->r, less);
	bpf_spin_unlock(&tree_lock);
	return 0;
}

/* The first object of the tree to slot y. */
PROGRAM(remove_first)
{
	struct bpf_rb_node *r;
	struct my_node *n;

	bpf_spin_lock(&tree_lock);
	r = bpf_rbtree_first(&tree);
	if (!r) {
		bpf_spin_unlock(&tree_lock);
		return 1;
	}
	r = bpf_rbtree_remove(&tree, r);
	bpf_spin_unlock(&tree_lock);
	if (!r)
		return 2;
	n = entry(r, struct my_node, r);
	v->more = n->key;
	v->ret = put(v->y, n);
	return 0;
}

/* Goes down from the root along the bits of x for z levels, notes the keys, and
 * moves the last object to slot y where y is one. */
PROGRAM(walk)
{
	struct bpf_rb_node *r, *next;
	struct my_node *n;
	u64 bits = v->x, depth = v->z;
	int i = 0;

	bpf_spin_lock(&tree_lock);
	r = bpf_rbtree_root(&tree);
	if (!r) {
		bpf_spin_unlock(&tree_lock);
		return 1;
	}
#pragma unroll
	for (i = 0; i < 10; i++) {
		v->keys[i] = entry(r, struct my_node, r)->key + 1;
		if (i >= depth)
			break;
		if (bits & (1 << i))
			next = bpf_rbtree_right(&tree, r);
		else
			next = bpf_rbtree_left(&tree, r);
		if (!next)
			break;
		r = next;
	}
	if (v->y >= 4) {
		bpf_spin_unlock(&tree_lock);
		return 2;
	}
	r = bpf_rbtree_remove(&tree, r);
	bpf_spin_unlock(&tree_lock);
	if (!r)
		return 3;
	n = entry(r, struct my_node, r);
	v->more = n->key;
	v->ret = put(v->y, n);
	return 0;
}

/* Removes from the tree what slot x has, by that reference. */
PROGRAM(remove_shared)
{
	struct my_node *n = take(v->x), *m;
	struct bpf_rb_node *r;

	if (!n)
		return 1;
	bpf_spin_lock(&tree_lock);
	r = bpf_rbtree_remove(&tree, &n->r);
	bpf_spin_unlock(&tree_lock);
	put(v->x, n);
	if (!r)
		return 2;
	m = entry(r, struct my_node, r);
	v->more = m->key;
	v->ret = put(v->y, m);
	return 0;
}

/* The object of slot y to holder x: z 0 list, 1 tree, 2 pointer. */
PROGRAM(hold)
{
	u32 key = v->x;
	struct holder *h = bpf_map_lookup_elem(&holders, &key);
	struct my_node *n;

	if (!h)
		return 1;
	n = take(v->y);
	if (!n)
		return 2;
	switch (v->z) {
	case 0:
		bpf_spin_lock(&h->lock);
		v->ret = bpf_list_push_back_impl(&h->list, &n->l, NULL, 0);
		bpf_spin_unlock(&h->lock);
		break;
	case 1:
		bpf_spin_lock(&h->lock);
		v->ret = rb_add(&h->tree, &n->r, less);
		bpf_spin_unlock(&h->lock);
		break;
	default:
		n = bpf_kptr_xchg(&h->node, n);
		if (n) {
			v->more = n->key;
			drop(n);
		}
	}
	return 0;
}

/* Makes a holder, or deletes it where z. */
PROGRAM(holder)
{
	static const u64 nothing[sizeof(struct holder) / 8];
	u32 key = v->x;

	if (v->z)
		v->ret = bpf_map_delete_elem(&holders, &key);
	else
		v->ret = bpf_map_update_elem(&holders, &key, nothing, v->y);
	return 0;
}

struct plain {
	u64 a, b;
	char c[40];
};

struct large {
	char bytes[4088];
};

struct too_large {
	char bytes[4089];
};

PROGRAM(plain)
{
	struct plain *p = new(struct plain);

	if (!p)
		return 1;
	p->a = v->x;
	p->b = p->a + 1;
	v->ret = p->a + p->b;
	drop(p);
	return 0;
}

PROGRAM(sizes)
{
	struct large *l = new(struct large);
	struct too_large *t = new(struct too_large);

	if (l) {
		v->ret = 1;
		drop(l);
	}
	if (t) {
		v->more = 1;
		drop(t);
	}
	return 0;
}

struct my_counter {
	u64 n;
};

struct percpu_slot {
	struct my_counter __percpu_kptr *c;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct percpu_slot);
} counters SEC(".maps");

PROGRAM(percpu)
{
	u32 zero = 0;
	struct percpu_slot *s = bpf_map_lookup_elem(&counters, &zero);
	struct my_counter __percpu_kptr *c;
	struct my_counter *n;

	if (!s)
		return 1;
	c = (struct my_counter __percpu_kptr *)bpf_percpu_obj_new_impl(bpf_core_type_id_local(struct my_counter), NULL);
	if (!c)
		return 2;
	c = bpf_kptr_xchg(&s->c, c);
	v->ret = !!c;
	if (c)
		bpf_percpu_obj_drop_impl(c, NULL);
	c = s->c;
	if (!c)
		return 3;
	n = bpf_this_cpu_ptr(c);
	n->n = v->x;
	n = bpf_per_cpu_ptr(c, bpf_get_smp_processor_id());
	if (!n)
		return 4;
	v->more = n->n;
	n = bpf_per_cpu_ptr(c, 100000);
	if (n)
		return 5;
	return 0;
}

BPFCT_LICENSE;
