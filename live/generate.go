package live

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/ct.c
