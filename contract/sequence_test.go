package contract

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bpfct/bpfct/conntrack"
	"github.com/bpfct/bpfct/contract/internal/ops"
	"github.com/bpfct/bpfct/internal/errno"
	"github.com/bpfct/bpfct/internal/testkernel"
)

var (
	sequences = flag.Int("contract.sequences", 500, "how many generated sequences TestSequences_Generated compares")
	seedFlag  = flag.Int("contract.seed", 1, "the first sequence's number; each number is a sequence")
)

// pair is both sides.
type pair struct {
	vm     *ops.VM
	kernel *ops.Kernel
	// seen counts what calls returned on the kernel.
	seen map[string]int
	// began is when the tables were emptied: the kernel's clock goes on.
	began time.Time
}

// newPair has both, or skips.
func newPair(t *testing.T) *pair {
	t.Helper()
	testkernel.Require(t)
	vm, err := ops.NewVM(ops.VMOptions{SkipVerifier: true})
	if err != nil {
		t.Fatal(err)
	}
	k, err := running()
	if err != nil {
		t.Fatal(err)
	}
	return &pair{vm: vm, kernel: k, seen: make(map[string]int)}
}

// perform makes the calls of runs on both sides, with the tables as they are, and
// says where they differ. Tables are not dumped.
func (p *pair) perform(runs []ops.Run) (string, error) {
	var k, vm ops.Outcome
	for _, r := range runs {
		res, err := p.kernel.Perform(r)
		if err != nil {
			return "", err
		}
		p.count(r.Ops, res)
		k.Results = append(k.Results, slices.Clone(res))
		p.vm.Hints = res
		if res, err = p.vm.Perform(r); err != nil {
			return fmt.Sprintf("bpfct: %+v", err), nil
		}
		vm.Results = append(vm.Results, slices.Clone(res))
	}
	return ops.Diff(runs, &k, &vm), nil
}

// count notes what calls returned.
func (p *pair) count(calls []ops.Op, results []ops.Result) {
	for i := range results {
		op, r := &calls[i], &results[i]
		if r.Done == 0 {
			continue
		}
		what := fmt.Sprintf("%v: %d", op.Code, r.Ret)
		switch op.Code {
		case ops.Alloc, ops.Lookup:
			switch {
			case op.Flags&ops.NullOpts != 0:
				what = op.Code.String() + ": NULL options"
			case r.Ret == 0:
				what = fmt.Sprintf("%v: %v", op.Code, errno.Errno(-r.Error()).Name())
			case op.Code == ops.Lookup:
				what += " dir " + strconv.Itoa(int(r.Dir()))
			}
		case ops.SetNATInfo:
			if v := &r.View; r.Ret == 0 {
				orig, reply := &v.Tuple[conntrack.Original], &v.Tuple[conntrack.Reply]
				if op.Arg&1 == 0 && reply.DstPort != orig.SrcPort && op.Port <= 0 {
					what += " another port found"
				}
			}
		}
		p.seen[what]++
		if bits.OnesCount32(r.Same) > 1 {
			p.seen["two pointers to one"]++
		}
		if conntrack.Status(r.View.Status)&conntrack.IPSDying != 0 {
			p.seen["held while dying"]++
		}
	}
}

// wanted is what 500 sequences must have met, so that a generator that has become
// tame is seen.
var wanted = []string{
	"alloc: 1", "alloc: EINVAL", "alloc: EPROTO", "alloc: ENONET", "alloc: EAFNOSUPPORT", "alloc: NULL options",
	"lookup: 1 dir 0", "lookup: 1 dir 1", "lookup: EINVAL", "lookup: EPROTO", "lookup: ENONET", "lookup: ENOENT",
	"lookup: EAFNOSUPPORT", "lookup: NULL options", "insert: 1", "insert: 0", "release: 0", "set_timeout: 0",
	"change_timeout: 0", "change_timeout: -1", "change_timeout: -62", "set_status: 0", "set_status: -16",
	"change_status: 0", "change_status: -16", "set_nat_info: 0", "set_nat_info: 0 another port found",
	"mark =: 0", "two pointers to one", "held while dying",
}

// reset empties the tables.
func (p *pair) reset() error {
	p.began = time.Now()
	if err := p.kernel.Reset(); err != nil {
		return err
	}
	return p.vm.Reset()
}

// whole performs runs with empty tables, and compares those at the end, too.
func (p *pair) whole(runs []ops.Run) (string, error) {
	if err := p.reset(); err != nil {
		return "", err
	}
	if d, err := p.perform(runs); d != "" || err != nil {
		return d, err
	}
	return p.compareTables(nil)
}

// compareTables dumps both. found, where not nil, gets the universes that differ.
func (p *pair) compareTables(found map[universe]bool) (string, error) {
	k, err := p.kernel.Dump()
	if err != nil {
		return "", err
	}
	vm, err := p.vm.Dump()
	if err != nil {
		return "", err
	}
	late := int(time.Since(p.began).Seconds())
	d := ops.DiffConns(k, vm, late)
	if d == "" || found == nil {
		return d, nil
	}
	split := func(conns []ops.Conn) map[universe][]ops.Conn {
		m := make(map[universe][]ops.Conn)
		for i := range conns {
			u := of(&conns[i])
			m[u] = append(m[u], conns[i])
		}
		return m
	}
	mk, mv := split(k), split(vm)
	for u := range 256 {
		if ops.DiffConns(mk[universe(u)], mv[universe(u)], late) != "" {
			found[universe(u)] = true
		}
	}
	return d, nil
}

