package objects_test

import (
	"sync"
	"testing"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/internal/judge"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/parallel.c

const cpus, rounds = 4, 500

// everywhere runs the program on all CPUs at once, rounds times each.
func everywhere(t *testing.T, p *judge.Pair, program string) {
	t.Helper()
	var wg sync.WaitGroup
	for cpu := range cpus {
		wg.Go(func() {
			for range rounds {
				res, err := p.Machine.Programs[program].Run(&bpfct.RunOptions{Data: make([]byte, 64), CPU: cpu})
				if err != nil {
					t.Errorf("%+v", err)
					return
				}
				if res.Return != 0 {
					t.Errorf("%s returned %d", program, int32(res.Return))
					return
				}
			}
		})
	}
	wg.Wait()
}

func loadParallel(t *testing.T, machineOnly bool) *judge.Pair {
	return judge.Load(t, "testdata/parallel.o", judge.Options{MachineOnly: machineOnly, Host: bpfct.HostOptions{CPUs: cpus}})
}

func variable(t *testing.T, p *judge.Pair, name string) (n uint64) {
	if err := p.Machine.Variables[name].Get(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSpinLockExcludes(t *testing.T) {
	p := loadParallel(t, true)
	everywhere(t, p, "count")
	if n := variable(t, p, "counter"); n != cpus*rounds {
		t.Errorf("counted to %d, want %d", n, cpus*rounds)
	}
	everywhere(t, p, "irq")
	if n := variable(t, p, "first_counter"); n != cpus*rounds {
		t.Errorf("counted to %d, want %d", n, cpus*rounds)
	}
}

func TestObjectsTravelBetweenCPUs(t *testing.T) {
	p := loadParallel(t, true)
	everywhere(t, p, "travel")
	used := p.Host.Machine().Mem.Used()
	for _, program := range []string{"travel"} {
		everywhere(t, p, program)
	}
	if now := p.Host.Machine().Mem.Used(); now > used+16*1024 {
		t.Errorf("%d bytes are used after another %d runs, %d before", now, cpus*rounds, used)
	}
}

// An object that another CPU gives up stays until the run is over.
func TestReadersOfAPointerThatIsReplaced(t *testing.T) {
	p := loadParallel(t, false)
	everywhere(t, p, "borrow")
	p.Compare(t, "borrow", nil, nil)
}

func TestResilientLock(t *testing.T) {
	p := loadParallel(t, false)
	everywhere(t, p, "one_order")
	for _, program := range []string{"one_order", "irq", "again"} {
		k, err := p.RunKernel(program, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := p.RunMachine(program, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if k.Ret != m.Ret {
			t.Errorf("%s returned %d, on the kernel %d", program, int32(m.Ret), int32(k.Ret))
		}
	}
}
