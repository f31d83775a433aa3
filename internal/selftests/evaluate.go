package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/live"
	"github.com/bpfct/bpfct/vm"
)

// outcome classes what became of a program.
type outcome string

const (
	equal        outcome = "equal"
	different    outcome = "different"     // other return values
	fault        outcome = "fault"         // the sanitizer stopped it
	refused      outcome = "refused"       // bpfct did not load it
	rejected     outcome = "rejected"      // the kernel did not load it: nothing to compare
	notRunnable  outcome = "not runnable"  // the kernel cannot run it under BPF_PROG_TEST_RUN
	notSupported outcome = "not supported" // it calls what bpfct does not run, and says so
)

type result struct {
	object, program string
	outcome         outcome
	detail          string
}

// evaluate runs every tc and XDP program of an object on both sides.
func evaluate(object string, filter *regexp.Regexp) []result {
	base := strings.TrimSuffix(filepath.Base(object), ".bpf.o")
	spec, err := bpfct.LoadCollectionSpec(object)
	if err != nil {
		return []result{{base, "", refused, err.Error()}}
	}
	var names []string
	for name, p := range spec.Programs {
		if vm.Runnable(p.Type) && filter.MatchString(base+"/"+name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []result
	for _, name := range names {
		r := result{object: base, program: name}
		r.outcome, r.detail = compare(spec, name)
		out = append(out, r)
	}
	return out
}

func compare(spec *ebpf.CollectionSpec, name string) (outcome, string) {
	want, o, detail := onKernel(spec, name)
	if o != "" {
		return o, detail
	}
	host, err := bpfct.NewHost(bpfct.HostOptions{})
	if err != nil {
		return refused, err.Error()
	}
	coll, err := host.LoadCollection(spec, bpfct.CollectionOptions{Programs: []string{name}})
	if err != nil {
		if strings.Contains(err.Error(), "the machine does not run it") {
			return notSupported, err.Error()
		}
		return refused, err.Error()
	}
	defer coll.Close()
	res, err := coll.Programs[name].Run(nil)
	if err != nil {
		return fault, err.Error()
	}
	if res.Return != want {
		return different, fmt.Sprintf("bpfct %d, kernel %d", int32(res.Return), int32(want))
	}
	return equal, ""
}

// onKernel is the kernel's return value, or why there is none.
func onKernel(spec *ebpf.CollectionSpec, name string) (uint32, outcome, string) {
	host, err := live.NewHost(live.Options{})
	if err != nil {
		return 0, notRunnable, err.Error()
	}
	defer host.Close()
	ns := host.Namespace("")
	coll, err := ns.LoadCollection(spec, &live.CollectionOptions{Programs: []string{name}})
	if err != nil {
		return 0, rejected, firstLine(err)
	}
	defer coll.Close()
	res, err := ns.Run(coll.Programs[name], live.RunOptions{})
	if err != nil {
		return 0, notRunnable, firstLine(err)
	}
	return res.Ret, "", ""
}

func firstLine(err error) string {
	var ve *ebpf.VerifierError
	if errors.As(err, &ve) {
		return fmt.Sprintf("%v", ve)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func writeResults(file string, results []result) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.object, r.program, r.outcome, strings.ReplaceAll(r.detail, "\n", " "))
	}
	return w.Flush()
}

// summarize prints the counts and returns the share, in per cent, of equal results
// among those that could be compared and use nothing that bpfct does not run.
func summarize(w io.Writer, results []result, verbose bool) float64 {
	counts := make(map[outcome]int)
	for _, r := range results {
		counts[r.outcome]++
		if verbose && r.outcome != equal && r.outcome != rejected {
			fmt.Fprintf(w, "%-13s %s/%s: %s\n", r.outcome, r.object, r.program, r.detail)
		}
	}
	compared := counts[equal] + counts[different] + counts[fault] + counts[refused]
	for _, o := range []outcome{equal, different, fault, refused, notSupported, notRunnable, rejected} {
		fmt.Fprintf(w, "%5d %s\n", counts[o], o)
	}
	if compared == 0 {
		return 0
	}
	share := 100 * float64(counts[equal]) / float64(compared)
	fmt.Fprintf(w, "%.1f %% of %d compared programs agree\n", share, compared)
	return share
}
