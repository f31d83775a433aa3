/* SPDX-License-Identifier: MIT */
/* Lists, trees, reference counts, and each way to get them wrong. */
#include "bpfct_graph.h"

struct item {
	u64 key;
	struct bpf_list_node l;
	u64 data;
};

struct other {
	struct bpf_list_node l;
	u64 key;
};

struct leaf {
	u64 key;
	struct bpf_rb_node r;
};

struct shared {
	u64 key;
	struct bpf_list_node l;
	struct bpf_rb_node r;
	struct bpf_refcount refs;
};

struct nest {
	struct bpf_spin_lock lock;
	struct bpf_list_head head __contains(item, l);
	u64 n;
};

struct plain {
	u64 a, b;
};

struct value {
	struct bpf_spin_lock lock;
	int pad;
	struct bpf_list_head head __contains(item, l);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, struct value);
	__uint(max_entries, 4);
} values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, u64);
	__uint(max_entries, 4);
} numbers SEC(".maps");

bpfct_private(A) struct bpf_spin_lock la;
bpfct_private(A) struct bpf_list_head ha __contains(item, l);
bpfct_private(A) struct bpf_list_head ha2 __contains(item, l);
bpfct_private(B) struct bpf_spin_lock lb;
bpfct_private(B) struct bpf_rb_root rb __contains(leaf, r);
bpfct_private(C) struct bpf_spin_lock lc;
bpfct_private(C) struct bpf_list_head hc __contains(shared, l);
bpfct_private(C) struct bpf_rb_root rc __contains(shared, r);

struct bpf_list_node *bpf_list_front(struct bpf_list_head *head) __ksym;
struct bpf_list_node *bpf_list_back(struct bpf_list_head *head) __ksym;
struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *root) __ksym;
struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
void *bpf_percpu_obj_new_impl(u64 id, void *meta) __ksym;
void bpf_percpu_obj_drop_impl(void *p, void *meta) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	struct leaf *x = container_of(a, struct leaf, r), *y = container_of(b, struct leaf, r);
	return x->key < y->key;
}

static bool less_shared(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	struct shared *x = container_of(a, struct shared, r), *y = container_of(b, struct shared, r);
	return x->key < y->key;
}

SEC("tc") int push_pop(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);
	struct bpf_list_node *n;

	if (!i)
		return 0;
	i->data = 7;
	bpf_spin_lock(&la);
	bpf_list_push_front(&ha, &i->l);
	i->data = 8;
	n = bpf_list_pop_back(&ha);
	bpf_spin_unlock(&la);
	if (!n)
		return 1;
	i = container_of(n, struct item, l);
	int r = i->data;
	bpf_obj_drop(i);
	return r;
}

SEC("tc") int use_after_unlock(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_front(&ha, &i->l);
	bpf_spin_unlock(&la);
	return i->data;
}

SEC("tc") int leak(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	return i->data;
}

SEC("tc") int no_lock(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_list_push_front(&ha, &i->l);
	return 0;
}

SEC("tc") int wrong_lock(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_spin_lock(&lb);
	bpf_list_push_front(&ha, &i->l);
	bpf_spin_unlock(&lb);
	return 0;
}

