package link

//go:generate clang-19 -O2 -g -target bpf -mcpu=v3 -Wall -Wno-unused -I testdata -fdebug-compilation-dir=. -c testdata/ct.bpf.c -o testdata/ct.bpf.o
//go:generate clang-19 -O2 -g -target bpf -mcpu=v3 -Wall -Wno-unused -I testdata -fdebug-compilation-dir=. -c testdata/core.bpf.c -o testdata/core.bpf.o
//go:generate clang-19 -O2 -g -target bpf -mcpu=v3 -Wall -Wno-unused -I testdata -fdebug-compilation-dir=. -c testdata/list.bpf.c -o testdata/list.bpf.o
//go:generate clang-19 -O2 -g -target bpf -mcpu=v3 -Wall -Wno-unused -I testdata -fdebug-compilation-dir=. -c testdata/extern.bpf.c -o testdata/extern.bpf.o
//go:generate clang-19 -O2 -g -target bpf -mcpu=v3 -Wall -Wno-unused -I testdata -fdebug-compilation-dir=. -c testdata/bad_kfunc.bpf.c -o testdata/bad_kfunc.bpf.o
//go:generate clang-19 -O2 -g -target bpfeb -mcpu=v3 -Wall -Wno-unused -I testdata -fdebug-compilation-dir=. -c testdata/bad_kfunc.bpf.c -o testdata/big_endian.bpf.o
