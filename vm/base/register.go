package base

import "github.com/bpfct/bpfct/vm"

// Register adds the helpers and kfuncs of this package to r.
func Register(r *vm.Registry) {
	for _, set := range []map[string]vm.Func{
		timeFuncs, cpuFuncs, loopFuncs, numberFuncs, compareFuncs, searchFuncs, printFuncs,
		probeFuncs, lockFuncs, sectionFuncs, numIterFuncs, bitsIterFuncs, flowFuncs,
	} {
		for name, f := range set {
			r.Add(name, f)
		}
	}
	t := new(tasks)
	r.Add("bpf_get_current_task", t.current)
	r.Add("bpf_get_current_task_btf", t.current)
}
