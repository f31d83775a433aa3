//go:build linux

package main

import "github.com/bpfct/bpfct/kernel"

var (
	cbMap   = kernel.Arg{Name: "map", C: "struct bpf_map *", Type: kernel.ArgConstMapPtr}
	cbKey   = kernel.Arg{Name: "key", C: "void *", Type: kernel.ArgMapKey}
	cbValue = kernel.Arg{Name: "value", C: "void *", Type: kernel.ArgMapValue}
	cbCtx   = kernel.Arg{Name: "ctx", C: "void *", Type: kernel.ArgAnything}
	cbNode  = kernel.Arg{Type: kernel.ArgRBNode, BTF: "bpf_rb_node", C: "struct bpf_rb_node *"}
)

func node(name string) kernel.Arg {
	a := cbNode
	a.Name = name
	return a
}

// callbacks are what functions call back with, which the verifier has in code
// and in no table. A test returns what is out of range from each that it can
// call.
var callbacks = map[string]*kernel.Callback{
	"bpf_loop": {
		Arg: 1, Context: 2, ReturnMax: 1,
		Args: []kernel.Arg{{Name: "index", C: "u32", Type: kernel.ArgScalar}, cbCtx},
	},
	"bpf_for_each_map_elem": {
		Arg: 1, Context: 2, ReturnMax: 1,
		Args: []kernel.Arg{cbMap, cbKey, cbValue, cbCtx},
	},
	"bpf_find_vma": {
		Arg: 2, Context: 3, ReturnMax: 1,
		Args: []kernel.Arg{
			{Name: "task", C: "struct task_struct *", Type: kernel.ArgBTFID, BTF: "task_struct"},
			{Name: "vma", C: "struct vm_area_struct *", Type: kernel.ArgBTFID, BTF: "vm_area_struct"},
			cbCtx,
		},
	},
	"bpf_user_ringbuf_drain": {
		Arg: 1, Context: 2, ReturnMax: 1,
		Args: []kernel.Arg{{Name: "dynptr", C: "struct bpf_dynptr *", Type: kernel.ArgDynptr | kernel.ArgDynptrLocal | kernel.ArgReadOnly, BTF: "bpf_dynptr"}, cbCtx},
	},
	"bpf_timer_set_callback":             {Arg: 1, Async: true, Args: []kernel.Arg{cbMap, cbKey, cbValue}},
	"bpf_wq_set_callback_impl":           {Arg: 1, Async: true, Args: []kernel.Arg{cbMap, cbKey, cbValue}},
	"bpf_task_work_schedule_signal_impl": {Arg: 3, Async: true, Args: []kernel.Arg{cbMap, cbKey, cbValue}},
	"bpf_task_work_schedule_resume_impl": {Arg: 3, Async: true, Args: []kernel.Arg{cbMap, cbKey, cbValue}},
	"bpf_rbtree_add_impl":                {Arg: 2, ReturnMax: 1, Args: []kernel.Arg{node("a"), node("b")}},
}
