// Command bpfct runs eBPF programs that use Linux connection tracking in user
// space, and compares with the running kernel. See bpfct --help.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes, the same for all subcommands.
const (
	exitOK        = 0
	exitDifferent = 1 // the answer is no: a difference, a program that was stopped
	exitFailed    = 2 // the question could not be answered
)

// exitError carries an exit code; its message, where there is one, was not yet shown.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole command with its streams, for tests.
func run(args []string, stdout, stderr io.Writer) int {
	stdout, stderr = cleanWriter{stdout}, cleanWriter{stderr}
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	if err.Error() != "" {
		fmt.Fprintf(stderr, "bpfct: %v\n", err)
	}
	return code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "bpfct",
		Short: "Run conntrack eBPF programs in user space",
		Long: `bpfct takes an object that clang compiled for TC or XDP, unmodified, and runs
its programs on packets against a model of Linux' connection tracker: no root, no
Linux, and a clock that stands still until you move it. Where the running kernel
has the conntrack kfuncs, bpfct diff runs the same there and compares.

Exit codes: 0 all is well, 1 the answer is no (a difference, a program that was
stopped), 2 the question could not be answered (bad input, missing privileges).

NO_COLOR turns colour off; it is only ever used on a terminal.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newRun(), newDiff(), newDemo(), newReplay(), newVerify(), newObjdump(), newProfiles(), newVersion())
	return root
}
