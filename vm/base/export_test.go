package base

import "github.com/bpfct/bpfct/internal/errno"

// CheckFormat says whether bpf_snprintf takes the format with n arguments.
func CheckFormat(format string, n int) error {
	p := packer{mem: nothing{}, args: make([]uint64, n)}
	if e := p.pack([]byte(format)); e != 0 && e != errno.ENOSPC {
		return e
	}
	return nil
}

type nothing struct{}

func (nothing) span(uint64, int) []byte { return nil }
