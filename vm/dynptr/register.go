package dynptr

import (
	"github.com/bpfct/bpfct/vm"
	"github.com/bpfct/bpfct/vm/base"
)

// Register adds the helpers and kfuncs of this package to r. Those on packets
// and ring buffers call bpf_skb_load_bytes, bpf_ringbuf_reserve and the like, which
// other packages register.
func Register(r *vm.Registry) {
	for name, f := range map[string]vm.Func{
		"bpf_dynptr_from_mem":        fromMem,
		"bpf_ringbuf_reserve_dynptr": reserve,
		"bpf_ringbuf_submit_dynptr":  finish("bpf_ringbuf_submit"),
		"bpf_ringbuf_discard_dynptr": finish("bpf_ringbuf_discard"),
		"bpf_dynptr_from_skb":        fromPacket(skb),
		"bpf_dynptr_from_xdp":        fromPacket(xdp),
		"bpf_dynptr_from_skb_meta":   fromPacket(skbMeta),
		"bpf_dynptr_read":            read,
		"bpf_dynptr_write":           write,
		"bpf_dynptr_data":            data,
		"bpf_dynptr_slice":           slice,
		"bpf_dynptr_slice_rdwr":      sliceWritable,
		"bpf_dynptr_adjust":          adjust,
		"bpf_dynptr_clone":           clone,
		"bpf_dynptr_copy":            copyBetween,
		"bpf_dynptr_memset":          fill,
		"bpf_dynptr_size":            ask(sizeOf),
		"bpf_dynptr_is_null":         ask(func(s state) uint64 { return truth(s.isNull()) }),
		"bpf_dynptr_is_rdonly":       ask(func(s state) uint64 { return truth(!s.isNull() && s.isReadOnly()) }),

		"bpf_probe_read_kernel_dynptr":     probe(base.ReadKernel),
		"bpf_probe_read_user_dynptr":       probe(base.ReadUser),
		"bpf_probe_read_kernel_str_dynptr": probeString(base.ReadKernelString),
		"bpf_probe_read_user_str_dynptr":   probeString(base.ReadUserString),
	} {
		r.Add(name, f)
	}
}
