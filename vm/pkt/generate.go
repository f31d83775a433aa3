package pkt

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/ops.c testdata/sock.c testdata/kern.c
