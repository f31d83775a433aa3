/* SPDX-License-Identifier: MIT */
/* Kernel functions on objects of a program's own. */
#include "bpfct.h"
#include <bpf/bpf_core_read.h>


struct bpf_list_head { u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_list_node { u64 opaque[3]; } __attribute__((aligned(8)));
struct bpf_rb_root { u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_rb_node { u64 opaque[4]; } __attribute__((aligned(8)));
struct bpf_refcount { u32 opaque[1]; } __attribute__((aligned(4)));

extern void *bpf_obj_new_impl(u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *kptr, void *meta) __ksym;
extern void *bpf_percpu_obj_new_impl(u64 local_type_id, void *meta) __ksym;
extern void bpf_percpu_obj_drop_impl(void *kptr, void *meta) __ksym;
extern void *bpf_refcount_acquire_impl(void *kptr, void *meta) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, u64 off) __ksym;
extern int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, u64 off) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
extern struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *head) __ksym;
extern struct bpf_list_node *bpf_list_front(struct bpf_list_head *head) __ksym;
extern struct bpf_list_node *bpf_list_back(struct bpf_list_head *head) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       bool (less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta, u64 off) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
extern struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *root) __ksym;
extern struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
extern struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;

#define new(type) ((type *)bpf_obj_new_impl(bpf_core_type_id_local(type), NULL))
#define drop(p) bpf_obj_drop_impl(p, NULL)
#define acquire(p) bpf_refcount_acquire_impl(p, NULL)
#define rb_add(root, node, less) bpf_rbtree_add_impl(root, node, less, NULL, 0)
#define entry(p, type, member) ((type *)((void *)(p) - offsetof(type, member)))
#define private_(name) SEC(".data." #name) __hidden __attribute__((aligned(8)))

struct my_node {
	u64 key;
	struct bpf_list_node l;
	struct bpf_rb_node r;
	struct bpf_refcount refs;
	u64 value;
};

struct slot {
	struct my_node __kptr *node;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, struct slot);
} slots SEC(".maps");

struct io {
	u64 x, y, z;
	s64 ret, more;
	u64 keys[12];
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

static __always_inline struct slot *slot(u64 i)
{
	u32 key = i;

	return bpf_map_lookup_elem(&slots, &key);
}

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return entry(a, struct my_node, r)->key < entry(b, struct my_node, r)->key;
}

#define PROGRAM(name)                                   \
	static __always_inline int name##_(struct io *v); \
	SEC("tc") int name(struct __sk_buff *skb)         \
	{                                                 \
		struct io *v = get();                     \
		return v ? name##_(v) : -1;               \
	}                                                 \
	static __always_inline int name##_(struct io *v)
