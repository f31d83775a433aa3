package main

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/cli.c testdata/refused.c testdata/huge.c
