package replay

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/snat.c
