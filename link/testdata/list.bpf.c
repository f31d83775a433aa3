// Objects of the program's own types, and sections of .bss that share a lock.
#include "defs.h"

#define private(name) SEC(".bss." #name) __attribute__((aligned(8)))
#define __contains(type, node) __attribute__((btf_decl_tag("contains:" #type ":" #node)))

struct bpf_spin_lock {
	__u32 val;
};

struct bpf_list_head {
	__u64 : 64;
	__u64 : 64;
} __attribute__((aligned(8)));

struct bpf_list_node {
	__u64 : 64;
	__u64 : 64;
	__u64 : 64;
} __attribute__((aligned(8)));

struct elem {
	struct bpf_list_node node;
	int value;
};

void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
void bpf_obj_drop_impl(void *p, void *meta) __ksym;
int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, __u64 off) __ksym;

static long (*bpf_spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static long (*bpf_spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head head __contains(elem, node);
private(B) int other;

SEC("tc")
int push(struct __sk_buff *skb)
{
	struct elem *e = bpf_obj_new_impl(type_id_local(struct elem), 0);

	if (!e)
		return 1;
	e->value = other;
	bpf_spin_lock(&lock);
	bpf_list_push_back_impl(&head, &e->node, 0, 0);
	bpf_spin_unlock(&lock);
	return 0;
}
