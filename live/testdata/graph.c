/* SPDX-License-Identifier: MIT */
/* Local objects in a list, in a tree and behind a kptr, beside plain globals. */
#include "bpfct_graph.h"

BPFCT_LICENSE;

struct item {
	u64 key;
	struct bpf_list_node list;
};

struct leaf {
	u64 key;
	struct bpf_rb_node tree;
};

struct kept {
	u64 value;
};

bpfct_private(A) struct bpf_spin_lock list_lock;
bpfct_private(A) struct bpf_list_head list_head __contains(item, list);
bpfct_private(B) struct bpf_spin_lock tree_lock;
bpfct_private(B) struct bpf_rb_root tree_root __contains(leaf, tree);

struct slot {
	struct kept __kptr *kept;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct slot);
} slots SEC(".maps");

const volatile u64 seed = 41;
u64 from_list;
u64 from_tree;
u64 from_slot;
u64 plain = 5;

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct leaf, tree)->key < container_of(b, struct leaf, tree)->key;
}

SEC("tc")
int list(struct __sk_buff *skb)
{
	struct bpf_list_node *n;
	struct item *item = bpf_obj_new(typeof(*item));

	if (!item)
		return 1;
	item->key = seed;
	bpf_spin_lock(&list_lock);
	bpf_list_push_front(&list_head, &item->list);
	n = bpf_list_pop_back(&list_head);
	bpf_spin_unlock(&list_lock);
	if (!n)
		return 2;
	item = container_of(n, struct item, list);
	from_list = item->key;
	bpf_obj_drop(item);
	return 0;
}

SEC("tc")
int tree(struct __sk_buff *skb)
{
	struct bpf_rb_node *n;
	struct leaf *leaf = bpf_obj_new(typeof(*leaf));

	if (!leaf)
		return 1;
	leaf->key = seed + 1;
	bpf_spin_lock(&tree_lock);
	bpf_rbtree_add(&tree_root, &leaf->tree, less);
	n = bpf_rbtree_first(&tree_root);
	if (!n) {
		bpf_spin_unlock(&tree_lock);
		return 2;
	}
	n = bpf_rbtree_remove(&tree_root, n);
	bpf_spin_unlock(&tree_lock);
	if (!n)
		return 3;
	leaf = container_of(n, struct leaf, tree);
	from_tree = leaf->key;
	bpf_obj_drop(leaf);
	return 0;
}

SEC("tc")
int kptr(struct __sk_buff *skb)
{
	struct kept *new, *old;
	struct slot *slot;
	int zero = 0;

	slot = bpf_map_lookup_elem(&slots, &zero);
	if (!slot)
		return 1;
	new = bpf_obj_new(typeof(*new));
	if (!new)
		return 2;
	new->value = seed + 2;
	old = bpf_kptr_xchg(&slot->kept, new);
	if (old)
		bpf_obj_drop(old);
	old = bpf_kptr_xchg(&slot->kept, NULL);
	if (!old)
		return 3;
	from_slot = old->value;
	bpf_obj_drop(old);
	return 0;
}

/* Held when the program ends: the verifier must refuse it. */
SEC("tc")
int leak_object(struct __sk_buff *skb)
{
	struct item *item = bpf_obj_new(typeof(*item));

	return item ? item->key : 0;
}

extern int LINUX_KERNEL_VERSION __kconfig;

SEC("tc")
int version(struct __sk_buff *skb)
{
	return LINUX_KERNEL_VERSION;
}

extern void nf_conntrack_hash __ksym __weak;

SEC("tc")
int symbol(struct __sk_buff *skb)
{
	return &nf_conntrack_hash != NULL;
}
