package link

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild -X -Wno-unused testdata/ct.bpf.c testdata/core.bpf.c testdata/list.bpf.c testdata/extern.bpf.c testdata/bad_kfunc.bpf.c
//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild -X -Wno-unused -target bpfeb -o testdata/big_endian.bpf.o testdata/bad_kfunc.bpf.c
