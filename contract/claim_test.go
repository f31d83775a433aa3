package contract

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/contract/internal/ops"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/internal/testkernel"
)

// The sides of all claims, loaded once: each empties its tables before it is used.
var (
	measured   = sync.OnceValues(func() (*ops.VM, error) { return ops.NewVM(ops.VMOptions{Profile: "6.18"}) })
	documented = sync.OnceValues(func() (*ops.VM, error) { return ops.NewVM(ops.VMOptions{Profile: "documented", SkipVerifier: true}) })
	running    = sync.OnceValues(ops.NewKernel)
)

// env is what a claim is tested with: one side, one hook, one family.
type env struct {
	*testing.T
	side ops.Side
	hook ops.Hook
	v6   bool
	// size is the size of options that the side knows best: 16, or 12 where it knows
	// no other.
	size uint32
	// documented is set on the profile of that name.
	documented bool

	runs []ops.Run    // everything that was performed
	out  *ops.Outcome // and its results
	// chance is set where results are drawn at random, and may differ between sides.
	chance bool
}

// claim tests the sentence that has the test's name: f runs on every engine that the
// sentence names, for both hooks and both families. Where the kernel is there, what
// it did and what bpfct did must be the same to the byte.
func claim(t *testing.T, f func(*env)) {
	t.Helper()
	s := sentenceOf(t)
	for _, hook := range ops.Hooks {
		for _, v6 := range []bool{false, true} {
			family := "ipv4"
			if v6 {
				family = "ipv6"
			}
			t.Run(fmt.Sprintf("%s/%s", hook, family), func(t *testing.T) {
				var vm, kernel *env
				if s.Engines&OnMeasured != 0 {
					t.Run("bpfct", func(t *testing.T) {
						vm = newEnv(t, measured, hook, v6, f)
					})
				}
				if s.Engines&OnDocumented != 0 {
					t.Run("documented", func(t *testing.T) {
						newEnv(t, documented, hook, v6, func(e *env) {
							e.documented, e.size = true, 12
							f(e)
						})
					})
				}
				if s.Engines&OnKernel != 0 {
					t.Run("kernel", func(t *testing.T) {
						testkernel.Require(t)
						kernel = newEnv(t, running, hook, v6, f)
					})
				}
				if vm == nil || kernel == nil || vm.chance {
					return
				}
				if d := ops.Diff(vm.runs, vm.out, kernel.out); d != "" {
					t.Errorf("bpfct and the kernel differ: %s", d)
				}
			})
		}
	}
}

func newEnv[S ops.Side](t *testing.T, side func() (S, error), hook ops.Hook, v6 bool, f func(*env)) *env {
	t.Helper()
	s, err := side()
	if err != nil {
		t.Fatal(err)
	}
	e := &env{T: t, side: s, hook: hook, v6: v6, size: 16, out: &ops.Outcome{}}
	f(e)
	return e
}

// run performs calls with empty tables.
func (e *env) run(calls ...ops.Op) []ops.Result {
	e.Helper()
	e.reset()
	return e.more(calls...)
}

// reset empties the tables.
func (e *env) reset() {
	e.Helper()
	if err := e.side.Reset(); err != nil {
		e.Fatal(err)
	}
}

// more performs calls in another run of the program.
func (e *env) more(calls ...ops.Op) []ops.Result {
	e.Helper()
	r := ops.Run{Hook: e.hook, Ops: calls}
	res, err := e.side.Perform(r)
	if err != nil {
		e.Fatalf("%v\n%v", err, r)
	}
	res = slices.Clone(res)
	e.runs = append(e.runs, r)
	e.out.Results = append(e.out.Results, res)
	return res
}

// host is a host of the family.
func (e *env) host(n byte) netip.Addr {
	if e.v6 {
		return netip.AddrFrom16([16]byte{0: 0xfd, 15: n})
	}
	return netip.AddrFrom4([4]byte{10, 0, 0, n})
}

// at is a port of a host.
func (e *env) at(host byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(e.host(host), port)
}

// The ends of the connection that most claims are about.
const (
	client, server   = 1, 2
	sport, dport     = 1000, 80
	outside, another = 5, 6 // addresses for NAT
)

