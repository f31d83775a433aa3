// Command verifycampaign compares the verdicts of package verifier with the running
// kernel's on programs that nobody wrote: mutants of compiled ones. An edit flips a
// register, an offset, a constant or an opcode, drops, swaps or copies an instruction.
//
//	sudo go run ./internal/verifycampaign -rounds 5 /tmp/selftests/obj/*.bpf.o
//
// Each round makes a mutant of each tc, XDP, socket filter and cgroup_skb program of each
// object. What differs goes to -out as lines of JSON, made as small as it gets: fewer
// edits, and instructions left out that do not matter. Such a line about an object of
// this project belongs into testdata/cases.jsonl, which a test replays. Exit code 1 when
// fewer than -min per cent agree or a mutant is accepted that the kernel rejects.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/bpfct/bpfct/internal/verdict"
	"github.com/bpfct/bpfct/live"
)

func main() {
	var c campaign
	flag.IntVar(&c.rounds, "rounds", 1, "mutants of each program")
	flag.IntVar(&c.edits, "edits", 1, "the most edits in a mutant")
	flag.Uint64Var(&c.seed, "seed", 1, "of the first round")
	flag.IntVar(&c.longest, "longest", 4000, "leave programs with more instructions out")
	flag.BoolVar(&c.shrink, "shrink", true, "make what differs small")
	flag.BoolVar(&c.verbose, "v", false, "print what differs")
	messages := flag.Int("messages", 0, "print this many of the most frequent answers of the kernel")
	out := flag.String("out", "", "file for what differs")
	replay := flag.String("replay", "", "print both logs of the mutants in a file that -out wrote")
	least := flag.Float64("min", 0, "exit with 1 when fewer than this many per cent agree in verdict and line")
	flag.Parse()
	if *messages > 0 {
		c.lines = make(map[string]int)
	}
	err := run(&c, flag.Args(), *replay, *out, *least)
	c.printLines(os.Stdout, *messages)
	if err != nil {
		fmt.Fprintln(os.Stderr, "verifycampaign:", err)
		os.Exit(1)
	}
}

func run(c *campaign, objects []string, replay, out string, least float64) error {
	host, err := live.NewHost(live.Options{})
	if err != nil {
		return err
	}
	defer host.Close()
	c.ns, c.log = host.Namespace(""), os.Stdout
	if replay != "" {
		return c.replay(replay)
	}
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return err
		}
		defer f.Close()
		e := json.NewEncoder(f)
		e.SetEscapeHTML(false)
		c.found = e.Encode
	}
	for _, object := range objects {
		if err := c.object(object); err != nil {
			return fmt.Errorf("%s: %w", object, err)
		}
	}
	share := c.summarize(os.Stdout)
	if n := c.counts[verdict.Unsound]; n > 0 {
		return fmt.Errorf("%d mutants are accepted that the kernel rejects", n)
	}
	if share < least {
		return fmt.Errorf("%.2f %% agree, at least %.2f %% are wanted", share, least)
	}
	return nil
}

// printLines prints the most frequent answers of the kernel.
func (c *campaign) printLines(w io.Writer, n int) {
	lines := slices.SortedFunc(maps.Keys(c.lines), func(a, b string) int { return c.lines[b] - c.lines[a] })
	for _, l := range lines[:min(n, len(lines))] {
		fmt.Fprintf(w, "%6d %s\n", c.lines[l], l)
	}
}

// summarize prints the counts and returns the share of agreement in per cent.
func (c *campaign) summarize(w io.Writer) float64 {
	sum := 0
	for _, n := range c.counts {
		sum += n
	}
	compared := sum - c.counts[verdict.BothRefuse]
	if compared == 0 {
		fmt.Fprintln(w, "nothing was compared")
		return 100
	}
	var classes []verdict.Agreement
	for a := range c.counts {
		classes = append(classes, a)
	}
	slices.SortFunc(classes, func(a, b verdict.Agreement) int { return c.counts[b] - c.counts[a] })
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, a := range classes {
		fmt.Fprintf(tw, "%d\t%.2f %%\t\t%s\n", c.counts[a], 100*float64(c.counts[a])/float64(sum), a)
	}
	tw.Flush()
	share := 100 * float64(c.counts[verdict.Agree]) / float64(compared)
	same := 100 * float64(c.counts[verdict.Agree]+c.counts[verdict.OtherLine]) / float64(compared)
	fmt.Fprintf(w, "of %d mutants, %d accepted by the kernel: same verdict %.2f %%, same verdict and line %.2f %%\n", compared, c.accepted, same, share)
	return share
}
