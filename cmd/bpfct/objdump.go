package main

import (
	"github.com/spf13/cobra"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/objdump"
)

func newObjdump() *cobra.Command {
	var opts objdump.Options
	cmd := &cobra.Command{
		Use:   "objdump OBJ",
		Short: "Show instructions with their C source and what they call",
		Long: `Objdump links an object against a kernel and prints its programs: instructions
numbered as the kernel's verifier counts them, under the lines of C they come from,
with the prototypes of helpers and kfuncs and the names of maps and functions.`,
		Example: `  bpfct objdump nat.bpf.o --program nat_egress`,
		Args:    oneObject,
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := bpfct.LoadCollectionSpec(args[0])
			if err != nil {
				return err
			}
			return objdump.Write(cmd.OutOrStdout(), spec, opts)
		},
	}
	cmd.Flags().StringArrayVar(&opts.Programs, "program", nil, "program to show; repeat for several (default: all)")
	cmd.Flags().StringVar(&opts.Profile, "profile", "", "kernel to link against, see bpfct profiles")
	completeFlags(cmd)
	return cmd
}
