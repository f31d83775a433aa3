// Command selftests compares bpfct with the running kernel on the kernel's own BPF
// selftests, whose sources come with Debian's package linux-source-6.12. Nothing of
// the selftests is part of this project.
//
//	sudo apt-get install clang-19 llvm-19 bpftool libbpf-dev linux-source-6.12
//	sudo go run ./internal/selftests -dir /tmp/selftests
//
// Every tc and XDP program that the kernel accepts runs on 64 zero bytes on both
// sides, and the return values must agree. The corpus is built in -dir when it is not
// there. Each program's outcome goes to -dir/results.tsv, the sum to standard output.
// Exit code 1 when fewer than -min per cent agree.
//
// With -verify verdicts are compared instead, of all programs of types socket_filter,
// sched_cls, sched_act, xdp and cgroup_skb: accepted or rejected, and the first line of
// the log that says why. To work on one family of rules:
//
//	go build -o /tmp/st ./internal/selftests
//	/tmp/st -dir /tmp/selftests -verify                          # the sum
//	/tmp/st -dir /tmp/selftests -verify -v -only 'linked_list'   # what differs in these
//	grep -P '\tunsound\t' /tmp/selftests/verdicts.tsv
//
// What the kernel said is kept in -dir/kernel-verdicts.json and asked again with
// -refresh, or when the object or the kernel is another one. -only matches
// object/program. The comparison calls "unsound" what only the kernel rejects, "too
// strict" what only bpfct rejects, "one-sided" what one side could not load at all.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

func main() {
	dir := flag.String("dir", filepath.Join(os.TempDir(), "bpfct-selftests"), "where the corpus is, or is built")
	source := flag.String("source", "/usr/src/linux-source-6.12.tar.xz", "the kernel's sources")
	only := flag.String("only", "", "regular expression on object/program: run these only")
	least := flag.Float64("min", 0, "exit with 1 when fewer than this many per cent agree")
	verbose := flag.Bool("v", false, "print every outcome that is not equal")
	verify := flag.Bool("verify", false, "compare the verifier's verdicts, not return values")
	refresh := flag.Bool("refresh", false, "with -verify: ask the kernel again")
	jobs := flag.Int("j", runtime.NumCPU(), "with -verify: how many verifications at once")
	limit := flag.Duration("limit", 30*time.Second, "with -verify: a verification that takes longer is a crash")
	isWorker := flag.Bool("worker", false, "answer questions of another process on standard input")
	flag.Parse()
	var err error
	if *isWorker {
		err = work(os.Stdin, os.Stdout)
	} else {
		err = run(*dir, *source, *only, *least, *verbose, &verifyOptions{
			enabled: *verify, dir: *dir, refresh: *refresh, verbose: *verbose, least: *least, jobs: *jobs, limit: *limit,
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "selftests:", err)
		os.Exit(1)
	}
}

func run(dir, source, only string, least float64, verbose bool, verify *verifyOptions) error {
	filter, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	if err := build(dir, source); err != nil {
		return err
	}
	objects, err := filepath.Glob(filepath.Join(dir, "obj", "*.bpf.o"))
	if err != nil {
		return err
	}
	if verify.enabled {
		verify.filter = filter
		return runVerify(objects, verify)
	}
	var results []result
	for _, object := range objects {
		results = append(results, evaluate(object, filter)...)
	}
	if err := writeResults(filepath.Join(dir, "results.tsv"), results); err != nil {
		return err
	}
	share := summarize(os.Stdout, results, verbose)
	if share < least {
		return fmt.Errorf("%.1f %% agree, at least %.1f %% are wanted", share, least)
	}
	return nil
}
