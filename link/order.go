package link

import (
	"slices"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// order puts the functions in libbpf's order.
func (l *linker) order() error {
	l.insns = OrderFunctions(l.insns)
	return nil
}

// OrderFunctions puts the functions of a program behind its own, as libbpf does, each
// where it is first needed, and before what is needed after it. The numbers of
// instructions in the kernel's messages depend on it. Programs whose functions refer to
// each other by distance stay as they are.
func OrderFunctions(insns asm.Instructions) asm.Instructions {
	if len(insns) == 0 {
		return insns
	}
	called := make(map[string]bool)
	for i := range insns {
		if insns[i].IsFunctionReference() {
			called[insns[i].Reference()] = true
		}
	}
	chunks := make(map[string]asm.Instructions)
	start, first := 0, ""
	cut := func(end int) {
		name := insns[start].Symbol()
		if start == 0 {
			first = name
		}
		chunks[name] = insns[start:end]
	}
	for i := range insns {
		ins := &insns[i]
		if ins.IsFunctionReference() && (ins.Reference() == "" || ins.Constant != -1) {
			return insns
		}
		if name := ins.Symbol(); i > 0 && name != "" && (btf.FuncMetadata(ins) != nil || called[name]) {
			cut(i)
			start = i
		}
	}
	cut(len(insns))
	sorted := make(asm.Instructions, 0, len(insns))
	done := make(map[string]bool)
	var add func(name string)
	add = func(name string) {
		chunk, ok := chunks[name]
		if !ok || done[name] {
			return
		}
		done[name] = true
		sorted = append(sorted, chunk...)
		for i := range chunk {
			if chunk[i].IsFunctionReference() {
				add(chunk[i].Reference())
			}
		}
	}
	add(first)
	if len(sorted) != len(insns) {
		return insns // something is there twice, or never used: what follows says so
	}
	return slices.Clip(sorted)
}
