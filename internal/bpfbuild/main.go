// Command bpfbuild compiles the C programs of this tree, the same way on every
// machine, and checks that the committed objects are what it would make.
//
//	//go:generate go run github.com/bpfct/bpfct/internal/bpfbuild testdata/prog.c
//
// makes testdata/prog.o. With -verify it finds every such line below a
// directory, compiles each anew into a temporary directory, and exits 1 when a
// committed object has other programs, instructions, relocations or maps, when
// one is missing, or when a committed object has no line that makes it.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	verify := flag.Bool("verify", false, "compare every committed object below the given directory (default the module) with a fresh one")
	job, err := parseJob(flag.CommandLine, os.Args[1:])
	if err != nil {
		fatal(err)
	}
	tools, err := findTools()
	if err != nil {
		fatal(err)
	}
	if *verify {
		root := tools.root
		if len(job.sources) == 1 {
			root = job.sources[0]
		}
		bad, err := verifyTree(os.Stdout, tools, root)
		if err != nil {
			fatal(err)
		}
		if bad > 0 {
			fmt.Fprintf(os.Stderr, "bpfbuild: %d objects are not what their sources make; run go generate\n", bad)
			os.Exit(1)
		}
		return
	}
	if len(job.sources) == 0 {
		fatal(fmt.Errorf("no source file given"))
	}
	for _, src := range job.sources {
		if err := tools.compile(job, src, job.objectOf(src)); err != nil {
			fatal(err)
		}
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bpfbuild:", err)
	os.Exit(2)
}

// job is what one command line asks for.
type job struct {
	out     string
	cpu     string
	target  string
	opt     string
	keep    bool
	flags   multi
	sources []string
}

type multi []string

func (m *multi) String() string     { return strings.Join(*m, " ") }
func (m *multi) Set(s string) error { *m = append(*m, s); return nil }

// parseJob reads args; fs may have flags of its own.
func parseJob(fs *flag.FlagSet, args []string) (*job, error) {
	j := new(job)
	fs.StringVar(&j.out, "o", "", "object to write (one source only; default the source's name with .o)")
	fs.StringVar(&j.cpu, "cpu", "v3", "instruction set: v1, v2, v3 or v4")
	fs.StringVar(&j.target, "target", "bpf", "bpf (little-endian), bpfel or bpfeb")
	fs.StringVar(&j.opt, "opt", "2", "optimisation level")
	fs.BoolVar(&j.keep, "keep-dwarf", false, "keep DWARF; BTF is always kept")
	fs.Var(&j.flags, "X", "an argument for clang, as -X -DNAME=1 (may be repeated)")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	j.sources = fs.Args()
	if j.out != "" && len(j.sources) != 1 {
		return nil, fmt.Errorf("-o needs exactly one source, got %d", len(j.sources))
	}
	return j, nil
}

// objectOf is where the object of src goes.
func (j *job) objectOf(src string) string {
	if j.out != "" {
		return j.out
	}
	return strings.TrimSuffix(src, ".c") + ".o"
}

// tools is where the compiler and this module are.
type tools struct {
	clang, strip string
	// root is the module's directory. Sources are compiled from there, by
	// their path within it, so that no path of the machine gets into an object.
	root string
}

func findTools() (*tools, error) {
	t := &tools{clang: envOr("BPFCT_CLANG", "clang-19"), strip: envOr("BPFCT_STRIP", "llvm-strip-19")}
	for _, name := range []string{t.clang, t.strip} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("%w (Debian: apt-get install clang-19 llvm-19 libbpf-dev)", err)
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			t.root = dir
			return t, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return nil, fmt.Errorf("no go.mod in the working directory or above it")
		}
		dir = up
	}
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// multiarch is Debian's directory of the C headers that depend on the processor.
func multiarch() string {
	switch runtime.GOARCH {
	case "arm64":
		return "/usr/include/aarch64-linux-gnu"
	default:
		return "/usr/include/x86_64-linux-gnu"
	}
}

// compile makes out of src. Both may be relative to the working directory.
func (t *tools) compile(j *job, src, out string) error {
	src, err := filepath.Abs(src)
	if err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	rel, err := filepath.Rel(t.root, src)
	if err != nil || strings.HasPrefix(rel, "..") {
		return fmt.Errorf("%s is not within the module", src)
	}
	args := []string{
		"-O" + j.opt, "-g", "-target", j.target, "-mcpu=" + j.cpu,
		"-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-sign-compare", "-Wno-missing-field-initializers",
		"-Ibpf/include", "-I" + filepath.Dir(rel), "-idirafter", multiarch(),
		"-fdebug-compilation-dir=.", "-ffile-prefix-map=" + t.root + "=.",
	}
	args = append(args, j.flags...)
	args = append(args, "-c", rel, "-o", out)
	if err := run(t.root, t.clang, args...); err != nil {
		return fmt.Errorf("%s: %w", rel, err)
	}
	if j.keep {
		return nil
	}
	if err := run(t.root, t.strip, "-g", out); err != nil {
		return fmt.Errorf("%s: %w", out, err)
	}
	return nil
}

func run(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var text strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, text.String())
	}
	if text.Len() > 0 {
		fmt.Fprint(os.Stderr, text.String())
	}
	return nil
}
