package testkernel

import (
	"bytes"
	"os"
)

// Missing says what keeps this process from asking the kernel, "" for nothing.
func Missing() string {
	if os.Geteuid() != 0 {
		return "not running as root"
	}
	data, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		return "the kernel has no BTF: " + err.Error()
	}
	if !bytes.Contains(data, []byte("bpf_skb_ct_alloc")) {
		if _, err := os.Stat("/sys/kernel/btf/nf_conntrack"); err != nil {
			return "the kernel's BTF does not name bpf_skb_ct_alloc"
		}
	}
	return ""
}
