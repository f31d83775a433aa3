package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"

	"github.com/bpfct/bpfct/internal/testkernel"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

// TestMain makes this binary the command bpfct of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"bpfct": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/script. A script finds the objects of testdata, and
// those of the examples, beside its own files.
func TestScripts(t *testing.T) {
	objects := map[string]string{
		"cli.o": "testdata", "refused.o": "testdata", "huge.o": "testdata",
		"natgw.o": "../../examples/natgw", "big_endian.bpf.o": "../../link/testdata",
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			for name, dir := range objects {
				data, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), data, 0o644); err != nil {
					return err
				}
			}
			env.Setenv("TERM", "xterm")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "kernel" {
				return false, nil
			}
			if reason := testkernel.Missing(); reason != "" {
				if os.Getenv(testkernel.RequireEnv) == "1" {
					t.Errorf("%s=1, but %s", testkernel.RequireEnv, reason)
				}
				return false, nil
			}
			return true, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			// cut FILE N OUT writes the first N bytes of FILE to OUT.
			"cut": func(ts *testscript.TestScript, _ bool, args []string) {
				if len(args) != 3 {
					ts.Fatalf("usage: cut FILE N OUT")
				}
				data := ts.ReadFile(args[0])
				n := 0
				for _, c := range args[1] {
					n = 10*n + int(c-'0')
				}
				if n > len(data) {
					ts.Fatalf("%s has %d bytes", args[0], len(data))
				}
				ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(data[:n]), 0o644))
			},
		},
	})
}

// TestSubcommandsHaveHelp checks that every subcommand says what it is for, how its
// exit codes differ where they do, and what each flag means.
func TestSubcommandsHaveHelp(t *testing.T) {
	for _, cmd := range newRoot().Commands() {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		if cmd.Short == "" || (cmd.Long == "" && cmd.Name() != "version") {
			t.Errorf("%s: no description", cmd.Name())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s: no description", cmd.Name(), f.Name)
			}
		})
	}
}
