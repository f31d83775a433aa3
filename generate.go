package bpfct

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/api.c testdata/faults.c
