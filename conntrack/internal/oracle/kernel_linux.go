package oracle

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpfct/bpfct/internal/testkernel"
)

//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild interp.bpf.c

//go:embed interp.bpf.o
var object []byte

// MaxOps is how many operations one Run may have.
const MaxOps = 4096

// Kernel is the running kernel in a network namespace that ends with the test.
type Kernel struct {
	tb   testing.TB
	do   chan func()
	coll *ebpf.Collection
}

// New makes a namespace and loads the programs, or skips tb where that cannot
// be.
func New(tb testing.TB) *Kernel {
	tb.Helper()
	testkernel.Require(tb)
	k := &Kernel{tb: tb, do: make(chan func())}
	ready := make(chan error)
	go func() {
		// The thread is never unlocked: it ends with the goroutine, and the
		// namespace with it.
		runtime.LockOSThread()
		ready <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range k.do {
			f()
		}
	}()
	err := <-ready
	tb.Cleanup(func() { close(k.do) })
	if err != nil {
		testkernel.Skip(tb, "no network namespace: "+err.Error())
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		tb.Fatal(err)
	}
	if k.coll, err = ebpf.NewCollection(spec); err != nil {
		tb.Fatalf("%+v", err)
	}
	tb.Cleanup(k.coll.Close)
	return k
}

// in runs f on the namespace's thread.
func (k *Kernel) in(f func()) {
	done := make(chan struct{})
	k.do <- func() { defer close(done); f() }
	<-done
}

var frame = make([]byte, 64)

// test runs a program n times and says how long one run took.
func (k *Kernel) test(name string, n int) time.Duration {
	k.tb.Helper()
	var d time.Duration
	var err error
	k.in(func() {
		prog := k.coll.Programs[name]
		if n == 1 {
			_, _, err = prog.Test(frame)
			return
		}
		_, d, err = prog.Benchmark(frame, n, nil)
	})
	if err != nil {
		k.tb.Fatalf("run %s: %v", name, err)
	}
	return d
}

// Run performs ops, one after the other in one program run.
func (k *Kernel) Run(ops []Op) []Results {
	k.tb.Helper()
	if len(ops) == 0 {
		return nil
	}
	if len(ops) > MaxOps {
		k.tb.Fatalf("%d operations, more than %d", len(ops), MaxOps)
	}
	keys := make([]uint32, len(ops))
	for i := range keys {
		keys[i] = uint32(i)
	}
	res := make([]Results, len(ops))
	check := func(err error) {
		k.tb.Helper()
		if err != nil {
			k.tb.Fatal(err)
		}
	}
	_, err := k.coll.Maps["ops"].BatchUpdate(keys, ops, nil)
	check(err)
	_, err = k.coll.Maps["out"].BatchUpdate(keys, res, nil)
	check(err)
	check(k.coll.Variables["count"].Set(uint32(len(ops))))
	k.test("interp", 1)
	var cursor ebpf.MapBatchCursor
	got := make([]uint32, len(ops))
	n, err := k.coll.Maps["out"].BatchLookup(&cursor, got, res, nil)
	if n != len(ops) {
		check(err)
	}
	return res
}

// Fill inserts n connections with status, those that BenchInsert makes.
func (k *Kernel) Fill(n int, status uint32) {
	k.tb.Helper()
	for name, v := range map[string]uint32{"bench_status": status, "bench_n": 0, "bench_failed": 0} {
		if err := k.coll.Variables[name].Set(v); err != nil {
			k.tb.Fatal(err)
		}
	}
	k.test("bench_insert", n)
	var failed uint32
	if err := k.coll.Variables["bench_failed"].Get(&failed); err != nil || failed != 0 {
		k.tb.Fatalf("filling with %d: %d refused, %v", n, failed, err)
	}
}

// BenchInsert inserts n connections and says how long one took, and how many
// were refused.
func (k *Kernel) BenchInsert(n int) (time.Duration, uint32) {
	return k.bench("bench_insert", "bench_failed", n)
}