// confirm says whether a difference is one of the calls: seen again each time. The
// kernel's worker may collect an expired entry in the middle of a sequence.
func (p *pair) confirm(runs []ops.Run) (string, error) {
	var d string
	for range 3 {
		var err error
		if d, err = p.whole(runs); d == "" || err != nil {
			return "", err
		}
	}
	return d, nil
}

// shrink leaves out what is not needed for a difference.
func (p *pair) shrink(runs []ops.Run) ([]ops.Run, error) {
	differs := func(runs []ops.Run) (bool, error) {
		d, err := p.whole(runs)
		return d != "", err
	}
	for again := true; again; {
		again = false
		for i := len(runs) - 1; i >= 0; i-- {
			less := slices.Delete(slices.Clone(runs), i, i+1)
			if yes, err := differs(less); err != nil {
				return nil, err
			} else if yes {
				runs, again = less, true
				continue
			}
			for j := len(runs[i].Ops) - 1; j >= 0; j-- {
				less := slices.Clone(runs)
				less[i].Ops = slices.Delete(slices.Clone(runs[i].Ops), j, j+1)
				if yes, err := differs(less); err != nil {
					return nil, err
				} else if yes {
					runs, again = less, true
				}
			}
		}
	}
	return runs, nil
}

const keptDir = "testdata/sequences"

// report shrinks a difference, keeps it and fails the test.
func (p *pair) report(t *testing.T, n int, runs []ops.Run) {
	t.Helper()
	runs, err := p.shrink(runs)
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.whole(runs)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(keptDir, fmt.Sprintf("generated-%d.txt", n))
	if err := os.MkdirAll(keptDir, 0o777); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, ops.FormatRuns(runs), 0o666); err != nil {
		t.Error(err)
	}
	t.Errorf("sequence %d differs (kernel, bpfct): %s\nkept as %s:\n%s", n, d, file, describe(runs))
}

func describe(runs []ops.Run) string {
	var b strings.Builder
	for _, r := range runs {
		b.WriteString(r.String())
	}
	return b.String()
}

// TestSequences_Generated makes random sequences of calls, with valid and invalid
// arguments, on both sides and wants every result, every out parameter and the
// tables at the end to be equal. Sequences of a batch have nothing in common, so
// that tables need to be dumped once for all.
func TestSequences_Generated(t *testing.T) {
	p := newPair(t)
	const batch, most = 100, 3
	var calls, made, once, failures int
	start := time.Now()
	for done := 0; done < *sequences && failures < most; {
		if err := p.reset(); err != nil {
			t.Fatal(err)
		}
		n := min(batch, *sequences-done)
		all := make([][]ops.Run, n)
		suspects := make(map[universe]bool)
		first := make(map[universe]string)
		for i := range n {
			all[i] = genRuns(universe(i)).Example(*seedFlag + done + i)
			d, err := p.perform(all[i])
			if err != nil {
				t.Fatal(err)
			}
			if d != "" {
				suspects[universe(i)] = true
				first[universe(i)] = d
			}
			for _, r := range all[i] {
				calls += len(r.Ops)
			}
		}
		tables, err := p.compareTables(suspects)
		if err != nil {
			t.Fatal(err)
		}
		for u := range suspects {
			d, err := p.confirm(all[u])
			if err != nil {
				t.Fatal(err)
			}
			if d == "" {
				once++
				t.Logf("sequence %d differed once and then no more: %s", *seedFlag+done+int(u), cmp.Or(first[u], tables))
				continue
			}
			if failures++; failures <= most {
				p.report(t, *seedFlag+done+int(u), all[u])
			}
		}
		done += n
		made = done
	}
	took := time.Since(start)
	t.Logf("%d sequences of %d calls in %v: %.0f sequences a minute", made, calls, took.Round(time.Millisecond), float64(made)/took.Minutes())
	for _, what := range slices.Sorted(maps.Keys(p.seen)) {
		t.Logf("%8d  %s", p.seen[what], what)
	}
	for _, what := range wanted {
		if made >= 500 && p.seen[what] == 0 {
			t.Errorf("no call met %q", what)
		}
	}
	if once > 1+made/1000 {
		t.Errorf("%d of %d sequences differed once only: too many for chance", once, made)
	}
}

// TestSequences_Kept repeats what once differed.
func TestSequences_Kept(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(keptDir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(t)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := ops.ParseRuns(data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		d, err := p.confirm(runs)
		if err != nil {
			t.Fatal(err)
		}
		if d != "" {
			t.Errorf("%s differs (kernel, bpfct): %s\n%s", file, d, describe(runs))
		}
	}
}

// TestSequences_Alone makes generated sequences on two machines that know nothing of
// each other or of the kernel: nothing faults, and a machine is a function of what
// it is given.
func TestSequences_Alone(t *testing.T) {
	var sides [2]*ops.VM
	for i := range sides {
		var err error
		if sides[i], err = ops.NewVM(ops.VMOptions{SkipVerifier: true}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 200 {
		runs := genRuns(0).Example(*seedFlag + n)
		var out [2]*ops.Outcome
		for i, s := range sides {
			var err error
			if out[i], err = ops.Play(s, runs); err != nil {
				t.Fatalf("sequence %d: %+v\n%s", *seedFlag+n, err, describe(runs))
			}
		}
		if d := ops.Diff(runs, out[0], out[1]); d != "" {
			t.Fatalf("sequence %d differs from itself: %s", *seedFlag+n, d)
		}
	}
}
