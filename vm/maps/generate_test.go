package maps

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/ops.c testdata/output.c testdata/fields.c testdata/handle.c
