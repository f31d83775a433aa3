package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cilium/ebpf"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/internal/verdict"
)

// verifiable reports whether verdicts on programs of that type are compared.
func verifiable(t ebpf.ProgramType) bool {
	switch t {
	case ebpf.SocketFilter, ebpf.SchedCLS, ebpf.SchedACT, ebpf.XDP, ebpf.CGroupSKB:
		return true
	}
	return false
}

// comparison is the two verdicts on a program.
type comparison struct {
	Object, Program, Type string
	Own, Kernel           verdict.Verdict
}

func (c *comparison) agreement() verdict.Agreement { return verdict.Compare(c.Own, c.Kernel) }

// verifyOptions control the campaign on verdicts.
type verifyOptions struct {
	enabled          bool
	dir              string
	filter           *regexp.Regexp
	refresh, verbose bool
	least            float64
	jobs             int
	limit            time.Duration
}

// runVerify compares the verdicts on all programs of the objects.
func runVerify(objects []string, opts *verifyOptions) error {
	k := &oracle{file: filepath.Join(opts.dir, "kernel-verdicts.json"), refresh: opts.refresh}
	if err := k.read(); err != nil {
		return err
	}
	defer k.close()
	var all []*comparison
	for _, file := range objects {
		spec, err := bpfct.LoadCollectionSpec(file)
		if err != nil {
			if opts.filter.MatchString(objectName(file) + "/") {
				fmt.Printf("%s: %v\n", objectName(file), err)
			}
			continue
		}
		var names []string
		for name, p := range spec.Programs {
			if verifiable(p.Type) && opts.filter.MatchString(objectName(file)+"/"+name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		verdicts, err := k.ask(file, spec, names)
		if err != nil {
			return err
		}
		for _, name := range names {
			all = append(all, &comparison{Object: file, Program: name, Type: spec.Programs[name].Type.String(), Kernel: verdicts[name]})
		}
	}
	if err := k.write(); err != nil {
		return err
	}
	if err := askWorkers(all, opts.jobs, opts.limit); err != nil {
		return err
	}
	if err := writeVerdicts(filepath.Join(opts.dir, "verdicts.tsv"), all); err != nil {
		return err
	}
	share := summarizeVerdicts(os.Stdout, all, opts.verbose)
	if share < opts.least {
		return fmt.Errorf("%.1f %% agree, at least %.1f %% are wanted", share, opts.least)
	}
	return nil
}

func objectName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".bpf.o") }

func writeVerdicts(file string, all []*comparison) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "object\tprogram\ttype\tagreement\tverdict\tkernel_verdict\terrno\tkernel_errno\tinsns\tkernel_insns\tline\tkernel_line\tkernel_tail")
	for _, c := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", objectName(c.Object), c.Program, c.Type, c.agreement(),
			c.Own.Kind, c.Kernel.Kind, c.Own.Errno, c.Kernel.Errno, c.Own.Insns, c.Kernel.Insns, c.Own.Line, c.Kernel.Line,
			strings.Join(c.Kernel.Tail, " | "))
	}
	return w.Flush()
}

// classes is the order of the summary.
var classes = []verdict.Agreement{
	verdict.Unsound, verdict.Crash, verdict.TooStrict, verdict.OneSided, verdict.OtherLine, verdict.Agree, verdict.BothRefuse,
}

// unknownErrno stands where a loader put words of its own in place of the kernel's error.
const unknownErrno = "errno 0"

// summarizeVerdicts prints the counts and returns the share of equal verdicts, in per
// cent of the programs that can be compared.
func summarizeVerdicts(w io.Writer, all []*comparison, verbose bool) float64 {
	counts := make(map[verdict.Agreement]int)
	var rejected, insns, errnos, accepted int
	for _, c := range all {
		a := c.agreement()
		counts[a]++
		if c.Kernel.Kind == verdict.Rejected && c.Own.Kind == verdict.Rejected && c.Kernel.Errno != unknownErrno {
			rejected++
			if c.Own.Errno == c.Kernel.Errno {
				errnos++
			}
		}
		if c.Kernel.Kind == verdict.Accepted && c.Own.Kind == verdict.Accepted {
			accepted++
			if c.Own.Insns == c.Kernel.Insns {
				insns++
			}
		}
		if verbose && a != verdict.Agree && a != verdict.BothRefuse {
			show(w, c)
		}
	}
	compared := len(all) - counts[verdict.BothRefuse]
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, a := range classes {
		fmt.Fprintf(tw, "%d\t%.1f %%\t\t%s\n", counts[a], percent(counts[a], len(all)), a)
	}
	tw.Flush()
	same := counts[verdict.Agree] + counts[verdict.OtherLine]
	fmt.Fprintf(w, "of %d programs: same verdict %.1f %%, same verdict and line %.1f %%; ", compared,
		percent(same, compared), percent(counts[verdict.Agree], compared))
	fmt.Fprintf(w, "of %d rejected by both: same errno %.1f %%; of %d accepted by both: as many instructions processed %.1f %%\n",
		rejected, percent(errnos, rejected), accepted, percent(insns, accepted))
	return percent(same, compared)
}

func show(w io.Writer, c *comparison) {
	fmt.Fprintf(w, "%-10s %s/%s (%s)\n", c.agreement(), objectName(c.Object), c.Program, c.Type)
	for _, side := range []struct {
		who string
		v   verdict.Verdict
	}{{"kernel", c.Kernel}, {"bpfct", c.Own}} {
		fmt.Fprintf(w, "    %-6s %s %s after %d: %s\n", side.who, side.v.Kind, side.v.Errno, side.v.Insns, side.v.Line)
		for _, l := range side.v.Tail {
			if l != side.v.Line {
				fmt.Fprintf(w, "           | %s\n", l)
			}
		}
	}
}

func percent(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(n) / float64(of)
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
