package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/verifier"
	"github.com/bpfct/bpfct/verify"
)

func newVerify() *cobra.Command {
	var opts verify.Options
	var text verify.TextOptions
	var log string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify OBJ",
		Short: "Say whether the kernel would load the programs of an object, and why not",
		Long: `Verify answers what loading each program of an object on the chosen kernel would:
accepted, rejected by the verifier, or unloadable, where the object fails before any
program is looked at (a relocation, a map, types). The words are the kernel's; below
them stands what they mean for the C source.

--log none shows no log, error the lines about the refusal, kernel and verbose what the
kernel's verifier writes at levels 1 and 2.

Exit code 0 when all are accepted, 1 when one is not, 2 when the question could not be
answered.`,
		Example: `  bpfct verify nat.bpf.o
  bpfct verify nat.bpf.o --program nat_egress --log verbose
  bpfct verify nat.bpf.o --json | jq -r 'select(.verdict != "accepted") | .error'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if text.Log, err = verify.ParseLog(log); err != nil {
				return err
			}
			spec, err := bpfct.LoadCollectionSpec(args[0])
			if err != nil {
				return err
			}
			opts.Object = args[0]
			opts.Log = verifier.LogPath
			if text.Log == verify.LogVerbose {
				opts.Log = verifier.LogAll
			}
			report, err := verify.Collection(spec, opts)
			if err != nil {
				return err
			}
			if err := showReport(cmd, report, asJSON, text); err != nil {
				return err
			}
			if report.Count(verify.Accepted) < len(report.Programs) {
				return &exitError{code: exitDifferent}
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&opts.Programs, "program", nil, "program to verify, by the name of its C function; repeat for several (default: all)")
	fs.StringVar(&opts.Profile, "profile", "", "kernel to answer for, see bpfct profiles (default: the newest measured one)")
	fs.StringVar(&log, "log", string(verify.LogError), "how much of the verifier's log: none, error, kernel or verbose")
	fs.BoolVar(&text.Explain, "explain", true, "say what a refusal means")
	fs.BoolVar(&asJSON, "json", false, "print a JSON object a program, one a line")
	fs.BoolVar(&text.Stats, "stats", false, "show instructions processed, states and stack of each program")
	return cmd
}

// showReport prints a report as lines of JSON or for people.
func showReport(cmd *cobra.Command, report *verify.Report, asJSON bool, text verify.TextOptions) error {
	w := cmd.OutOrStdout()
	if !asJSON {
		text.Color = color(w)
		return report.WriteText(w, text)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range report.Programs {
		p := report.Programs[i]
		if !text.Explain {
			p.Explanation = nil
		}
		if text.Log == verify.LogNone {
			p.LogTail = nil
		}
		if err := e.Encode(p); err != nil {
			return err
		}
	}
	return nil
}
