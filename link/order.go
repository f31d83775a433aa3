package link

import (
	"slices"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// order puts the functions behind the program's own in the order in which libbpf
// appends them: each where it is first needed, and before what is needed after it.
// The numbers of instructions in the kernel's messages depend on it. Programs whose
// functions refer to each other by distance stay as they are.
func (l *linker) order() error {
	chunks := make(map[string]asm.Instructions)
	start, first := 0, ""
	cut := func(end int) {
		name := l.insns[start].Symbol()
		if start == 0 {
			first = name
		}
		chunks[name] = l.insns[start:end]
	}
	for i := range l.insns {
		ins := &l.insns[i]
		if ins.IsFunctionReference() && (ins.Reference() == "" || ins.Constant != -1) {
			return nil
		}
		if name := ins.Symbol(); i > 0 && name != "" && (btf.FuncMetadata(ins) != nil || l.isFunction(name)) {
			cut(i)
			start = i
		}
	}
	cut(len(l.insns))
	sorted := make(asm.Instructions, 0, len(l.insns))
	done := make(map[string]bool)
	var add func(name string)
	add = func(name string) {
		insns, ok := chunks[name]
		if !ok || done[name] {
			return
		}
		done[name] = true
		sorted = append(sorted, insns...)
		for i := range insns {
			if insns[i].IsFunctionReference() {
				add(insns[i].Reference())
			}
		}
	}
	add(first)
	if len(sorted) != len(l.insns) {
		return nil // something is there twice, or never used: what follows says so
	}
	l.insns = slices.Clip(sorted)
	return nil
}
