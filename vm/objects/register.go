package objects

import "github.com/bpfct/bpfct/vm"

// Register adds the helpers and kfuncs of this package to r.
func Register(r *vm.Registry) {
	h := newHeap()
	for name, f := range map[string]vm.Func{
		"bpf_obj_new_impl":          h.newLocal,
		"bpf_obj_drop_impl":         dropLocal,
		"bpf_percpu_obj_new_impl":   h.newPercpu,
		"bpf_percpu_obj_drop_impl":  dropPercpu,
		"bpf_per_cpu_ptr":           perCPU,
		"bpf_this_cpu_ptr":          thisCPU,
		"bpf_refcount_acquire_impl": acquire,
		"bpf_kptr_xchg":             exchange,
		"bpf_list_push_front_impl":  func(c *vm.CPU, a *[5]uint64) (uint64, error) { return push(c, a, false) },
		"bpf_list_push_back_impl":   func(c *vm.CPU, a *[5]uint64) (uint64, error) { return push(c, a, true) },
		"bpf_list_pop_front":        func(c *vm.CPU, a *[5]uint64) (uint64, error) { return pop(c, a, listNext) },
		"bpf_list_pop_back":         func(c *vm.CPU, a *[5]uint64) (uint64, error) { return pop(c, a, listPrev) },
		"bpf_list_front":            func(c *vm.CPU, a *[5]uint64) (uint64, error) { return peek(c, a, listNext) },
		"bpf_list_back":             func(c *vm.CPU, a *[5]uint64) (uint64, error) { return peek(c, a, listPrev) },
		"bpf_rbtree_add_impl":       treeAdd,
		"bpf_rbtree_remove":         treeRemove,
		"bpf_rbtree_first":          func(c *vm.CPU, a *[5]uint64) (uint64, error) { return treeEntry(c, a, rootLeftmost) },
		"bpf_rbtree_root":           func(c *vm.CPU, a *[5]uint64) (uint64, error) { return treeEntry(c, a, rootTop) },
		"bpf_rbtree_left":           func(c *vm.CPU, a *[5]uint64) (uint64, error) { return treeChild(c, a, left) },
		"bpf_rbtree_right":          func(c *vm.CPU, a *[5]uint64) (uint64, error) { return treeChild(c, a, right) },
	} {
		r.Add(name, f)
	}
}
