package main

import (
	"github.com/spf13/cobra"

	"github.com/bpfct/bpfct/demo"
)

func newDemo() *cobra.Command {
	var opts demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a NAT gateway translate built-in packets",
		Long: `Demo runs a NAT gateway that was compiled from C (examples/natgw) on packets that
are built in, and shows packets, verdicts and the connections at the end.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo.Run(cmd.OutOrStdout(), opts) },
	}
	cmd.Flags().StringVar(&opts.Profile, "profile", "", "kernel to model, see bpfct profiles")
	completeFlags(cmd)
	return cmd
}
