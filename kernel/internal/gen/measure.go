//go:build linux

package main

import (
	"github.com/cilium/ebpf/btf"

	"github.com/bpfct/bpfct/kernel"
)

func measure(spec *btf.Spec, helpers, kfuncs []*kernel.Prototype) error {
	return nil
}