// opts are options without a fault.
func opts() ops.Options {
	return ops.Options{NetnsID: -1, Proto: conntrack.ProtoTCP, Dir: 9, Error: 0x5a5a}
}

// alloc is an allocation in slot 0 without a fault. Change it as needed.
func (e *env) alloc() ops.Op { return e.call(ops.Alloc, opts()) }

// lookup is a lookup of the same in slot 1.
func (e *env) lookup() ops.Op {
	op := e.call(ops.Lookup, opts())
	op.Slot = 1
	return op
}

// reversed is a lookup of the same in slot 1 by the answer's tuple.
func (e *env) reversed() ops.Op {
	op := e.lookup()
	op.SetTuple(e.at(server, dport), e.at(client, sport))
	return op
}

// call is an alloc or lookup with options of the size that the side knows best.
func (e *env) call(code ops.Code, o ops.Options) ops.Op {
	op := ops.Op{Code: code}
	op.SetTuple(e.at(client, sport), e.at(server, dport))
	op.SetOpts(o, e.size)
	return op
}

// with is op with other options.
func with(op ops.Op, change func(*ops.Options)) ops.Op {
	o := opts()
	change(&o)
	op.SetOpts(o, op.OptsSize)
	return op
}

// sized is op with options of another size, zeros behind the members that both have.
func sized(op ops.Op, size uint32) ops.Op {
	op.SetOpts(opts(), size)
	return op
}

// do is a call for what is in slot 0.
func do(code ops.Code, arg uint32) ops.Op { return ops.Op{Code: code, Arg: arg} }

// nat is a translation of what is in slot 0.
func (e *env) nat(manip conntrack.Manip, host byte, port int32) ops.Op {
	op := ops.Op{Code: ops.SetNATInfo, Arg: uint32(manip), Port: port}
	op.SetAddr(e.host(host))
	return op
}

// fails wants a call to give NULL and the options to hold what they held, but the
// error, and the direction of the zone where a table was asked.
func (e *env) fails(op ops.Op, r *ops.Result, want errno.Errno) {
	e.Helper()
	if r.Done == 0 || r.Ret != 0 {
		e.Errorf("%v: done %d, returned %d", &op, r.Done, r.Ret)
		return
	}
	if got := errno.Errno(-r.Error()); got != want {
		e.Errorf("%v: error %v, want %v", &op, got.Name(), want.Name())
	}
	left, were := r.Opts, op.Opts
	copy(left[4:8], were[4:8])
	if want == errno.ENOENT && op.OptsSize == 16 && were[12] == 0 {
		were[12] = 3
	}
	if left != were {
		e.Errorf("%v: the options became %x", &op, r.Opts)
	}
}

// allFail performs each call with empty tables and wants the error from it.
func (e *env) allFail(want errno.Errno, calls ...ops.Op) {
	e.Helper()
	for _, op := range calls {
		e.fails(op, &e.run(op)[0], want)
	}
}

// ok wants all calls to have been made and to have returned something: a pointer,
// or 0 from those that return a number.
func (e *env) ok(calls []ops.Op, results []ops.Result) {
	e.Helper()
	for i := range results {
		op, r := &calls[i], &results[i]
		good := r.Ret == 0
		switch op.Code {
		case ops.Alloc, ops.Lookup, ops.Insert:
			good = r.Ret == 1
		}
		if r.Done == 0 || !good {
			e.Errorf("call %d, %v: done %d, returned %d, error %d", i, op, r.Done, r.Ret, r.Error())
		}
	}
}

// good is run, with ok.
func (e *env) good(calls ...ops.Op) []ops.Result {
	e.Helper()
	res := e.run(calls...)
	e.ok(calls, res)
	return res
}

// both are an alloc and a lookup with the same fault.
func (e *env) both(change func(*ops.Op)) []ops.Op {
	a, l := e.alloc(), e.lookup()
	change(&a)
	change(&l)
	return []ops.Op{a, l}
}

// equal compares what is named.
func equal[T comparable](e *env, what string, got, want T) {
	e.Helper()
	if got != want {
		e.Errorf("%s: %v, want %v", what, got, want)
	}
}

func sentenceOf(t *testing.T) *Sentence {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	for _, s := range Sentences() {
		if s.Test == name {
			return &s
		}
	}
	t.Fatalf("no sentence has the test %s", name)
	return nil
}