SEC("tc") int wrong_type(void *ctx)
{
	struct other *i = bpf_obj_new(struct other);

	if (!i)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_front(&ha, &i->l);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int wrong_offset(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_front(&ha, (void *)&i->data);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int wrong_head(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_front((void *)&ha + 4, &i->l);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int var_head(struct __sk_buff *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_front((void *)&ha + (ctx->len & 8), &i->l);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int var_node(struct __sk_buff *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_front(&ha, (void *)&i->l + (ctx->len & 8));
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int head_not_value(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);
	struct bpf_list_head h = {};

	if (!i)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_front(&h, &i->l);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int node_not_object(void *ctx)
{
	struct bpf_list_node n = {};

	bpf_spin_lock(&la);
	bpf_list_push_front(&ha, &n);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int push_twice(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_front(&ha, &i->l);
	bpf_list_push_front(&ha2, &i->l);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int drop_pushed(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_front(&ha, &i->l);
	bpf_spin_unlock(&la);
	bpf_obj_drop(i);
	return 0;
}

SEC("tc") int drop_twice(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_obj_drop(i);
	bpf_obj_drop(i);
	return 0;
}

SEC("tc") int drop_null(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	bpf_obj_drop(i);
	return 0;
}

SEC("tc") int drop_inside(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_obj_drop(&i->l);
	return 0;
}

SEC("tc") int drop_stack(void *ctx)
{
	u64 x = 0;

	bpf_obj_drop(&x);
	return 0;
}

SEC("tc") int drop_number(void *ctx)
{
	bpf_obj_drop((void *)8);
	return 0;
}

SEC("tc") int drop_map_value(void *ctx)
{
	int k = 0;
	u64 *v = bpf_map_lookup_elem(&numbers, &k);

	if (!v)
		return 0;
	bpf_obj_drop(v);
	return 0;
}

SEC("tc") int peek(void *ctx)
{
	struct bpf_list_node *n;
	u64 r = 0;

	bpf_spin_lock(&la);
	n = bpf_list_front(&ha);
	if (n)
		r = container_of(n, struct item, l)->data;
	n = bpf_list_back(&ha2);
	if (n)
		r += container_of(n, struct item, l)->data;
	bpf_spin_unlock(&la);
	return r;
}

SEC("tc") int peek_unchecked(void *ctx)
{
	struct bpf_list_node *n;
	u64 r;

	bpf_spin_lock(&la);
	n = bpf_list_front(&ha);
	r = container_of(n, struct item, l)->data;
	bpf_spin_unlock(&la);
	return r;
}

SEC("tc") int peek_after(void *ctx)
{
	struct bpf_list_node *n;

	bpf_spin_lock(&la);
	n = bpf_list_front(&ha);
	bpf_spin_unlock(&la);
	if (!n)
		return 0;
	return container_of(n, struct item, l)->data;
}

SEC("tc") int drop_peeked(void *ctx)
{
	struct bpf_list_node *n;

	bpf_spin_lock(&la);
	n = bpf_list_front(&ha);
	if (n)
		bpf_list_push_front(&ha, n);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int pop_unchecked(void *ctx)
{
	struct bpf_list_node *n;

	bpf_spin_lock(&la);
	n = bpf_list_pop_front(&ha);
	bpf_spin_unlock(&la);
	bpf_obj_drop(container_of(n, struct item, l));
	return 0;
}

SEC("tc") int pop_leak(void *ctx)
{
	bpf_spin_lock(&la);
	bpf_list_pop_front(&ha);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int special_read(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);
	u64 r;

	if (!i)
		return 0;
	r = *(volatile u64 *)&i->l;
	bpf_obj_drop(i);
	return r;
}

SEC("tc") int beyond(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);
	u64 r;

	if (!i)
		return 0;
	r = *((volatile u64 *)i + 5);
	bpf_obj_drop(i);
	return r;
}

SEC("tc") int negative(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);
	u64 r;

	if (!i)
		return 0;
	r = *((volatile u64 *)i - 1);
	bpf_obj_drop(i);
	return r;
}

SEC("tc") int variable(struct __sk_buff *ctx)
{
	struct item *i = bpf_obj_new(struct item);
	u64 r;

	if (!i)
		return 0;
	r = *((volatile char *)i + (ctx->len & 7));
	bpf_obj_drop(i);
	return r;
}

SEC("tc") int write_last_byte(struct __sk_buff *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	*((volatile char *)&i->data + 7) = 1;
	*((volatile u32 *)&i->data + 1) = 1;
	__sync_fetch_and_add(&i->data, 1);
	bpf_obj_drop(i);
	return 0;
}

SEC("tc") int nested(void *ctx)
{
	struct nest *n = bpf_obj_new(struct nest);
	struct item *i;
	struct bpf_list_node *p;

	if (!n)
		return 0;
	i = bpf_obj_new(struct item);
	if (!i) {
		bpf_obj_drop(n);
		return 0;
	}
	bpf_spin_lock(&n->lock);
	bpf_list_push_back(&n->head, &i->l);
	p = bpf_list_pop_front(&n->head);
	bpf_spin_unlock(&n->lock);
	if (p)
		bpf_obj_drop(container_of(p, struct item, l));
	bpf_obj_drop(n);
	return 0;
}

SEC("tc") int nested_two(void *ctx)
{
	struct nest *n = bpf_obj_new(struct nest), *m;
	struct item *i;

	if (!n)
		return 0;
	m = bpf_obj_new(struct nest);
	if (!m) {
		bpf_obj_drop(n);
		return 0;
	}
	i = bpf_obj_new(struct item);
	if (i) {
		bpf_spin_lock(&n->lock);
		bpf_list_push_back(&m->head, &i->l);
		bpf_spin_unlock(&n->lock);
	}
	bpf_obj_drop(n);
	bpf_obj_drop(m);
	return 0;
}

SEC("tc") int value_list(void *ctx)
{
	int k = 1;
	struct value *v = bpf_map_lookup_elem(&values, &k);
	struct item *i;

	if (!v)
		return 0;
	i = bpf_obj_new(struct item);
	if (!i)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_list_push_back(&v->head, &i->l);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc") int value_other(void *ctx)
{
	int k = 1;
	struct value *v, *w;
	struct item *i;

	v = bpf_map_lookup_elem(&values, &k);
	w = bpf_map_lookup_elem(&values, &k);
	if (!v || !w)
		return 0;
	i = bpf_obj_new(struct item);
	if (!i)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_list_push_back(&w->head, &i->l);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc") int tree(void *ctx)
{
	struct leaf *x = bpf_obj_new(struct leaf);
	struct bpf_rb_node *n;
	u64 r = 0;

	if (!x)
		return 0;
	x->key = 3;
	bpf_spin_lock(&lb);
	bpf_rbtree_add(&rb, &x->r, less);
	n = bpf_rbtree_first(&rb);
	if (!n) {
		bpf_spin_unlock(&lb);
		return 1;
	}
	r = container_of(n, struct leaf, r)->key;
	n = bpf_rbtree_remove(&rb, n);
	bpf_spin_unlock(&lb);
	if (!n)
		return 2;
	bpf_obj_drop(container_of(n, struct leaf, r));
	return r;
}

SEC("tc") int tree_walk(void *ctx)
{
	struct bpf_rb_node *n;
	u64 r = 0;

	bpf_spin_lock(&lb);
	n = bpf_rbtree_root(&rb);
	if (n)
		n = bpf_rbtree_left(&rb, n);
	if (n)
		n = bpf_rbtree_right(&rb, n);
	if (n)
		r = container_of(n, struct leaf, r)->key;
	bpf_spin_unlock(&lb);
	return r;
}

SEC("tc") int tree_left_owned(void *ctx)
{
	struct leaf *x = bpf_obj_new(struct leaf);

	if (!x)
		return 0;
	bpf_spin_lock(&lb);
	bpf_rbtree_left(&rb, &x->r);
	bpf_spin_unlock(&lb);
	bpf_obj_drop(x);
	return 0;
}

SEC("tc") int tree_remove_stack(void *ctx)
{
	struct bpf_rb_node n = {};

	bpf_spin_lock(&lb);
	bpf_rbtree_remove(&rb, &n);
	bpf_spin_unlock(&lb);
	return 0;
}

SEC("tc") int tree_first_unlocked(void *ctx)
{
	bpf_rbtree_first(&rb);
	return 0;
}

static bool less_locks(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	bpf_spin_unlock(&lb);
	return true;
}

static bool less_looks(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	struct bpf_rb_node *n = bpf_rbtree_first(&rb);

	return n != NULL;
}

static bool less_removes(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	bpf_rbtree_remove(&rb, a);
	return true;
}

static bool less_adds(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	bpf_rbtree_add(&rb, a, less);
	return true;
}

static bool less_rcu(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	bpf_rcu_read_lock();
	return true;
}

static bool less_two(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct leaf, r)->key;
}

#define TREE_WITH(name)                                                                                                \
	SEC("tc") int tree_##name(void *ctx)                                                                          \
	{                                                                                                              \
		struct leaf *x = bpf_obj_new(struct leaf);                                                             \
		if (!x)                                                                                                \
			return 0;                                                                                      \
		bpf_spin_lock(&lb);                                                                                    \
		bpf_rbtree_add(&rb, &x->r, (void *)name);                                                              \
		bpf_spin_unlock(&lb);                                                                                  \
		return 0;                                                                                              \
	}

TREE_WITH(less_locks)
TREE_WITH(less_looks)
TREE_WITH(less_removes)
TREE_WITH(less_adds)
TREE_WITH(less_rcu)
TREE_WITH(less_two)

SEC("tc") int tree_no_callback(void *ctx)
{
	struct leaf *x = bpf_obj_new(struct leaf);

	if (!x)
		return 0;
	bpf_spin_lock(&lb);
	bpf_rbtree_add(&rb, &x->r, (void *)ctx);
	bpf_spin_unlock(&lb);
	return 0;
}

SEC("tc") int shared_both(void *ctx)
{
	struct shared *x = bpf_obj_new(struct shared), *y;
	struct bpf_rb_node *n;

	if (!x)
		return 0;
	y = bpf_refcount_acquire(x);
	bpf_spin_lock(&lc);
	bpf_rbtree_add(&rc, &x->r, less_shared);
	bpf_list_push_back(&hc, &y->l);
	n = bpf_rbtree_remove(&rc, &x->r);
	bpf_spin_unlock(&lc);
	if (!n)
		return 0;
	bpf_obj_drop(container_of(n, struct shared, r));
	return 0;
}

SEC("tc") int shared_from_list(void *ctx)
{
	struct bpf_list_node *n;
	struct shared *x;

	bpf_spin_lock(&lc);
	n = bpf_list_front(&hc);
	if (!n) {
		bpf_spin_unlock(&lc);
		return 0;
	}
	x = bpf_refcount_acquire(container_of(n, struct shared, l));
	bpf_spin_unlock(&lc);
	if (!x)
		return 1;
	bpf_obj_drop(x);
	return 0;
}

SEC("tc") int shared_unchecked(void *ctx)
{
	struct bpf_list_node *n;
	struct shared *x;

	bpf_spin_lock(&lc);
	n = bpf_list_front(&hc);
	if (!n) {
		bpf_spin_unlock(&lc);
		return 0;
	}
	x = bpf_refcount_acquire(container_of(n, struct shared, l));
	bpf_spin_unlock(&lc);
	bpf_obj_drop(x);
	return 0;
}

SEC("tc") int share_uncounted(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_refcount_acquire(i);
	return 0;
}

SEC("tc") int share_stack(void *ctx)
{
	u64 x = 0;

	bpf_refcount_acquire(&x);
	return 0;
}

SEC("tc") int share_null(void *ctx)
{
	struct shared *i = bpf_obj_new(struct shared);

	bpf_refcount_acquire(i);
	return 0;
}

SEC("tc") int shared_rcu_after_unlock(void *ctx)
{
	struct shared *x = bpf_obj_new(struct shared);

	if (!x)
		return 0;
	bpf_spin_lock(&lc);
	bpf_list_push_back(&hc, &x->l);
	bpf_spin_unlock(&lc);
	return x->key;
}

SEC("tc") int percpu(void *ctx)
{
	struct plain *p = bpf_percpu_obj_new_impl(bpfct_local_type_id(struct plain), NULL);

	if (!p)
		return 0;
	bpf_percpu_obj_drop_impl(p, NULL);
	return 0;
}

SEC("tc") int percpu_read(void *ctx)
{
	struct plain *p = bpf_percpu_obj_new_impl(bpfct_local_type_id(struct plain), NULL);
	u64 r;

	if (!p)
		return 0;
	r = *(volatile u64 *)&p->a;
	bpf_percpu_obj_drop_impl(p, NULL);
	return r;
}

SEC("tc") int percpu_this(void *ctx)
{
	struct plain *p = bpf_percpu_obj_new_impl(bpfct_local_type_id(struct plain), NULL), *q;
	u64 r;

	if (!p)
		return 0;
	q = bpf_this_cpu_ptr(p);
	q->a = 3;
	r = q->b;
	bpf_percpu_obj_drop_impl(p, NULL);
	return r;
}

SEC("tc") int percpu_this_after(void *ctx)
{
	struct plain *p = bpf_percpu_obj_new_impl(bpfct_local_type_id(struct plain), NULL), *q;

	if (!p)
		return 0;
	q = bpf_this_cpu_ptr(p);
	bpf_percpu_obj_drop_impl(p, NULL);
	return q->b;
}

SEC("tc") int percpu_per(void *ctx)
{
	struct plain *p = bpf_percpu_obj_new_impl(bpfct_local_type_id(struct plain), NULL), *q;
	u64 r = 0;

	if (!p)
		return 0;
	q = bpf_per_cpu_ptr(p, 1);
	if (q)
		r = q->a;
	bpf_percpu_obj_drop_impl(p, NULL);
	return r;
}

SEC("tc") int percpu_special(void *ctx)
{
	void *p = bpf_percpu_obj_new_impl(bpfct_local_type_id(struct item), NULL);

	if (p)
		bpf_percpu_obj_drop_impl(p, NULL);
	return 0;
}

SEC("tc") int percpu_dropped_plain(void *ctx)
{
	struct plain *p = bpf_percpu_obj_new_impl(bpfct_local_type_id(struct plain), NULL);

	if (p)
		bpf_obj_drop(p);
	return 0;
}

SEC("tc") int plain_dropped_percpu(void *ctx)
{
	struct plain *p = bpf_obj_new(struct plain);

	if (p)
		bpf_percpu_obj_drop_impl(p, NULL);
	return 0;
}

SEC("tc") int plain_pushed(void *ctx)
{
	struct plain *p = bpf_obj_new(struct plain);

	if (!p)
		return 0;
	bpf_spin_lock(&la);
	bpf_list_push_back(&ha, (void *)p);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int new_variable(struct __sk_buff *ctx)
{
	bpf_obj_new_impl(ctx->len, NULL);
	return 0;
}

SEC("tc") int new_no_struct(struct __sk_buff *ctx)
{
	bpf_obj_new_impl(0, NULL);
	return 0;
}

SEC("tc") int new_unknown(struct __sk_buff *ctx)
{
	bpf_obj_new_impl(100000, NULL);
	return 0;
}

SEC("tc") int new_large(struct __sk_buff *ctx)
{
	bpf_obj_new_impl(1ULL << 40, NULL);
	return 0;
}

SEC("tc") int lock_twice(void *ctx)
{
	bpf_spin_lock(&la);
	bpf_spin_lock(&la);
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int unlock_only(void *ctx)
{
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int unlock_other(void *ctx)
{
	bpf_spin_lock(&la);
	bpf_spin_unlock(&lb);
	return 0;
}

SEC("tc") int unlock_other_value(void *ctx)
{
	int k = 1;
	struct value *v, *w;

	v = bpf_map_lookup_elem(&values, &k);
	w = bpf_map_lookup_elem(&values, &k);
	if (!v || !w)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&w->lock);
	return 0;
}

SEC("tc") int exit_locked(void *ctx)
{
	bpf_spin_lock(&la);
	return 0;
}

SEC("tc") int lock_no_lock(void *ctx)
{
	int k = 0;
	u64 *v = bpf_map_lookup_elem(&numbers, &k);

	if (!v)
		return 0;
	bpf_spin_lock((void *)v);
	bpf_spin_unlock((void *)v);
	return 0;
}

SEC("tc") int lock_offset(void *ctx)
{
	int k = 0;
	struct value *v = bpf_map_lookup_elem(&values, &k);

	if (!v)
		return 0;
	bpf_spin_lock((void *)&v->pad);
	bpf_spin_unlock((void *)&v->pad);
	return 0;
}

SEC("tc") int lock_object_none(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	bpf_spin_lock((void *)i);
	bpf_spin_unlock((void *)i);
	bpf_obj_drop(i);
	return 0;
}

SEC("tc") int lock_stack(void *ctx)
{
	struct bpf_spin_lock l = {};

	bpf_spin_lock(&l);
	bpf_spin_unlock(&l);
	return 0;
}

SEC("tc") int lock_variable(struct __sk_buff *ctx)
{
	int k = 0;
	struct value *v = bpf_map_lookup_elem(&values, &k);

	if (!v)
		return 0;
	bpf_spin_lock((void *)v + (ctx->len & 4));
	return 0;
}

static __noinline int helper(void)
{
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int unlock_in_function(void *ctx)
{
	bpf_spin_lock(&la);
	helper();
	return 0;
}

SEC("tc") int helper_locked(void *ctx)
{
	bpf_spin_lock(&la);
	bpf_ktime_get_ns();
	bpf_spin_unlock(&la);
	return 0;
}

SEC("tc") int new_locked(void *ctx)
{
	struct item *i;

	bpf_spin_lock(&la);
	i = bpf_obj_new(struct item);
	bpf_spin_unlock(&la);
	if (i)
		bpf_obj_drop(i);
	return 0;
}

SEC("tc") int branches(struct __sk_buff *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (!i)
		return 0;
	if (ctx->len > 3) {
		bpf_spin_lock(&la);
		bpf_list_push_front(&ha, &i->l);
		bpf_spin_unlock(&la);
		return 1;
	}
	if (ctx->len == 2) {
		bpf_obj_drop(i);
		return 2;
	}
	return 3;
}

SEC("xdp") int in_xdp(struct xdp_md *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (i)
		bpf_obj_drop(i);
	return 2;
}

SEC("socket") int in_socket(struct __sk_buff *ctx)
{
	struct item *i = bpf_obj_new(struct item);

	if (i)
		bpf_obj_drop(i);
	return 2;
}

BPFCT_LICENSE;
