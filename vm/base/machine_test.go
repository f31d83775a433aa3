package base_test

import (
	"errors"
	"testing"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/internal/judge"
	"github.com/bpfct/bpfct/vm"
)

// What the tests against the kernel prove, a little of it, where there is none.
func TestOnTheMachine(t *testing.T) {
	p := judge.Load(t, "testdata/base.o", judge.Options{MachineOnly: true})
	for _, tt := range []struct {
		name, program string
		in            io
		want          [3]int64 // ret, val, more
	}{
		{"strtol", "signed_number", io{x: 3, y: 10, a: []byte("-12")}, [3]int64{3, -12, 0}},
		{"strtoul of a negative", "unsigned_number", io{x: 3, y: 10, a: []byte("-12")}, [3]int64{-22, 0, 0}},
		{"strncmp", "compare", io{x: 7, a: []byte("needle")}, [3]int64{0, 1, 1}},
		{"strlen", "strings", io{z: 6, a: []byte("four")}, [3]int64{4, 0, 0}},
		{"strstr", "strings", io{z: 10, a: []byte("haystack"), b: []byte("st")}, [3]int64{3, 0, 0}},
		{"strstr of what is not there", "strings", io{z: 10, a: []byte("hay"), b: []byte("x")}, [3]int64{-2, 0, 0}},
		{"strlen of NULL", "bad_strings", io{z: 6, w: 1}, [3]int64{-34, 0, 0}},
		{"loop", "loop", io{x: 10, y: 4}, [3]int64{4, 4, 6}},
		{"loop with flags", "loop", io{x: 10, z: 1}, [3]int64{-22, 0, 0}},
		{"loop too often", "loop", io{x: 8<<20 + 1}, [3]int64{-7, 0, 0}},
		{"numbers", "iter_num", io{x: 3, y: 7}, [3]int64{0, 4, 0}},
		{"numbers the wrong way", "iter_num", io{x: 7, y: 3}, [3]int64{-22, 0, 0}},
		{"bits", "iter_bits", io{x: 2, a: []byte{0x81, 0, 0, 0, 0, 0, 0, 0, 1}}, [3]int64{0, 3, (0*31+7)*31 + 64}},
		{"too many bits", "iter_bits", io{x: 512}, [3]int64{-7, 0, 0}},
		{"stream", "stream", io{x: 1, y: 5, a: []byte("a")}, [3]int64{0, -22, 0}},
		{"no stream", "stream", io{x: 3}, [3]int64{-2, -2, -2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := p.RunMachine(tt.program, tt.in.bytes(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range tt.want {
				if got := int64(le.Uint64(out.IO[32+8*i:])); got != want {
					t.Errorf("value %d is %d, want %d", i, got, want)
				}
			}
		})
	}
	for program, want := range map[string]uint32{"sections": 3, "environment": 0, "current_task": 0} {
		if out, err := p.RunMachine(program, nil, nil); err != nil || out.Ret != want {
			t.Errorf("%s returned %d, %v; want %d", program, out.Ret, err, want)
		}
	}
	if out, err := p.RunMachine("throw", io{x: 77}.bytes(), nil); err != nil || out.Ret != 77 {
		t.Errorf("throw returned %d, %v", out.Ret, err)
	}
}

func TestTraceLines(t *testing.T) {
	p := judge.Load(t, "testdata/print.o", judge.Options{MachineOnly: true})
	in := make([]byte, printLines*lineSize+256+24)
	setArgs(in, []printArg{{raw: 5}, {string: true, text: "words"}, {raw: 'c'}})
	copy(in[printLines*lineSize:], "%d %s %c\x00")
	le.PutUint64(in[printLines*lineSize+256:], 9)
	if err := p.Machine.Maps["io"].Put(uint32(0), in); err != nil {
		t.Fatal(err)
	}
	res, err := p.Machine.Programs["printk"].Run(&bpfct.RunOptions{Data: make([]byte, 64)})
	if err != nil || len(res.Trace) != 1 || res.Trace[0] != "5 words c" {
		t.Errorf("%q, %v", res.Trace, err)
	}
}

// A loop that never ends is ended.
func TestLoopPastTheLimit(t *testing.T) {
	p := judge.Load(t, "testdata/base.o", judge.Options{MachineOnly: true, Host: bpfct.HostOptions{MaxInsns: 1000}})
	_, err := p.RunMachine("loop", io{x: 8 << 20}.bytes(), nil)
	var f *vm.Fault
	if !errors.As(err, &f) || f.Kind != vm.LimitExceeded {
		t.Errorf("%v", err)
	}
}

func BenchmarkLoop(b *testing.B) {
	p := judge.Load(b, "testdata/base.o", judge.Options{MachineOnly: true})
	for b.Loop() {
		if _, err := p.RunMachine("loop", io{x: 1000}.bytes(), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/iteration")
}

func BenchmarkSnprintf(b *testing.B) {
	p := judge.Load(b, "testdata/print.o", judge.Options{MachineOnly: true})
	in := make([]byte, printLines*lineSize+256+24)
	for b.Loop() {
		if _, err := p.RunMachine("print", in, nil); err != nil {
			b.Fatal(err)
		}
	}
}
