package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfct/bpfct/trial"
)

func newRun() *cobra.Command {
	var plan planFlags
	var host hostFlags
	var out string
	var asJSON, entries, maps, verbose, skipVerifier bool
	cmd := &cobra.Command{
		Use:   "run OBJ",
		Short: "Run programs of an object on packets",
		Long: `Run loads an object and runs its tc and xdp programs on packets, in user space.

Without packets a program runs once on 64 zero bytes, as the kernel's own tests do.
Several programs share maps, connections and clock, and run in the order given, each
on all packets. A program that leaves its memory, uses a connection after its
release or ends while it holds one is stopped, with a report of where and why.

Exit code 0, 1 when a program was stopped, 2 when it could not be run.`,
		Example: `  bpfct run nat.bpf.o --program nat_egress --packets in.pcap --out out.pcapng --entries
  bpfct run nat.bpf.o --packet '10.0.0.1:1234 > 10.0.0.2:80 tcp S seq 1' --json
  bpfct run nat.bpf.o --set pool=203.0.113.1 --map forwards=forwards.json`,
		Args: oneObject,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, h, inputErr, err := prepare(cmd, &plan, &host, args[0])
			if err != nil {
				return err
			}
			p.SkipVerifier = skipVerifier
			report, err := p.Run(h)
			if report != nil {
				if err := show(cmd, report, asJSON, trial.TextOptions{
					Entries: entries, Maps: maps, Variables: true, Verbose: verbose}); err != nil {
					return err
				}
				if out != "" {
					err = errors.Join(err, trial.WritePackets(out, report))
				}
			}
			if err = errors.Join(inputErr, err); err != nil {
				return err
			}
			if n := report.Faults(); n > 0 {
				return &exitError{exitDifferent, stopped(n, verbose || asJSON)}
			}
			return nil
		},
	}
	plan.add(cmd.Flags())
	host.add(cmd)
	completeFlags(cmd)
	cmd.Flags().StringVar(&out, "out", "", "write the packets that were not dropped to a file: .pcapng, .pcap or .txt")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&entries, "entries", false, "show the connections at the end, as conntrack -L -o extended")
	cmd.Flags().BoolVar(&maps, "maps", false, "show the elements of maps at the end")
	cmd.Flags().BoolVar(&skipVerifier, "skip-verifier", false, "run programs that the kernel would refuse; the sanitizer stops them when they do wrong")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the whole report of a program that was stopped")
	return cmd
}

// stopped says how many runs the sanitizer ended.
func stopped(n int, told bool) error {
	text := "1 run was stopped"
	if n > 1 {
		text = fmt.Sprintf("%d runs were stopped", n)
	}
	if !told {
		text += "; --verbose tells more"
	}
	return errors.New(text)
}

// show prints a report as JSON or for people.
func show(cmd *cobra.Command, report *trial.Report, asJSON bool, opts trial.TextOptions) error {
	w := cmd.OutOrStdout()
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	opts.Color = color(w)
	return report.WriteText(w, opts)
}
