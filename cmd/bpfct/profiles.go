package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bpfct/bpfct/profiles"
)

func newProfiles() *cobra.Command {
	var asJSON, functions bool
	cmd := &cobra.Command{
		Use:   "profiles [NAME]",
		Short: "List the kernels that bpfct models",
		Long: `Profiles lists the kernels that bpfct models. With a name and --functions it
lists every helper and kfunc of that kernel, whether tc and xdp programs may call it,
and whether bpfct runs it; a call to one that it does not run is refused by name when
a program is loaded.`,
		Example: `  bpfct profiles
  bpfct profiles 6.18 --functions`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			if len(args) == 1 || functions {
				name := ""
				if len(args) == 1 {
					name = args[0]
				}
				list, err := profiles.Functions(name)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(w).Encode(list)
				}
				tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(tw, "NAME\tKIND\tTC\tXDP\tRUNS\tFLAGS")
				for _, f := range list {
					fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Name, f.Kind, yes(f.TC), yes(f.XDP), yes(f.Runs), f.Flags)
				}
				return tw.Flush()
			}
			list, err := profiles.All()
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(w).Encode(list)
			}
			tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintln(tw, "NAME\tKERNEL\tHZ\tHELPERS\tKFUNCS\tRUNS\t")
			for _, p := range list {
				fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", p.Name, p.Version, p.HZ, p.Helpers, p.Kfuncs, p.Runs, p.Title)
			}
			return tw.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&functions, "functions", false, "list helpers and kfuncs of one profile (default: the newest measured one)")
	return cmd
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "-"
}
