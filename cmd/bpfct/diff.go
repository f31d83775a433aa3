package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bpfct/bpfct/trial"
)

func newDiff() *cobra.Command {
	var plan planFlags
	var host hostFlags
	var ignore []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff OBJ",
		Short: "Run programs on bpfct and on the running kernel, and compare",
		Long: `Diff runs the same programs on the same packets twice: on bpfct, and on the
running kernel by BPF_PROG_TEST_RUN in a network namespace of its own, which is gone
afterwards. It prints what differs: what the verifiers say, verdicts, packets by
field, variables, maps, connections. A program that a verifier refuses is not run:
then only the refusals are compared. The kernel side needs root and a kernel with
the conntrack kfuncs; where something is missing diff says what.

Exit code 0 when both agree, 1 when they differ, 2 when one side could not run.`,
		Example: `  sudo bpfct diff nat.bpf.o --program nat_egress --packets in.pcap
  sudo bpfct diff nat.bpf.o --ignore last_seen --json`,
		Args: oneObject,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, h, inputErr, err := prepare(cmd, &plan, &host, args[0])
			if err != nil {
				return err
			}
			refused, err := p.Refusals(h.Profile(), h.CPUs())
			if err != nil {
				return fmt.Errorf("on the kernel: %w", errors.Join(inputErr, err))
			}
			if len(refused) > 0 {
				return showRefusals(cmd, refused, asJSON)
			}
			ours, err := p.Run(h)
			if err != nil {
				return fmt.Errorf("on bpfct: %w", errors.Join(inputErr, err))
			}
			kernels, err := p.RunKernel()
			if err != nil {
				return fmt.Errorf("on the kernel: %w", errors.Join(inputErr, err))
			}
			diffs := trial.Compare(ours, kernels, trial.CompareOptions{Ignore: ignore})
			w := cmd.OutOrStdout()
			if asJSON {
				e := json.NewEncoder(w)
				e.SetIndent("", "  ")
				if err := e.Encode(struct {
					Equal       bool               `json:"equal"`
					Differences []trial.Difference `json:"differences"`
					Bpfct       *trial.Report      `json:"bpfct"`
					Kernel      *trial.Report      `json:"kernel"`
				}{len(diffs) == 0, append([]trial.Difference{}, diffs...), ours, kernels}); err != nil {
					return err
				}
			} else if err := trial.WriteDifferences(w, diffs, ours, color(w)); err != nil {
				return err
			}
			if inputErr != nil {
				return inputErr
			}
			if len(diffs) > 0 {
				return &exitError{exitDifferent, nil}
			}
			return nil
		},
	}
	plan.add(cmd.Flags())
	host.add(cmd)
	completeFlags(cmd)
	cmd.Flags().StringArrayVar(&ignore, "ignore", nil, "variable or map that is not compared: one that holds times, addresses or random numbers")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the differences and both reports")
	return cmd
}

// showRefusals prints programs that are not loaded, and ends the comparison.
func showRefusals(cmd *cobra.Command, refused []trial.Refusal, asJSON bool) error {
	equal := true
	for _, r := range refused {
		equal = equal && r.Agreed()
	}
	w := cmd.OutOrStdout()
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if err := e.Encode(struct {
			Equal   bool            `json:"equal"`
			Refused []trial.Refusal `json:"refused"`
		}{equal, refused}); err != nil {
			return err
		}
	} else if err := trial.WriteRefusals(w, refused, color(w)); err != nil {
		return err
	}
	if !equal {
		return &exitError{exitDifferent, nil}
	}
	return nil
}