// BenchLookup looks n connections up at random among the first mask+1 that
// BenchInsert made, and says how long one took and how many were found.
func (k *Kernel) BenchLookup(n int, mask uint32) (time.Duration, uint32) {
	if err := k.coll.Variables["bench_mask"].Set(mask); err != nil {
		k.tb.Fatal(err)
	}
	return k.bench("bench_lookup", "bench_found", n)
}

// bench is the time of a run less that of an empty program.
func (k *Kernel) bench(prog, counter string, n int) (time.Duration, uint32) {
	empty := k.test("bench_empty", 1000000)
	v := k.coll.Variables[counter]
	if err := v.Set(uint32(0)); err != nil {
		k.tb.Fatal(err)
	}
	d := k.test(prog, n)
	var c uint32
	if err := v.Get(&c); err != nil {
		k.tb.Fatal(err)
	}
	return max(d-empty, 0), c
}

// Exec runs a command in the namespace and gives its standard output.
func (k *Kernel) Exec(name string, args ...string) string {
	k.tb.Helper()
	if _, err := exec.LookPath(name); err != nil {
		for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
			if _, err := os.Stat(dir + name); err == nil {
				name = dir + name
				break
			}
		}
	}
	var out []byte
	var stderr bytes.Buffer
	var err error
	k.in(func() {
		cmd := exec.Command(name, args...)
		cmd.Stderr = &stderr
		out, err = cmd.Output()
	})
	if err != nil {
		if _, ok := err.(*exec.ExitError); !ok {
			testkernel.Skip(k.tb, err.Error())
		}
		k.tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// ReadFile reads a file of /proc as a process of the namespace sees it.
func (k *Kernel) ReadFile(path string) string {
	k.tb.Helper()
	var data []byte
	var err error
	k.in(func() { data, err = os.ReadFile(path) })
	if err != nil {
		k.tb.Fatal(err)
	}
	return string(data)
}

const sysctlDir = "/proc/sys/net/netfilter/"

// Sysctl reads one number of /proc/sys/net/netfilter.
func (k *Kernel) Sysctl(name string) int {
	k.tb.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(k.ReadFile(sysctlDir + name)))
	if err != nil {
		k.tb.Fatal(err)
	}
	return n
}

// SetSysctl writes one.
func (k *Kernel) SetSysctl(name string, value int) (err error) {
	k.in(func() { err = os.WriteFile(sysctlDir+name, []byte(strconv.Itoa(value)), 0) })
	return err
}

// Stats sums up /proc/net/stat/nf_conntrack over the CPUs. "entries" is not a
// sum: each line has the whole.
func (k *Kernel) Stats() map[string]uint32 {
	k.tb.Helper()
	lines := strings.Split(strings.TrimSpace(k.ReadFile("/proc/thread-self/net/stat/nf_conntrack")), "\n")
	names := strings.Fields(lines[0])
	out := make(map[string]uint32)
	for _, l := range lines[1:] {
		for i, f := range strings.Fields(l) {
			n, err := strconv.ParseUint(f, 16, 32)
			if err != nil {
				k.tb.Fatal(fmt.Errorf("/proc/net/stat/nf_conntrack: %w", err))
			}
			if names[i] == "entries" {
				out[names[i]] = uint32(n)
			} else {
				out[names[i]] += uint32(n)
			}
		}
	}
	return out
}

// RaiseMax makes nf_conntrack_max at least n until the test ends. It is one
// number for all namespaces that only the first may write; raising it refuses
// nothing to anybody.
func (k *Kernel) RaiseMax(n int) {
	k.tb.Helper()
	const file = sysctlDir + "nf_conntrack_max"
	old, err := os.ReadFile(file)
	if err == nil {
		if have, _ := strconv.Atoi(strings.TrimSpace(string(old))); have >= n {
			return
		}
		err = os.WriteFile(file, []byte(strconv.Itoa(n)), 0)
	}
	if err != nil {
		testkernel.Skip(k.tb, "nf_conntrack_max cannot be raised: "+err.Error())
	}
	k.tb.Cleanup(func() {
		if err := os.WriteFile(file, old, 0); err != nil {
			k.tb.Error(err)
		}
	})
}
